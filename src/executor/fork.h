/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork: a child as fork(2) makes it, with a pidfd, and in a cgroup from the start. The child's handlers of signals are
 * the standard ones; what was ignored still is.
 *
 * By clone3, or where that is refused (Docker's own filter of system calls, and ours, have it ENOSYS) by clone, which
 * knows no cgroup: then only a cgroup_fd of -1 works.
 */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/* 0 in the child, its pid in the parent, who has to wait for it: orphans_own was called. */
pid_t fork_child(int cgroup_fd, int *ret_pidfd, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork: a child as fork(2) makes it, with a pidfd, and in a cgroup from the start. The child's
 * handlers of signals are the standard ones; what was ignored still is.
 *
 * By clone3, or where that is refused (Docker's own filter of system calls, and ours, have it
 * ENOSYS) by clone, which knows no cgroup: then only a cgroup_fd of -1 works.
 */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/* 0 in the child, its pid in the parent, who has to wait for it: orphans_own was called. */
pid_t fork_child(int cgroup_fd, int *ret_pidfd, struct error *err);

/*
 * An agent can stop whatever is in its pid namespace, our children too, before they have done what
 * they are for. fork_await waits until fd is readable, or closed at the other end, and has a child
 * that was stopped go on meanwhile; false: not in FORK_PATIENCE_MS, or in FORK_STOPPED_MS since it
 * was first seen stopped: who stops it faster than it can go on would have us wait for nothing.
 */
enum { FORK_PATIENCE_MS = 10000, FORK_STOPPED_MS = 500 };
bool fork_await(int pidfd, int fd);
/*
 * The same for who need not wait: has it go on if it was stopped, and returns when to look again:
 * soon if it was, as whoever stops it goes on doing so, and each time it gets but a little further.
 */
int fork_continue(int pidfd, int look_after_ms);

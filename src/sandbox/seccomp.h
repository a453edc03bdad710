/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp: the system calls a sandbox may make. The list with its reasons is seccomp.def; BPF is
 * made from it at build time. Async-signal-safe. Needs no_new_privs, or CAP_SYS_ADMIN in the user
 * namespace.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

enum seccomp_program {
	SECCOMP_PROGRAM_AGENT,
	SECCOMP_PROGRAM_ROOT,
	SECCOMP_PROGRAM_ROOT_PLAIN, /* root of a sandbox with a writable mount: makes nothing set-uid */
	SECCOMP_PROGRAM_AGENT_ENTER, /* for the executor: CHILD takes the rest from what it starts */
	SECCOMP_PROGRAM_ROOT_ENTER,
	SECCOMP_PROGRAM_ROOT_PLAIN_ENTER,
	SECCOMP_PROGRAM_CHILD,
	SECCOMP_PROGRAM_SERVER, /* for cayd: an agent's calls, without those that start a program */
	SECCOMP_PROGRAM_MAX,
};

int seccomp_install(enum seccomp_program which, struct error *err);

struct sock_filter;
const struct sock_filter *seccomp_program(enum seccomp_program which, size_t *ret_len);

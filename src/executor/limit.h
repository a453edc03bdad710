/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit: which limit of the sandbox a command ran into. The kernel counts, per cgroup, how often it
 * killed for want of memory and how often it refused a process; the disk says itself that it is
 * full. Asked only when something failed, so that what works pays nothing.
 */
#pragma once

#include <stdint.h>

struct limits {
	int memory_fd; /* memory.events, or memory.oom_control of v1; -1: not known */
	int pids_fd;   /* pids.events */
	int64_t n_memory, n_pids;
};

#define LIMITS_INIT                            \
	{                                      \
		.memory_fd = -1, .pids_fd = -1 \
	}

/* "memory", "pids", "disk", "inodes", or NULL: what was run into since this was last asked. */
const char *limits_hit(struct limits *l);

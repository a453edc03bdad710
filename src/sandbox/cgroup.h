/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the groups of one sandbox, behind one struct of functions for v1, v2 and no cgroups at all.
 *
 * Nobody ever writes another process's id into a group: that waits for an RCU grace period (7 ms). A
 * child is born into its group (v2: CLONE_INTO_CGROUP) or writes "0" into `tasks` itself (v1: 20 µs).
 */
#pragma once

#include "sandbox/host.h"

enum { CGROUP_NAME_SIZE = 48 };

struct cgroup {
	const struct cgroup_driver *driver;
	char name[CGROUP_NAME_SIZE]; /* "cay/ID" beneath each of host_cgroup.dirs */
	uint32_t parts;              /* 1 << PART_x: made */
	int dir_fds[PART_MAX];   /* v1: one per part; v2: [0] the agent's group, [1] its parent */
	int tasks_fds[PART_MAX]; /* v1: for the child that enters; -1 on v2 */
};

extern const struct cgroup_driver cgroup_none;
#define CGROUP_INIT                                \
	((struct cgroup){ .driver = &cgroup_none,  \
		.dir_fds = { -1, -1, -1, -1, -1 }, \
		.tasks_fds = { -1, -1, -1, -1, -1 } })

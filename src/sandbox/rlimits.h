/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rlimits: what a single process may take. Memory is the cgroup's business: RLIMIT_AS breaks
 * runtimes that reserve much and use little.
 */
#pragma once

#include "sandbox/lock.h"

/* limits: as in force, with defaults filled in. Returns how many of ret_limits it filled. */
uint32_t rlimits_make(const struct spec_limits *limits,
	struct lock_rlimit ret_limits[LOCK_RLIMITS_MAX]);
/* Where the hard limit is lower already, that stays: nobody is asked for CAP_SYS_RESOURCE. */
int rlimits_set(const struct lock_rlimit *limits, uint32_t n, struct error *err);

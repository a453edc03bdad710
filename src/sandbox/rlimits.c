/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/rlimits.h"

#include "base/auto.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#define MIB UINT64_C(1048576)

static const struct lock_rlimit fixed[] = {
	/* Not 0: a core_pattern that pipes ignores 0, and is stopped by 1. */
	{ RLIMIT_CORE, 0, 1, 1 },
	{ RLIMIT_NOFILE, 0, 1024, 65536 },
	{ RLIMIT_MEMLOCK, 0, 8 * MIB, 8 * MIB },
	{ RLIMIT_MSGQUEUE, 0, 819200, 819200 },
	{ RLIMIT_SIGPENDING, 0, 1024, 1024 },
	{ RLIMIT_NICE, 0, 0, 0 },
	{ RLIMIT_RTPRIO, 0, 0, 0 },
	{ RLIMIT_STACK, 0, 8 * MIB, 64 * MIB },
};

static void add(struct lock_rlimit *limits, uint32_t *n, int resource, int64_t value)
{
	if (value > 0)
		limits[(*n)++] = (struct lock_rlimit){ resource, 0, (uint64_t)value,
			(uint64_t)value };
}

enum { NPROC_SLACK = 8 };

uint32_t rlimits_make(const struct spec_limits *limits,
	struct lock_rlimit ret_limits[LOCK_RLIMITS_MAX])
{
	uint32_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		ret_limits[n++] = fixed[i];
	/*
	 * A little above the cgroup's, which counts how often it was hit; it counts our own
	 * processes, too.
	 */
	bool is_limited = limits->pids != SPEC_UNLIMITED;
	add(ret_limits, &n, RLIMIT_NPROC, limits->pids + (is_limited ? NPROC_SLACK : 0));
	add(ret_limits, &n, RLIMIT_FSIZE, limits->disk_bytes);
	return n;
}

/*
 * The kernel lets nobody send descriptors while a user's messages under way hold more of them than
 * the sender may have open. Where an agent has its owner's uid, it could fill that up to its own
 * limit: ours must be higher.
 */
static uint64_t leave_some(uint64_t hard)
{
	return hard == UINT64_MAX ? hard : hard - hard / 4;
}

static int set_one(const struct lock_rlimit *want)
{
	/* struct rlimit64 of the kernel is two 64-bit words, UINT64_MAX for none. */
	uint64_t pair[2], now[2];
	if (syscall(SYS_prlimit64, 0, want->resource, NULL, now) < 0)
		return -1;
	if (want->resource == RLIMIT_NOFILE)
		now[1] = leave_some(now[1]);
	pair[1] = MIN(want->hard, now[1]);
	pair[0] = MIN(want->soft, pair[1]);
	return (int)syscall(SYS_prlimit64, 0, want->resource, pair, NULL);
}

int rlimits_set(const struct lock_rlimit *limits, uint32_t n, struct error *err)
{
	for (uint32_t i = 0; i < n; i++)
		if (set_one(&limits[i]) < 0)
			return error_sys(err, errno, "set resource limit %d", limits[i].resource);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup v1: each controller has a hierarchy of its own, and a group in each. */
#include "sandbox/cgroup.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/num.h"
#include "sandbox/launch.h"

#include <fcntl.h>

static int open_v1(struct cgroup *c, enum cgroup_part part, struct error *err)
{
	if (part == PART_KEEPER)
		return 0; /* cgroup_enter_keeper */
	c->tasks_fds[part] = openat(c->dir_fds[part], "tasks", O_WRONLY | O_CLOEXEC);
	return c->tasks_fds[part] < 0 ? error_sys(err, errno, "open tasks") : 0;
}

static int limit_v1(const struct cgroup *c, enum cgroup_part part, const char *file,
	const char *value, struct error *err)
{
	return file_write_once(c->dir_fds[part], file, str_from(value), err);
}

/* "0" is who writes; the kernel looks at who opened the file, and that was its owner. */
static int enter_v1(const struct cgroup *c, struct error *err)
{
	for (int i = 0; i < PART_MAX; i++)
		if (c->tasks_fds[i] >= 0 && write(c->tasks_fds[i], "0", 1) != 1)
			return error_sys(err, errno, "enter a group");
	return 0;
}

static int freeze_v1(const struct cgroup *c, bool is_frozen, struct error *err)
{
	if (c->dir_fds[PART_FREEZER] < 0)
		return error_set(err, ERROR_UNSUPPORTED, "pausing needs the freezer cgroup");
	return file_write_once(c->dir_fds[PART_FREEZER], "freezer.state",
		is_frozen ? STR("FROZEN") : STR("THAWED"), err);
}

/* "FREEZING" until all are. */
static bool is_frozen_v1(const struct cgroup *c)
{
	auto_buf struct buf b = BUF_INIT(64);
	return c->dir_fds[PART_FREEZER] >= 0 &&
		file_read(c->dir_fds[PART_FREEZER], "freezer.state", &b, NULL) == 0 &&
		str_is(str_trim(buf_str(&b)), "FROZEN");
}

/* A frozen process dies only once it is thawed. */
static void kill_v1(const struct cgroup *c)
{
	if (c->dir_fds[PART_FREEZER] >= 0)
		file_write_once(c->dir_fds[PART_FREEZER], "freezer.state", STR("THAWED"), NULL);
}

static int64_t read_number(const struct cgroup *c, enum cgroup_part part, const char *file)
{
	auto_buf struct buf b = BUF_INIT(64);
	int64_t n = -1;
	if (c->dir_fds[part] < 0 || file_read(c->dir_fds[part], file, &b, NULL) < 0 ||
		num_parse_i64(str_trim(buf_str(&b)), 0, INT64_MAX, &n, NULL) < 0)
		return -1;
	return n;
}

static int64_t read_oom_kills(const struct cgroup *c)
{
	auto_buf struct buf b = BUF_INIT(1024);
	int64_t n = 0;
	if (c->dir_fds[PART_MEMORY] < 0 ||
		file_read(c->dir_fds[PART_MEMORY], "memory.oom_control", &b, NULL) < 0)
		return 0;
	ptrdiff_t at = str_find(buf_str(&b), STR("oom_kill "));
	if (at >= 0)
		num_parse_i64(str_trim(str_skip(buf_str(&b), (size_t)at + 9)), 0, INT64_MAX, &n,
			NULL);
	return n;
}

static void usage_v1(const struct cgroup *c, struct launch_usage *ret)
{
	int64_t ns = read_number(c, PART_CPUACCT, "cpuacct.usage");
	ret->memory_bytes = read_number(c, PART_MEMORY, "memory.usage_in_bytes");
	ret->memory_peak_bytes = read_number(c, PART_MEMORY, "memory.max_usage_in_bytes");
	ret->pids = read_number(c, PART_PIDS, "pids.current");
	ret->cpu_us = ns < 0 ? -1 : ns / 1000;
	ret->oom_kills = read_oom_kills(c);
}

static int open_counter_v1(const struct cgroup *c, enum cgroup_part part)
{
	if (c->dir_fds[part] < 0)
		return -1;
	return openat(c->dir_fds[part], part == PART_MEMORY ? "memory.oom_control" : "pids.events",
		O_RDONLY | O_CLOEXEC);
}

const struct cgroup_driver cgroup_v1 = {
	.word = "v1",
	.open = open_v1,
	.limit = limit_v1,
	.enter = enter_v1,
	.freeze = freeze_v1,
	.is_frozen = is_frozen_v1,
	.kill = kill_v1,
	.usage = usage_v1,
	.open_counter = open_counter_v1,
	.door = "tasks",
};

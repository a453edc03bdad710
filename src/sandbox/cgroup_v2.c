/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup v2: one group in one hierarchy, and one for the keepers beside it. pid 1 is born into it.
 * The executor stays outside, so that an agent that takes every process it may have, or all memory,
 * does not take it from its keeper; what the executor starts enters by itself, through a descriptor
 * that the owner of the group has opened: the kernel looks at who opened it.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
#include "sandbox/cgroup.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/num.h"
#include "sandbox/launch.h"
#include "sandbox/step.h"

#include <fcntl.h>
#include <sys/stat.h>

static const enum cgroup_part handed[] = { PART_MEMORY, PART_PIDS, PART_CPU };

/* A group's controllers are those that its parent hands on; twice, for "cay" is in between. */
static int hand_on(const char *dir, uint32_t parts, struct error *err)
{
	char path[2 * HOST_PATH_SIZE], line[64] = "";
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(handed); i++)
		if (parts & 1U << handed[i])
			n += (size_t)snprintf(line + n, sizeof(line) - n, "+%s ",
				host_part(handed[i]));
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	if (file_write_once(AT_FDCWD, path, str_from_len(line, n), err) == 0)
		return 0;
	if (errno == EBUSY)
		return error_set(err, ERROR_CONFLICT,
			"%s has processes of its own, so it cannot hand controllers on: start cay in a child "
			"group of it",
			dir);
	return -1;
}

/*
 * True if `dir` is there and gives its children all of these; somebody may have made it and got no
 * further.
 */
static bool hands_on(const char *dir, uint32_t parts)
{
	char path[2 * HOST_PATH_SIZE];
	auto_buf struct buf b = BUF_INIT(1024);
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", dir);
	if (file_read(AT_FDCWD, path, &b, NULL) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(handed); i++) {
		struct str rest = str_trim(buf_str(&b)), word;
		bool is_there = !(parts & 1U << handed[i]);
		while (!is_there && str_split(&rest, ' ', &word))
			is_there = str_is(word, host_part(handed[i]));
		if (!is_there)
			return false;
	}
	return true;
}

int cgroup_v2_hand_on(const char *dir, uint32_t parts, struct error *err)
{
	char cay[HOST_PATH_SIZE + 8];
	snprintf(cay, sizeof(cay), "%s/cay", dir);
	if (hands_on(cay, parts))
		return 0;
	if (hand_on(dir, parts, err) < 0)
		return -1;
	if (mkdir(cay, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "mkdir %s", cay);
	return hand_on(cay, parts, err);
}

static int open_v2(struct cgroup *c, enum cgroup_part part, struct error *err)
{
	if (part == PART_KEEPER)
		return 0; /* cgroup_enter_keeper */
	c->tasks_fds[part] = openat(c->dir_fds[0], "cgroup.procs", O_WRONLY | O_CLOEXEC);
	return c->tasks_fds[part] < 0 ? error_sys(err, errno, "open cgroup.procs") : 0;
}

static int limit_v2(const struct cgroup *c, enum cgroup_part part, const char *file,
	const char *value, struct error *err)
{
	if (!strcmp(file, "memory.swap.max") && faccessat(c->dir_fds[0], file, F_OK, 0) < 0)
		return 0; /* a kernel without swap has no such file */
	return file_write_once(c->dir_fds[part == PART_KEEPER ? part : 0], file, str_from(value),
		err);
}

static int enter_v2(const struct cgroup *c, struct error *err)
{
	return 0; /* born in it */
}

static int freeze_v2(const struct cgroup *c, bool is_frozen, struct error *err)
{
	return file_write_once(c->dir_fds[0], "cgroup.freeze", is_frozen ? STR("1") : STR("0"),
		err);
}

static void kill_v2(const struct cgroup *c)
{
	file_write_once(c->dir_fds[0], "cgroup.kill", STR("1"), NULL);
}

static int64_t read_number(const struct cgroup *c, const char *file)
{
	auto_buf struct buf b = BUF_INIT(64);
	int64_t n = -1;
	if (file_read(c->dir_fds[0], file, &b, NULL) == 0)
		num_parse_i64(str_trim(buf_str(&b)), 0, INT64_MAX, &n, NULL);
	return n;
}

/* Files of lines "key value". */
static int64_t read_key(const struct cgroup *c, const char *file, const char *key)
{
	auto_buf struct buf b = BUF_INIT(8192);
	int64_t n = -1;
	file_read(c->dir_fds[0], file, &b, NULL);
	struct str rest = buf_str(&b), line, word;
	while (str_split(&rest, '\n', &line))
		if (str_split(&line, ' ', &word) && str_is(word, key))
			num_parse_i64(line, 0, INT64_MAX, &n, NULL);
	return n;
}

static bool is_frozen_v2(const struct cgroup *c)
{
	return read_key(c, "cgroup.events", "frozen") == 1;
}

static void usage_v2(const struct cgroup *c, struct launch_usage *ret)
{
	ret->memory_bytes = read_number(c, "memory.current");
	ret->memory_peak_bytes = read_number(c, "memory.peak"); /* since Linux 5.19 */
	ret->pids = read_number(c, "pids.current");
	ret->cpu_us = read_key(c, "cpu.stat", "usage_usec");
	ret->oom_kills = MAX(read_key(c, "memory.events", "oom_kill"), 0);
}

static int open_counter_v2(const struct cgroup *c, enum cgroup_part part)
{
	return openat(c->dir_fds[0], part == PART_MEMORY ? "memory.events" : "pids.events",
		O_RDONLY | O_CLOEXEC);
}

const struct cgroup_driver cgroup_v2 = {
	.word = "v2",
	.open = open_v2,
	.limit = limit_v2,
	.enter = enter_v2,
	.freeze = freeze_v2,
	.is_frozen = is_frozen_v2,
	.kill = kill_v2,
	.usage = usage_v2,
	.open_counter = open_counter_v2,
	.is_born_into = true,
	.door = "cgroup.procs",
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that make groups and enter them, and how groups are removed; the drivers are
 * cgroup_v1.c, cgroup_v2.c.
 */
#include "sandbox/cgroup.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/num.h"
#include "sandbox/nslimit.h"
#include "sandbox/step.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { RECORD_MAX = 8 * 1024, REMOVE_ROUNDS = 64, KILL_MS = 1000, STUCK_MAX = 4 };

static const struct cgroup_driver *const drivers[] = {
	[CGROUP_NONE] = &cgroup_none,
	[CGROUP_V1] = &cgroup_v1,
	[CGROUP_V2] = &cgroup_v2,
};

static int enter_none(const struct cgroup *c, struct error *err)
{
	return 0;
}

static int freeze_none(const struct cgroup *c, bool is_frozen, struct error *err)
{
	return error_set(err, ERROR_UNSUPPORTED, "pausing needs a cgroup, and there is none here");
}

static void kill_none(const struct cgroup *c)
{
}

static void usage_none(const struct cgroup *c, struct launch_usage *ret)
{
}

static int open_counter_none(const struct cgroup *c, enum cgroup_part part)
{
	return -1;
}

const struct cgroup_driver cgroup_none = {
	.word = "none",
	.enter = enter_none,
	.freeze = freeze_none,
	.kill = kill_none,
	.usage = usage_none,
	.open_counter = open_counter_none,
};

const struct cgroup_driver *cgroup_driver(enum cgroup_kind kind)
{
	return drivers[kind];
}

int cgroup_enter_keeper(const struct cgroup *c, struct error *err)
{
	if (c->dir_fds[PART_KEEPER] < 0)
		return 0;
	auto_fd int fd = openat(c->dir_fds[PART_KEEPER], c->driver->door, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "0", 1) != 1 ? error_sys(err, errno, "enter the keepers' group")
						: 0;
}

void cgroup_close_doors(struct cgroup *c)
{
	for (int i = 0; i < PART_COUNT; i++)
		c->tasks_fds[i] = close_fd(c->tasks_fds[i]);
}

void cgroup_close(struct cgroup *c)
{
	cgroup_close_doors(c);
	for (int i = 0; i < PART_COUNT; i++)
		c->dir_fds[i] = close_fd(c->dir_fds[i]);
}

/* The record first: a group that nobody knows of would stay for ever. */
static int record(int fd, const char *path, struct error *err)
{
	char line[2 * HOST_PATH_SIZE];
	int n = snprintf(line, sizeof(line), "%s\n", path);
	if (n < 0 || (size_t)n >= sizeof(line))
		return error_set(err, ERROR_TOO_LARGE, "path %s", path);
	return file_write_all(fd, str_from_len(line, (size_t)n), err);
}

static int make_group(const struct step *s, const char *path, struct error *err)
{
	if (mkdir(path, 0755) == 0)
		return 0;
	if (errno != ENOENT)
		return error_sys(err, errno, "mkdir %s", path);
	/* The first sandbox since the machine started makes the group of all. */
	char parent[2 * HOST_PATH_SIZE];
	snprintf(parent, sizeof(parent), "%s/cay", s->source);
	if (mkdir(parent, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "mkdir %s", parent);
	return mkdir(path, 0755) < 0 ? error_sys(err, errno, "mkdir %s", path) : 0;
}

int cgroup_make(struct build *b, const struct step *s, struct error *err)
{
	char path[2 * HOST_PATH_SIZE];
	const struct host *h = &b->plan->host;
	snprintf(path, sizeof(path), "%s/%s", s->source, s->path);
	if (h->cgroup.kind == CGROUP_V2 && cgroup_v2_hand_on(s->source, h->cgroup.parts, err) < 0)
		return -1;
	if (record(b->slot_fd, path, err) < 0 || make_group(s, path, err) < 0)
		return -1;
	int *fd = &b->cgroup.dir_fds[s->tree];
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return error_sys(err, errno, "open %s", path);
	return b->cgroup.driver->open(&b->cgroup, (enum cgroup_part)s->tree, err);
}

int cgroup_limit(struct build *b, const struct step *s, struct error *err)
{
	return b->cgroup.driver->limit(&b->cgroup, (enum cgroup_part)s->tree, s->path, s->data,
		err);
}

/*
 * The cgroup namespace is made here and not by clone3: its root is the group one is in at that
 * moment.
 */
int cgroup_enter(struct build *b, const struct step *s, struct error *err)
{
	if (b->cgroup.driver->enter(&b->cgroup, err) < 0)
		return -1;
	if (unshare(CLONE_NEWCGROUP) < 0)
		return nslimit_sys(err, errno, "make a cgroup namespace");
	return 0;
}

/*
 * Waits for one of them, and not for ever: what is in the middle of a call that does not end cannot
 * be killed.
 */
static bool await_death(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	return pidfd < 0 || poll(&p, 1, KILL_MS) != 0;
}

/* How many there were. */
static int kill_all(const char *path, bool *ret_is_stuck)
{
	char procs[2 * HOST_PATH_SIZE + 16];
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	auto_buf struct buf b = BUF_INIT(1 << 20);
	file_read(AT_FDCWD, procs, &b, NULL);
	struct str rest = buf_str(&b), line;
	auto_fd int last_fd = -1;
	int n = 0;
	while (str_split(&rest, '\n', &line)) {
		int64_t pid = 0;
		if (num_parse_i64(line, 2, INT32_MAX, &pid, NULL) < 0)
			continue;
		close_fd(last_fd);
		last_fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
		if (last_fd >= 0)
			syscall(SYS_pidfd_send_signal, last_fd, SIGKILL, NULL, 0);
		n++;
	}
	*ret_is_stuck = !await_death(last_fd);
	return n;
}

static int remove_group(const char *path)
{
	int n_stuck = 0;
	for (int i = 0; i < REMOVE_ROUNDS && n_stuck < STUCK_MAX; i++) {
		bool is_stuck;
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return -1;
		if (kill_all(path, &is_stuck) == 0)
			poll(NULL, 0, 1); /* who is in it is on the way out, or on the way in */
		n_stuck += is_stuck;
	}
	return -1;
}

/*
 * The next path of a record. Half a line was cut off by the end of its writer, before the group was
 * made.
 */
static bool next_path(struct str *rest, char ret[2 * HOST_PATH_SIZE])
{
	struct str line;
	while (str_split(rest, '\n', &line)) {
		snprintf(ret, 2 * HOST_PATH_SIZE, "%.*s", STR_ARG(line));
		if (str_starts(line, STR("/")) && strstr(ret, "/cay/"))
			return true;
	}
	return false;
}

/*
 * What was paused when its owner was killed cannot die (on v1), in whichever group it is looked
 * for.
 */
static void thaw_recorded(struct str rest)
{
	char path[2 * HOST_PATH_SIZE], state[2 * HOST_PATH_SIZE + 16];
	while (next_path(&rest, path)) {
		snprintf(state, sizeof(state), "%s/freezer.state", path);
		auto_fd int fd = open(state, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			file_write_all(fd, STR("THAWED"), NULL);
	}
}

int cgroup_remove_recorded(int record_fd, const struct cgroup_remove *how)
{
	char text[RECORD_MAX];
	ssize_t n = pread(record_fd, text, sizeof(text), 0);
	struct str rest = { text, n > 0 ? (size_t)n : 0 };
	int r = n < 0 ? -1 : 0;
	char path[2 * HOST_PATH_SIZE];
	if (!(how && how->is_dry_run))
		thaw_recorded(rest);
	while (next_path(&rest, path)) {
		if (how && how->found && access(path, F_OK) == 0)
			how->found(how->ctx, path);
		if (!(how && how->is_dry_run) && remove_group(path) < 0)
			r = -1;
	}
	if (r < 0 || (how && how->is_dry_run))
		return r;
	return ftruncate(record_fd, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A child makes the namespace and waits; newuidmap and newgidmap, which are
 * set-uid, map it as /etc/subuid allows; we open it, and the child goes. What keeps it is the
 * descriptor.
 *
 * Containers that the user starts without root begin to count at the front of the same range, and
 * their users have low numbers, or 65534: agents get ids from the middle.
 */
#include "sandbox/subids.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/num.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { TABLE_MAX = 1 << 20 };

static bool take_number(struct str *line, uint32_t max, uint32_t *ret)
{
	struct str field;
	int64_t value;
	if (!str_split(line, ':', &field) || num_parse_i64(field, 0, max, &value, NULL) < 0)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static bool is_users(struct str field, struct str name, uint32_t uid)
{
	int64_t number;
	return (name.len && str_eq(field, name)) ||
		(num_parse_i64(field, 0, UINT32_MAX, &number, NULL) == 0 && number == uid);
}

/* Neither root nor the user is in it, and it ends before what is no id. */
static bool is_sound(uint32_t first, uint32_t count, uint32_t uid)
{
	return first > 0 && count > 0 && count < UINT32_MAX - first &&
		(uid < first || uid - first >= count);
}

bool subids_parse(struct str table, struct str name, uint32_t uid, uint32_t *ret_first,
	uint32_t *ret_count)
{
	uint32_t first, count, best = 0;
	struct str line, field;
	while (str_split(&table, '\n', &line)) {
		if (!str_split(&line, ':', &field) || !is_users(field, name, uid) ||
			!take_number(&line, UINT32_MAX, &first) ||
			!take_number(&line, UINT32_MAX, &count) || line.len)
			continue;
		if (count <= best || !is_sound(first, count, uid))
			continue;
		*ret_first = first;
		*ret_count = best = count;
	}
	return best > 0;
}

/*
 * Without the C library's ways to other sources: this may be a static program, and newuidmap has
 * the last word.
 */
static struct str find_name(struct str passwd, uint32_t uid)
{
	struct str line, name, field;
	uint32_t number;
	while (str_split(&passwd, '\n', &line))
		if (str_split(&line, ':', &name) && str_split(&line, ':', &field) &&
			take_number(&line, UINT32_MAX, &number) && number == uid)
			return name;
	return STR_NONE;
}

static int find_range(const char *path, struct str name, uint32_t uid, uint32_t *ret_first,
	uint32_t *ret_count, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(TABLE_MAX);
	if (file_read(AT_FDCWD, path, &b, NULL) < 0 ||
		!subids_parse(buf_str(&b), name, uid, ret_first, ret_count))
		return error_set(err, ERROR_UNSUPPORTED, "%s has no range for uid %u", path, uid);
	return 0;
}

static int find_ranges(const struct host *host, struct host_subids *ret, struct error *err)
{
	auto_buf struct buf passwd = BUF_INIT(TABLE_MAX);
	uint32_t n_uids, n_gids;
	if (file_read(AT_FDCWD, "/etc/passwd", &passwd, NULL) < 0)
		buf_reset(&passwd);
	struct str name = find_name(buf_str(&passwd), host->uid);
	if (find_range("/etc/subuid", name, host->uid, &ret->uid, &n_uids, err) < 0 ||
		find_range("/etc/subgid", name, host->uid, &ret->gid, &n_gids, err) < 0)
		return -1;
	ret->count = MIN(MIN(n_uids, n_gids), (uint32_t)UID_SLOTS);
	ret->uid += (n_uids - ret->count) / 2;
	ret->gid += (n_gids - ret->count) / 2;
	return 0;
}

_Noreturn static void hold_namespace(int told_fd, int wait_fd)
{
	char byte;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || unshare(CLONE_NEWUSER) < 0 ||
		write(told_fd, "", 1) != 1)
		_exit(1);
	while (read(wait_fd, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

_Noreturn static void exec_mapper(const char *program, pid_t pid, uint32_t own, uint32_t first,
	uint32_t count)
{
	char text[4][16];
	char *const envp[] = { NULL };
	snprintf(text[0], sizeof(text[0]), "%d", (int)pid);
	snprintf(text[1], sizeof(text[1]), "%u", own);
	snprintf(text[2], sizeof(text[2]), "%u", first);
	snprintf(text[3], sizeof(text[3]), "%u", count);
	char one[] = "1", name[] = "newidmap";
	char *const argv[] = { name, text[0], text[1], text[1], one, text[2], text[2], text[3],
		NULL };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		dup2(null_fd, fd);
	execve(program, argv, envp);
	_exit(127);
}

/* Each id of these to itself. */
static int map(const char *program, pid_t pid, uint32_t own, uint32_t first, uint32_t count,
	struct error *err)
{
	int status = -1;
	if (access(program, X_OK) < 0)
		return error_set(err, ERROR_UNSUPPORTED, "%s is not installed", program);
	pid_t mapper = fork();
	if (mapper < 0)
		return error_sys(err, errno, "fork");
	if (mapper == 0)
		exec_mapper(program, pid, own, first, count);
	while (waitpid(mapper, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		return error_set(err, ERROR_UNSUPPORTED, "%s refuses %u ids from %u on", program,
			count, first);
	return 0;
}

static int open_mapped(const struct host *host, const struct host_subids *ids, pid_t pid,
	int told_fd, int *ret_ns_fd, struct error *err)
{
	char byte, path[48];
	if (read(told_fd, &byte, 1) != 1)
		return error_set(err, ERROR_UNSUPPORTED, "no user namespace can be made");
	if (map("/usr/bin/newuidmap", pid, host->uid, ids->uid, ids->count, err) < 0 ||
		map("/usr/bin/newgidmap", pid, host->gid, ids->gid, ids->count, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	*ret_ns_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_ns_fd < 0 ? error_sys(err, errno, "open %s", path) : 0;
}

int subids_open(const struct host *host, struct host_subids *ret, int *ret_ns_fd, struct error *err)
{
	struct host_subids ids = { 0 };
	int told[2], wait[2];
	if (find_ranges(host, &ids, err) < 0)
		return -1;
	if (pipe2(told, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	auto_fd int told_fd = told[0], tell_fd = told[1];
	if (pipe2(wait, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	auto_fd int wait_fd = wait[0], end_fd = wait[1];
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork");
	if (pid == 0) {
		close(end_fd);
		close(told_fd);
		hold_namespace(tell_fd, wait_fd);
	}
	tell_fd = close_fd(tell_fd);
	int r = open_mapped(host, &ids, pid, told_fd, ret_ns_fd, err);
	end_fd = close_fd(end_fd);
	waitpid(pid, NULL, 0);
	if (r == 0)
		*ret = ids;
	return r;
}

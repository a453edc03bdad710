/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/user.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/num.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { FILE_BYTES_MAX = 256 * 1024 };

/* O_NONBLOCK, so that a FIFO in the file's place stops nobody. A file that is no file is empty. */
static void read_table(const char *path, struct buf *b)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	char *to;
	ssize_t n;
	while ((to = buf_room(b, 8192)) && (n = read(fd, to, 8192)) > 0)
		buf_grown(b, (size_t)n);
}

static int split(struct str line, struct str *fields, int n)
{
	int i = 0;
	while (i < n && str_split(&line, ':', &fields[i]))
		i++;
	return i;
}

static bool parse_id(struct str s, uint32_t *ret)
{
	int64_t v;
	if (num_parse_i64(s, 0, UINT32_MAX - 1, &v, NULL) < 0)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* name:password:uid:gid:gecos:home:shell */
static bool fill(struct str line, struct user *u)
{
	struct str f[7];
	if (split(line, f, 7) < 7 || !parse_id(f[2], &u->uid) || !parse_id(f[3], &u->gid))
		return false;
	snprintf(u->name, sizeof(u->name), "%.*s", STR_ARG(f[0]));
	snprintf(u->home, sizeof(u->home), "%.*s", STR_ARG(f[5]));
	snprintf(u->shell, sizeof(u->shell), "%.*s", STR_ARG(f[6]));
	return true;
}

static bool find_entry(struct str name, const uint32_t *uid, struct user *ret)
{
	auto_buf struct buf b = BUF_INIT(FILE_BYTES_MAX);
	read_table("/etc/passwd", &b);
	struct str rest = buf_str(&b), line;
	while (str_split(&rest, '\n', &line)) {
		struct user u = { 0 };
		if (fill(line, &u) && (uid ? u.uid == *uid : str_is(name, u.name))) {
			*ret = u;
			return true;
		}
	}
	return false;
}

/* name:password:gid:member,member */
static void find_groups(struct user *u)
{
	auto_buf struct buf b = BUF_INIT(FILE_BYTES_MAX);
	read_table("/etc/group", &b);
	struct str rest = buf_str(&b), line;
	u->n_groups = 0;
	u->groups[u->n_groups++] = u->gid;
	while (str_split(&rest, '\n', &line) && u->n_groups < USER_GROUPS_MAX) {
		struct str f[4], member;
		uint32_t gid;
		if (split(line, f, 4) < 4 || !parse_id(f[2], &gid) || gid == u->gid)
			continue;
		while (str_split(&f[3], ',', &member))
			if (str_is(member, u->name)) {
				u->groups[u->n_groups++] = gid;
				break;
			}
	}
}

static void unknown(uint32_t uid, uint32_t gid, struct user *u)
{
	*u = (struct user){ .uid = uid, .gid = gid, .home = "/", .shell = "/bin/sh" };
	snprintf(u->name, sizeof(u->name), "%u", uid);
}

void user_self(struct user *ret)
{
	uint32_t uid = geteuid();
	if (!find_entry(STR_NONE, &uid, ret))
		unknown(uid, getegid(), ret);
	ret->gid = getegid();
	ret->is_other = false;
}

int user_find(struct str who, struct user *ret, struct error *err)
{
	struct str rest = who, name, group;
	uint32_t uid, gid = 0;
	str_split(&rest, ':', &name);
	bool has_group = str_split(&rest, ':', &group);
	if (has_group && !parse_id(group, &gid))
		return error_set(err, ERROR_INVALID, "'%.*s' is no number of a group",
			STR_ARG(str_first(group, 60)));
	struct user u;
	bool is_number = parse_id(name, &uid);
	if (!find_entry(name, is_number ? &uid : NULL, &u)) {
		if (!is_number)
			return error_set(err, ERROR_NOT_FOUND, "no user '%.*s' in the sandbox",
				STR_ARG(str_first(who, 60)));
		unknown(uid, uid, &u);
	}
	if (has_group)
		u.gid = gid;
	find_groups(&u);
	u.is_other = u.uid != geteuid() || u.gid != getegid();
	*ret = u;
	return 0;
}

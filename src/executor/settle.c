/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/settle.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "executor/user.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define AGENT_HOME "/home/agent"

/* What is there already keeps its owner: that is the image's or the mount's business. */
static int make_dir(const char *path, const struct user *user, struct error *err)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : error_sys(err, ENOTDIR, "use %s", path);
	if (file_mkdirs(path, 0755, err) < 0)
		return -1;
	if (chown(path, user->uid, user->gid) < 0)
		return error_sys(err, errno, "give %s to user %u", path, user->uid);
	return 0;
}

/* An image without such a file has no need of the line. */
static void append(const char *path, const char *line)
{
	auto_fd int fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0)
		file_write_all(fd, str_from(line), NULL);
}

/* ssh, git and many others will not work for somebody who has no name. */
static int make_account(const struct user *user, struct error *err)
{
	auto_free char *line = mem_printf("agent:x:%u:%u:agent:" AGENT_HOME ":/bin/bash\n",
		user->uid, user->gid);
	auto_free char *group = mem_printf("agent:x:%u:\n", user->gid);
	append("/etc/passwd", line);
	append("/etc/group", group);
	return make_dir(AGENT_HOME, user, err);
}

/* For good, and with every capability. */
static int become(const struct user *user, struct error *err)
{
	if (setgroups((size_t)user->n_groups, user->groups) < 0 ||
		setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return error_sys(err, errno, "become user %u", user->uid);
	return 0;
}

static int settle_user(const char *who, struct user *ret, struct error *err)
{
	if (!who) {
		user_self(ret);
		return 0;
	}
	if (user_find(str_from(who), ret, err) < 0)
		return -1;
	if (ret->uid == 0)
		return error_set(err, ERROR_INVALID,
			"the image's user '%.60s' is root, which was not asked for", who);
	bool has_account = ret->name[0] < '0' || ret->name[0] > '9';
	return has_account ? 0 : make_account(ret, err);
}

int settle_in(const struct settle *s, struct error *err)
{
	struct user user;
	umask(022);
	if (settle_user(s->user, &user, err) < 0 || make_dir(s->workdir, &user, err) < 0 ||
		(s->user && become(&user, err) < 0))
		return -1;
	/* Nobody inside may look into who serves them, whoever they are. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return error_sys(err, errno, "keep others out");
	return 0;
}

static int open_first(const char *path, const char *other)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : open(other, O_RDONLY | O_CLOEXEC);
}

void settle_limits(struct limits *ret)
{
	ret->memory_fd = open_first("/sys/fs/cgroup/memory.events",
		"/sys/fs/cgroup/memory/memory.oom_control");
	ret->pids_fd = open_first("/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev: a directory of the work area. No user namespace may make device nodes, so the host's six
 * harmless ones are bound, and checked to be what they are called. Terminals are the sandbox's own
 * (devpts).
 */
#include "sandbox/step.h"

#include "base/auto.h"
#include "sandbox/nslimit.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const struct {
	const char *name;
	unsigned major, minor;
} numbers[] = {
	{ "null", 1, 3 },
	{ "zero", 1, 5 },
	{ "full", 1, 7 },
	{ "random", 1, 8 },
	{ "urandom", 1, 9 },
	{ "tty", 5, 0 },
};

int dev_open(struct build *b, const struct step *s, struct error *err)
{
	b->dev_fd = open_tree(b->work_fd, "dev", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (b->dev_fd < 0)
		return nslimit_sys(err, errno, "clone");
	auto_fd int target = -1;
	if (files_target_dir(b, "/dev", 0755, 0, &target, err) < 0)
		return -1;
	return mounts_attach(b->dev_fd, target, err);
}

static bool is_device(const struct stat *st, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!strcmp(numbers[i].name, name))
			return S_ISCHR(st->st_mode) &&
				st->st_rdev == makedev(numbers[i].major, numbers[i].minor);
	return false;
}

int dev_device(struct build *b, const struct step *s, struct error *err)
{
	if (mknodat(b->dev_fd, s->path, S_IFREG | 0644, 0) < 0)
		return error_sys(err, errno, "make a place");
	if (fchdir(b->dev_fd) < 0 || mount(s->source, s->path, NULL, MS_BIND, NULL) < 0)
		return error_sys(err, errno, "bind");
	struct stat st;
	if (stat(s->path, &st) < 0)
		return error_sys(err, errno, "stat");
	if (!is_device(&st, s->path))
		return error_set(err, ERROR_INTERNAL, "%s is not that device", s->source);
	return fchdir(b->work_fd) < 0 ? error_sys(err, errno, "enter the work area") : 0;
}

int dev_pts(struct build *b, const struct step *s, struct error *err)
{
	auto_fd int fd = -1, target = -1;
	if (mounts_make("devpts", s->data, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, &fd, err) < 0)
		return -1;
	if (files_target_dir(b, s->path, 0755, 0, &target, err) < 0)
		return -1;
	return mounts_attach(fd, target, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc of the sandbox's own pid namespace. What tells about the machine is covered; it is writable
 * just as long as it takes to set the sysctls of the sandbox's own namespaces, and then read-only
 * for good, which closes every sysctl whatever the ids are. Nothing of the agent's runs before.
 */
#include "sandbox/step.h"

#include "base/auto.h"
#include "base/file.h"
#include "sandbox/nslimit.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>

enum { HARMLESS = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };

int proc_open(struct build *b, const struct step *s, struct error *err)
{
	auto_fd int target = -1;
	if (mounts_make("proc", "hidepid=invisible", HARMLESS, &b->proc_fd, err) < 0 ||
		files_target_dir(b, "/proc", 0555, 0, &target, err) < 0)
		return -1;
	return mounts_attach(b->proc_fd, target, err);
}

static int cover_dir(const struct build *b, const char *name, struct error *err)
{
	auto_fd int fd = open_tree(b->work_fd, "empty", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | HARMLESS };
	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return nslimit_sys(err, errno, "clone an empty directory");
	if (move_mount(fd, "", b->proc_fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_sys(err, errno, "cover");
	return 0;
}

int proc_mask(struct build *b, const struct step *s, struct error *err)
{
	if (s->flags & STEP_IS_DIR)
		return cover_dir(b, s->path, err);
	if (fchdir(b->proc_fd) < 0 || mount("/dev/null", s->path, NULL, MS_BIND, NULL) < 0)
		return error_sys(err, errno, "cover");
	return fchdir(b->work_fd) < 0 ? error_sys(err, errno, "enter the work area") : 0;
}

int proc_sysctl(struct build *b, const struct step *s, struct error *err)
{
	char path[80];
	int n = snprintf(path, sizeof(path), "sys/%s", s->path);
	for (int i = 0; i < n; i++)
		if (path[i] == '.')
			path[i] = '/';
	return file_write_once(b->proc_fd, path, str_from(s->data), err);
}

int proc_lock(struct build *b, const struct step *s, struct error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	if (mount_setattr(b->proc_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_sys(err, errno, "make /proc read-only");
	return 0;
}

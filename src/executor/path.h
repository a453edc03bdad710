/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: how a path from a request becomes a descriptor. Every one is resolved beneath the sandbox's
 * root by the kernel (openat2: RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS), so whoever swaps
 * directories and symbolic links meanwhile gets another place inside the root, never one outside.
 * Where a kernel has no openat2 a walk over O_PATH descriptors does the same.
 *
 * Opening never hangs and never makes a file: FIFOs and devices are opened without blocking and
 * then refused, new files are made next to their descriptor by who writes them. Contents are only
 * taken from file systems on an allow list: not proc, sysfs, devpts, cgroup, fuse or nfs.
 *
 * With a `place` there is no sandbox's root, but a workspace that the host's paths lead to: a path
 * that does not begin there, or leads out of it, is ERROR_FORBIDDEN; an absolute link is one that
 * leads out.
 *
 *	char path[PATH_SIZE];
 *	if (path_join(workdir, where.cwd, where.path, path, err) < 0 ||
 *		path_open_file(&root, path, O_RDONLY, &fd, &st, err) < 0)
 *		return -1;
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <sys/stat.h>

enum { PATH_SIZE = 4096, PATH_NAME_SIZE = 256 };

struct path_root {
	int fd;            /* directory; not owned */
	const char *place; /* its own absolute path, where paths are the host's; NULL: it is "/" */
	bool walks;        /* without openat2 */
	bool has_owner; /* directories made belong to uid and gid, not to the executor's own user */
	uid_t uid;
	gid_t gid;
};

/* A name in an open directory: what a path stands for when the thing itself is made or replaced. */
struct path_at {
	int dir_fd; /* owned; close it */
	char name[PATH_NAME_SIZE];
};
#define PATH_AT_NONE ((struct path_at){ .dir_fd = -1 })
#define auto_path_at __attribute__((cleanup(path_at_close)))
void path_at_close(struct path_at *at);

/* Finds out whether the kernel has openat2. */
struct path_root path_root(int fd);

/*
 * The absolute path that `path` means, seen from `cwd` (may be STR_NONE), seen from `workdir`:
 * without "." and doubled or final slashes, ".." kept. ERROR_INVALID for NUL, nothing, or 4,096
 * bytes and more.
 */
int path_join(struct str workdir, struct str cwd, struct str path, char ret_path[PATH_SIZE],
	struct error *err);

/*
 * flags as in open(2), without O_CREAT. Close-on-exec, non-blocking and no controlling tty are
 * added.
 */
int path_open(const struct path_root *root, const char *path, int flags, int *ret_fd,
	struct error *err);
/* Refuses everything but a regular file of an allowed file system. ret_st may be NULL. */
int path_open_file(const struct path_root *root, const char *path, int flags, int *ret_fd,
	struct stat *ret_st, struct error *err);
/* O_RDONLY | O_DIRECTORY, of an allowed file system. */
int path_open_dir(const struct path_root *root, const char *path, int *ret_fd, struct error *err);

/*
 * The directory that holds the path's last component, which is not looked at. Refuses "/" and
 * "x/..".
 */
int path_open_parent(const struct path_root *root, const char *path, struct path_at *ret,
	struct error *err);
/* The same after following symbolic links in the last component, also to what does not exist. */
int path_open_target(const struct path_root *root, const char *path, struct path_at *ret,
	struct error *err);

/* mkdir -p: how many were made. */
int path_mkdirs(const struct path_root *root, const char *path, mode_t mode, struct error *err);
/* mkdir -p of everything but the last component. */
int path_mkdirs_above(const struct path_root *root, const char *path, struct error *err);

/* ERROR_FORBIDDEN unless the descriptor is on a file system that contents may be taken from. */
int path_check_fs(int fd, const char *path, struct error *err);
bool path_is_allowed_fs(int fd);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A stack of open directories, the innermost last. Names are removed as they
 * are read; a directory that is not empty is entered; one that has been emptied is left and removed
 * from the one above. The stack is short: a directory that lies deeper than it reaches is first
 * moved up to just below the top, so depth costs neither descriptors nor memory.
 */
#include "executor/remove.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/id.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { STACK_MAX = 32 };

struct removal {
	DIR *dirs[STACK_MAX];
	char names[STACK_MAX][PATH_NAME_SIZE]; /* of each, in the one above */
	int depth;
	int base_fd; /* where names[0] is */
	uint64_t mount;
	int64_t *count;
	struct error *err;
};

static uint64_t mount_of(int fd)
{
	struct statx x;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) == 0 && x.stx_mask & STATX_MNT_ID)
		return x.stx_mnt_id;
	struct stat st;
	return fstat(fd, &st) == 0 ? st.st_dev : 0;
}

static int fail(struct removal *r, const char *name)
{
	return error_sys(r->err, errno, "remove %s", name);
}

/* The descriptor of the directory that names[depth] is in. */
static int above(const struct removal *r, int depth)
{
	return depth ? dirfd(r->dirs[depth - 1]) : r->base_fd;
}

/* `from_fd` and `name` say where the directory is now. */
static int enter(struct removal *r, int from_fd, const char *name)
{
	int fd = openat(from_fd, name,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail(r, name);
	if (r->depth == 0)
		r->mount = mount_of(fd);
	if (mount_of(fd) != r->mount || !path_is_allowed_fs(fd)) {
		close_fd(fd);
		return error_set(r->err, ERROR_FORBIDDEN,
			"remove %s: another file system is mounted there", name);
	}
	DIR *dir = fdopendir(fd);
	if (!dir) {
		fail(r, name);
		close_fd(fd);
		return -1;
	}
	snprintf(r->names[r->depth], PATH_NAME_SIZE, "%s", name);
	r->dirs[r->depth++] = dir;
	return 0;
}

/* Enters a directory below the innermost, after moving it up if the stack is full. */
static int descend(struct removal *r, const char *name)
{
	if (r->depth < STACK_MAX)
		return enter(r, dirfd(r->dirs[r->depth - 1]), name);
	char moved[PATH_NAME_SIZE], id[ID_SIZE];
	id_make(id);
	snprintf(moved, sizeof(moved), ".cay-%s.removed", id);
	if (renameat(dirfd(r->dirs[r->depth - 1]), name, dirfd(r->dirs[0]), moved) < 0)
		return errno == ENOENT ? 0 : fail(r, name);
	rewinddir(r->dirs[0]); /* it will be found there */
	return 0;
}

static int remove_name(struct removal *r, const char *name)
{
	int fd = dirfd(r->dirs[r->depth - 1]);
	if (unlinkat(fd, name, 0) == 0) {
		++*r->count;
		return 0;
	}
	if (errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return fail(r, name);
	int why = errno;
	if (unlinkat(fd, name, AT_REMOVEDIR) == 0) {
		++*r->count;
		return 0;
	}
	if (errno == ENOTDIR)
		errno = why;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return descend(r, name);
	if (errno == EBUSY)
		return error_set(r->err, ERROR_FORBIDDEN, "remove %s: something is mounted there",
			name);
	return errno == ENOENT ? 0 : fail(r, name);
}

/*
 * The innermost directory has been read to its end. What is still in it was made meanwhile, or
 * passed over while names went away: it is read again.
 */
static int leave(struct removal *r)
{
	int depth = r->depth - 1;
	if (unlinkat(above(r, depth), r->names[depth], AT_REMOVEDIR) < 0) {
		if (errno == ENOTEMPTY || errno == EEXIST) {
			rewinddir(r->dirs[depth]);
			return 0;
		}
		if (errno != ENOENT)
			return fail(r, r->names[depth]);
	} else {
		++*r->count;
	}
	closedir(r->dirs[depth]);
	r->depth--;
	return 0;
}

static int remove_all(struct removal *r)
{
	int result = 0;
	while (result == 0 && r->depth) {
		errno = 0;
		struct dirent *e = readdir(r->dirs[r->depth - 1]);
		if (!e)
			result = errno ? fail(r, r->names[r->depth - 1]) : leave(r);
		else if (!str_is(STR("."), e->d_name) && !str_is(STR(".."), e->d_name))
			result = remove_name(r, e->d_name);
	}
	while (r->depth)
		closedir(r->dirs[--r->depth]);
	return result;
}

int remove_tree(const struct path_at *at, int64_t *count, struct error *err)
{
	if (unlinkat(at->dir_fd, at->name, 0) == 0) {
		++*count;
		return 0;
	}
	if (errno != EISDIR && errno != EPERM)
		return error_sys(err, errno, "remove %s", at->name);
	struct removal *r = mem_new(struct removal);
	*r = (struct removal){ .base_fd = at->dir_fd, .count = count, .err = err };
	int result = enter(r, at->dir_fd, at->name);
	if (result == 0 && r->depth == 0)
		result = error_sys(err, ENOENT, "remove %s", at->name);
	if (result == 0)
		result = remove_all(r);
	free(r);
	return result;
}

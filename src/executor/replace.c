/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/replace.h"

#include "base/auto.h"
#include "base/file.h"
#include "base/id.h"
#include "executor/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

enum { OLD_FLAGS = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

/*
 * What is there now, which must be a regular file that may be written. *ret_fd stays -1 for
 * nothing.
 */
static int look(struct replace *r, struct stat *st, int *ret_fd, struct error *err)
{
	auto_fd int fd = openat(r->at.dir_fd, r->at.name, O_WRONLY | OLD_FLAGS);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 &&
		errno == ETXTBSY) /* a program that runs: it can be replaced, not written to */
		fd = openat(r->at.dir_fd, r->at.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENXIO || errno == ENODEV))
		return error_set(err, ERROR_INVALID, "write %s: not a regular file", r->path);
	if (fd < 0 || fstat(fd, st) < 0)
		return error_sys(err, errno, "write %s", r->path);
	if (!S_ISREG(st->st_mode))
		return error_set(err, ERROR_INVALID, "write %s: not a regular file", r->path);
	*ret_fd = take_fd(&fd);
	return 0;
}

bool replace_is_temp(struct str name)
{
	return str_starts(name, STR(".cay-")) && str_ends(name, STR(".part"));
}

static int open_temp(struct replace *r)
{
	char id[ID_SIZE];
	id_make(id);
	snprintf(r->temp, sizeof(r->temp), ".cay-%s.part", id);
	r->fd = openat(r->at.dir_fd, r->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		0600);
	if (r->fd < 0)
		r->temp[0] = '\0';
	return r->fd;
}

/*
 * True if the new file could be given the old one's owner, or the sandbox's user where there is
 * none.
 */
static bool set_owner(const struct replace *r, const struct stat *old)
{
	struct stat now;
	if (r->created) {
		files_own(r->root, r->fd);
		return true;
	}
	if (fstat(r->fd, &now) == 0 && now.st_uid == old->st_uid && now.st_gid == old->st_gid)
		return true;
	return fchown(r->fd, old->st_uid, old->st_gid) == 0;
}

/* No new file can be made here; if there is an old one, the new content is collected in memory. */
static int collect_in_memory(struct replace *r, struct error *err)
{
	int sys = errno;
	if (r->created || (sys != EACCES && sys != EPERM && sys != EROFS))
		return error_sys(err, sys, "write %s", r->path);
	r->fd = (int)syscall(SYS_memfd_create, "replace", 1u /* close on exec */);
	if (r->fd < 0)
		return error_sys(err, errno, "write %s", r->path);
	r->in_place = true;
	return 0;
}

static int open_at(struct replace *r, bool create_parents, struct error *err)
{
	struct error missing;
	if (path_open_target(r->root, r->path, &r->at, &missing) == 0)
		return 0;
	if (missing.code == ERROR_NOT_FOUND && create_parents) {
		if (path_mkdirs_above(r->root, r->path, err) < 0)
			return -1;
		return path_open_target(r->root, r->path, &r->at, err);
	}
	if (err)
		*err = missing;
	return -1;
}

int replace_begin(struct replace *r, const struct path_root *root, const char *path,
	const struct replace_how *how, struct error *err)
{
	struct stat old = { 0 };
	auto_fd int old_fd = -1;
	mode_t mode;
	r->root = root;
	r->exclusive = how->exclusive;
	r->path = path;
	mode_t standard;
	if (files_mode(how->new_mode, 0644, &standard, err) < 0 ||
		files_mode(how->mode, standard, &mode, err) < 0 ||
		open_at(r, how->create_parents, err) < 0)
		return -1;
	if (path_check_fs(r->at.dir_fd, path, err) < 0 || look(r, &old, &old_fd, err) < 0)
		return -1;
	r->created = old_fd < 0;
	if (!r->created && how->exclusive)
		return error_set(err, ERROR_EXISTS, "write %s: the file exists", path);
	r->mode = how->mode.ptr || r->created ? mode : old.st_mode & 07777;
	if (open_temp(r) < 0)
		return collect_in_memory(r, err);
	r->in_place = !set_owner(r, &old);
	return 0;
}

int replace_add(struct replace *r, struct str bytes, struct error *err)
{
	if (!r->temp[0] && r->bytes + (int64_t)bytes.len > REPLACE_MEMORY_MAX)
		return error_set(err, ERROR_TOO_LARGE,
			"write %s: over %d bytes cannot replace a file in a directory that is not writable",
			r->path, REPLACE_MEMORY_MAX);
	if (file_write_all(r->fd, bytes, err) < 0)
		return error_wrap(err, "write %s", r->path);
	r->bytes += (int64_t)bytes.len;
	return 0;
}

int replace_measure(struct replace *r, struct error *err)
{
	struct stat st;
	if (fstat(r->fd, &st) < 0)
		return error_sys(err, errno, "write %s", r->path);
	r->bytes = st.st_size;
	return 0;
}

static int copy_all(struct replace *r, int to_fd, struct error *err)
{
	char chunk[8192];
	for (off_t at = 0; at < r->bytes;) {
		ssize_t n = pread(r->fd, chunk, sizeof(chunk), at);
		if (n <= 0 || pwrite(to_fd, chunk, (size_t)n, at) != n)
			return error_sys(err, n == 0 ? EIO : errno, "write %s in place", r->path);
		at += n;
	}
	return 0;
}

/* The room is reserved first: when there is none, the old content is still whole. */
static int write_in_place(struct replace *r, struct error *err)
{
	auto_fd int fd = openat(r->at.dir_fd, r->at.name, O_WRONLY | OLD_FLAGS);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "write %s in place", r->path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "write %s: not a regular file", r->path);
	if (r->bytes > 0 && fallocate(fd, 0, 0, r->bytes) < 0 && errno != EOPNOTSUPP &&
		errno != ENOSYS) {
		int sys = errno;
		bool is_restored = ftruncate(fd, st.st_size) == 0;
		return error_sys(err, sys, is_restored ? "write %s" : "write %s, now longer",
			r->path);
	}
	if (copy_all(r, fd, err) < 0)
		return -1;
	if (ftruncate(fd, r->bytes) < 0 ||
		(r->mode != (st.st_mode & 07777) && fchmod(fd, r->mode) < 0))
		return error_sys(err, errno, "write %s in place", r->path);
	return 0;
}

int replace_commit(struct replace *r, struct error *err)
{
	if (r->in_place)
		return write_in_place(r, err);
	if (fchmod(r->fd, r->mode) < 0)
		return error_sys(err, errno, "set the mode of %s", r->path);
	int r2 = r->exclusive
		? renameat2(r->at.dir_fd, r->temp, r->at.dir_fd, r->at.name, RENAME_NOREPLACE)
		: renameat(r->at.dir_fd, r->temp, r->at.dir_fd, r->at.name);
	if (r2 < 0 && errno == EBUSY) /* something is mounted on the file */
		return write_in_place(r, err);
	if (r2 < 0)
		return error_sys(err, errno, "write %s", r->path);
	r->temp[0] = '\0';
	return 0;
}

void replace_end(struct replace *r)
{
	if (r->temp[0])
		unlinkat(r->at.dir_fd, r->temp, 0);
	r->temp[0] = '\0';
	r->fd = close_fd(r->fd);
	path_at_close(&r->at);
}

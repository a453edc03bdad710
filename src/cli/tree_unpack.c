/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tree.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "wire/pack.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { PIECE = 256 * 1024, DIRS_MAX = 4 * 1024 * 1024 };

/* A directory's mode and date are set when everything is in it: it may forbid writing. */
struct dir_mark {
	char *path;
	mode_t mode;
	int64_t mtime_s;
};

struct unpacking {
	int dir_fd;
	int in_fd;
	struct tree_count count;
	mode_t mask; /* the caller's umask */
	char *in, *piece;
	struct dir_mark *dirs;
	size_t n_dirs, room;
};

static ssize_t read_in(void *arg, const void **ret_bytes, struct error *err)
{
	struct unpacking *u = arg;
	ssize_t n;
	while ((n = read(u->in_fd, u->in, PIECE)) < 0 && errno == EINTR)
		;
	*ret_bytes = u->in;
	return n < 0 ? error_sys(err, errno, "read") : n;
}

/* "a//./b/" becomes "a/b"; "" if it names the directory itself. */
static int plain_path(const char *path, char ret[PACK_PATH_MAX + 1], struct error *err)
{
	struct str rest = str_from(path), part;
	size_t n = 0;
	if (path[0] == '/')
		return error_set(err, ERROR_FORBIDDEN, "'%.100s' is an absolute name", path);
	while (str_split(&rest, '/', &part)) {
		if (part.len == 0 || str_is(part, "."))
			continue;
		if (str_is(part, ".."))
			return error_set(err, ERROR_FORBIDDEN, "'%.100s' leads out", path);
		if (n)
			ret[n++] = '/';
		memcpy(ret + n, part.ptr, part.len);
		n += part.len;
	}
	ret[n] = '\0';
	return 0;
}

/*
 * One step down; the name is neither ".." nor holds a '/'. Made if it is missing; never through a
 * link.
 */
static int open_step(int dir_fd, const char *name, struct error *err)
{
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir_fd, name, flags);
	if (fd < 0 && errno == ENOENT && mkdirat(dir_fd, name, 0777) == 0)
		fd = openat(dir_fd, name, flags);
	return fd < 0 ? error_sys(err, errno, "directory '%.100s'", name) : fd;
}

/* The directory that holds `path`, which is cut for it; *ret_name is the path's last part. */
static int open_parent(struct unpacking *u, char *path, int *ret_fd, const char **ret_name,
	struct error *err)
{
	auto_fd int fd = fcntl(u->dir_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, errno, "dup");
	for (char *slash; (slash = strchr(path, '/')); path = slash + 1) {
		*slash = '\0';
		int next = open_step(fd, path, err);
		if (next < 0)
			return -1;
		close(fd);
		fd = next;
	}
	*ret_name = path;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* An entry replaces what has its name, unless both are directories. */
static int clear_place(int dir_fd, const char *name, struct error *err)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	return errno == EISDIR ? error_set(err, ERROR_EXISTS, "a directory is in its place")
			       : error_sys(err, errno, "replace");
}

static int unpack_bytes(struct unpacking *u, struct pack_reader *reader, int fd, struct error *err)
{
	ssize_t n;
	while ((n = pack_read(reader, u->piece, PIECE, err)) > 0)
		if (file_write_sparse(fd, str_from_len(u->piece, (size_t)n), err) < 0)
			return -1;
	return n < 0 ? -1 : file_end_sparse(fd, err);
}

static void set_date(int fd, int64_t mtime_s)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = mtime_s } };
	if (mtime_s)
		futimens(fd, times);
}

static int unpack_file(struct unpacking *u, struct pack_reader *reader,
	const struct pack_item *item, int dir_fd, const char *name, struct error *err)
{
	if (clear_place(dir_fd, name, err) < 0)
		return -1;
	auto_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		0600);
	if (fd < 0)
		return error_sys(err, errno, "make");
	if (unpack_bytes(u, reader, fd, err) < 0)
		return -1;
	if (fchmod(fd, item->mode & 0777 & ~u->mask) < 0)
		return error_sys(err, errno, "set mode");
	set_date(fd, item->mtime_s);
	return 0;
}

static int unpack_dir(struct unpacking *u, const struct pack_item *item, const char *path,
	int dir_fd, const char *name, struct error *err)
{
	struct stat st;
	if (mkdirat(dir_fd, name, 0700) < 0) {
		if (errno != EEXIST)
			return error_sys(err, errno, "make");
		if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return error_sys(err, errno, "look");
		bool is_dir = S_ISDIR(st.st_mode);
		if (!is_dir && (unlinkat(dir_fd, name, 0) < 0 || mkdirat(dir_fd, name, 0700) < 0))
			return error_sys(err, errno, "replace");
	}
	if (u->n_dirs == DIRS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d directories", DIRS_MAX);
	if (u->n_dirs == u->room) {
		u->room = u->room ? 2 * u->room : 64;
		u->dirs = mem_realloc(u->dirs, u->room * sizeof(*u->dirs));
	}
	u->dirs[u->n_dirs++] = (struct dir_mark){ mem_strdup(path), item->mode & 0777 & ~u->mask,
		item->mtime_s };
	return 0;
}

static int unpack_hardlink(struct unpacking *u, const struct pack_item *item, int dir_fd,
	const char *name, struct error *err)
{
	char path[PACK_PATH_MAX + 1];
	const char *from = "";
	auto_fd int from_fd = -1;
	if (plain_path(item->target, path, err) < 0 ||
		open_parent(u, path, &from_fd, &from, err) < 0 ||
		clear_place(dir_fd, name, err) < 0)
		return -1;
	return linkat(from_fd, from, dir_fd, name, 0) < 0 ? error_sys(err, errno, "link") : 0;
}

static int unpack_symlink(const struct pack_item *item, int dir_fd, const char *name,
	struct error *err)
{
	if (clear_place(dir_fd, name, err) < 0)
		return -1;
	return symlinkat(item->target, dir_fd, name) < 0 ? error_sys(err, errno, "make link") : 0;
}

static int unpack_item(struct unpacking *u, struct pack_reader *reader,
	const struct pack_item *item, struct error *err)
{
	char path[PACK_PATH_MAX + 1] = "", whole[PACK_PATH_MAX + 1];
	const char *name = "";
	auto_fd int dir_fd = -1;
	if (plain_path(item->path, path, err) < 0)
		return -1;
	if (path[0] == '\0')
		return 0;
	if (item->kind == PACK_OTHER) {
		u->count.skipped++;
		return 0;
	}
	memcpy(whole, path, sizeof(whole));
	if (open_parent(u, path, &dir_fd, &name, err) < 0)
		return -1;
	u->count.entries++;
	switch (item->kind) {
	case PACK_FILE:
		return unpack_file(u, reader, item, dir_fd, name, err);
	case PACK_DIR:
		return unpack_dir(u, item, whole, dir_fd, name, err);
	case PACK_SYMLINK:
		return unpack_symlink(item, dir_fd, name, err);
	default:
		return unpack_hardlink(u, item, dir_fd, name, err);
	}
}

/* Beneath the directory, without any link on the way. */
static int open_beneath(int dir_fd, const char *path, int flags)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

/* The innermost first. What is no directory any more was replaced by a later entry. */
static void mark_dirs(struct unpacking *u)
{
	while (u->n_dirs > 0) {
		struct dir_mark *d = &u->dirs[--u->n_dirs];
		auto_fd int fd = open_beneath(u->dir_fd, d->path, O_RDONLY | O_DIRECTORY);
		if (fd >= 0) {
			fchmod(fd, d->mode);
			set_date(fd, d->mtime_s);
		}
		free(d->path);
	}
	free(u->dirs);
}

static int unpack_all(struct unpacking *u, struct pack_reader *reader, struct error *err)
{
	struct pack_item item = { 0 };
	int r;
	while ((r = pack_next(reader, &item, err)) > 0) {
		char name[101];
		snprintf(name, sizeof(name), "%s", item.path);
		if (unpack_item(u, reader, &item, err) < 0)
			return error_wrap(err, "%s", name);
	}
	return r;
}

int tree_unpack(int in_fd, int dir_fd, struct tree_count *ret, struct error *err)
{
	auto_free char *in = mem_alloc(PIECE), *piece = mem_alloc(PIECE);
	struct unpacking u = { .dir_fd = dir_fd, .in_fd = in_fd, .in = in, .piece = piece };
	struct pack_reader *reader;
	u.mask = umask(0);
	umask(u.mask);
	if (pack_reader_new(PACK_TAR, read_in, &u, &reader, err) < 0)
		return -1;
	int r = unpack_all(&u, reader, err);
	mark_dirs(&u);
	pack_reader_free(reader);
	*ret = u.count;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each item's directory is reached name by name from the target, with
 * O_NOFOLLOW, so whatever links the archive has made, or somebody makes meanwhile, nothing is
 * written but beneath the target. The directory of the item before is kept open, as items of one
 * directory come together.
 *
 * Zip is read by its table of contents, which is at the end: the stream is first put into a file
 * without a name in the target's file system, so that it counts towards the sandbox's disk and goes
 * by itself.
 */
#include "executor/unpack.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/id.h"
#include "executor/files.h"
#include "executor/zip_names.h"
#include "wire/pack.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>

enum { CHUNK = 256 * 1024, BLOCK = 4096 };

/* Inodes of the files that this archive made: an open-addressed set; 0 is free. */
struct inodes {
	ino_t *slots;
	size_t cap, n;
};

struct unpacking {
	int in_fd;  /* of the archive: the pipe, or the spooled file */
	int dir_fd; /* target */
	const struct path_root *root;
	struct unpack_counts *counts;
	char chunk[CHUNK];      /* what pack reads */
	char parent[PATH_SIZE]; /* relative path of parent_fd; "" is the target itself */
	int parent_fd;          /* -1: none yet */
	struct inodes made;
	int64_t slack;   /* what blocks take around pieces of sparse files */
	bool is_spooled; /* counts->bytes is known already */
	struct unpack_how how;
};

static void inodes_put(struct inodes *set, ino_t inode)
{
	size_t mask = set->cap - 1, at = (inode * 0x9e3779b97f4a7c15u >> 20) & mask;
	while (set->slots[at] && set->slots[at] != inode)
		at = (at + 1) & mask;
	set->n += set->slots[at] == 0;
	set->slots[at] = inode;
}

static void inodes_add(struct inodes *set, ino_t inode)
{
	if (2 * (set->n + 1) > set->cap) {
		struct inodes bigger = { .cap = set->cap ? 2 * set->cap : 256 };
		bigger.slots = mem_new_n(ino_t, bigger.cap);
		for (size_t i = 0; i < set->cap; i++)
			if (set->slots[i])
				inodes_put(&bigger, set->slots[i]);
		free(set->slots);
		*set = bigger;
	}
	inodes_put(set, inode);
}

static bool inodes_has(const struct inodes *set, ino_t inode)
{
	if (!set->cap)
		return false;
	size_t mask = set->cap - 1, at = (inode * 0x9e3779b97f4a7c15u >> 20) & mask;
	while (set->slots[at] && set->slots[at] != inode)
		at = (at + 1) & mask;
	return set->slots[at] == inode;
}

/* ---- where the archive comes from ---- */

static ssize_t read_chunk(int fd, char *to, size_t size, struct error *err)
{
	ssize_t n;
	do
		n = read(fd, to, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? error_sys(err, errno, "read the archive") : n;
}

static ssize_t on_read(void *arg, const void **ret_bytes, struct error *err)
{
	struct unpacking *u = arg;
	ssize_t n = read_chunk(u->in_fd, u->chunk, sizeof(u->chunk), err);
	if (n > 0 && !u->is_spooled)
		u->counts->bytes += n;
	*ret_bytes = u->chunk;
	return n;
}

static int64_t on_seek(void *arg, int64_t offset, int whence, struct error *err)
{
	struct unpacking *u = arg;
	off_t at = lseek(u->in_fd, offset, whence);
	return at < 0 ? error_sys(err, errno, "seek in the archive") : at;
}

/* A file without a name next to where the archive goes. */
static int open_spool(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	char name[PATH_NAME_SIZE], id[ID_SIZE];
	id_make(id);
	snprintf(name, sizeof(name), ".cay-%s.zip", id);
	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0)
		unlinkat(dir_fd, name, 0);
	return fd;
}

static int spool(struct unpacking *u, int from_fd, struct error *err)
{
	ssize_t n;
	u->in_fd = open_spool(u->dir_fd);
	if (u->in_fd < 0)
		return error_sys(err, errno, "keep the archive");
	while ((n = read_chunk(from_fd, u->chunk, sizeof(u->chunk), err)) > 0) {
		u->counts->bytes += n;
		if (file_write_all(u->in_fd, str_from_len(u->chunk, (size_t)n), err) < 0)
			return error_wrap(err, "keep the archive");
	}
	u->is_spooled = true;
	zip_names_unmark(u->in_fd);
	return n < 0 || on_seek(u, 0, SEEK_SET, err) < 0 ? -1 : 0;
}

/* ---- names ---- */

/* The name without ".", doubled and final slashes; "" for the target itself. */
static int clean_name(const char *name, char ret[PATH_SIZE], struct error *err)
{
	struct str rest = str_from(name), piece;
	size_t len = 0;
	int levels = 0;
	if (rest.len >= PATH_SIZE)
		return error_set(err, ERROR_INVALID, "a name of %zu bytes", rest.len);
	if (str_starts(rest, STR("/")))
		return error_set(err, ERROR_INVALID, "%s: an absolute path", name);
	while (str_split(&rest, '/', &piece)) {
		if (piece.len == 0 || str_eq(piece, STR(".")))
			continue;
		if (str_eq(piece, STR("..")))
			return error_set(err, ERROR_INVALID, "%s: a path with '..'", name);
		if (piece.len >= PATH_NAME_SIZE)
			return error_set(err, ERROR_INVALID, "%.60s…: a name of %zu bytes", name,
				piece.len);
		if (++levels > UNPACK_LEVELS_MAX)
			return error_set(err, ERROR_INVALID,
				"%.60s…: more than %d directories deep", name, UNPACK_LEVELS_MAX);
		if (len)
			ret[len++] = '/';
		memcpy(ret + len, piece.ptr, piece.len);
		len += piece.len;
	}
	ret[len] = '\0';
	return 0;
}

/* Enters, or makes and enters, one name. Takes from_fd unless it is the target. */
static int step(struct unpacking *u, int from_fd, const char *name)
{
	int fd = openat(from_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && (mkdirat(from_fd, name, 0755) == 0 || errno == EEXIST)) {
		if (u->root->has_owner &&
			fchownat(from_fd, name, u->root->uid, u->root->gid, AT_SYMLINK_NOFOLLOW) <
				0)
			return -1;
		fd = openat(from_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd;
}

static int open_parent(struct unpacking *u, const char *path, struct error *err)
{
	int fd = -1;
	struct str rest = str_from(path), piece;
	while (str_split(&rest, '/', &piece) && piece.len) {
		char name[PATH_NAME_SIZE];
		memcpy(name, piece.ptr, piece.len);
		name[piece.len] = '\0';
		int next = step(u, fd < 0 ? u->dir_fd : fd, name);
		int sys = errno;
		close_fd(fd);
		fd = next;
		if (fd < 0)
			return sys == ENOTDIR || sys == ELOOP
				? error_set(err, ERROR_INVALID,
					  "%s: '%s' on the way is no directory", path, name)
				: error_sys(err, sys, "%s", path);
	}
	if (u->parent_fd != u->dir_fd)
		close_fd(u->parent_fd);
	u->parent_fd = fd < 0 ? u->dir_fd : fd;
	snprintf(u->parent, sizeof(u->parent), "%s", path);
	return 0;
}

/* Opens the directory of a cleaned path; *ret_name is its last component. */
static int find_place(struct unpacking *u, char path[PATH_SIZE], const char **ret_name,
	struct error *err)
{
	char *slash = strrchr(path, '/');
	const char *dir = slash ? path : "";
	if (slash)
		*slash = '\0';
	int r = u->parent_fd >= 0 && strcmp(dir, u->parent) == 0 ? 0 : open_parent(u, dir, err);
	*ret_name = slash ? slash + 1 : path;
	return r;
}

/* ---- items ---- */

/* There is no umask meanwhile: /tmp is everybody's, and sticky. */
static int make_dir(struct unpacking *u, const char *name, const struct pack_item *item,
	struct error *err)
{
	int at = u->parent_fd;
	if (mkdirat(at, name, (item->mode & 01777) | 0700) == 0) {
		if (u->root->has_owner &&
			fchownat(at, name, u->root->uid, u->root->gid, AT_SYMLINK_NOFOLLOW) < 0)
			return error_sys(err, errno, "give away %s", item->path);
		return 0;
	}
	struct stat st;
	if (errno != EEXIST || fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "make directory %s", item->path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ERROR_EXISTS, "make directory %s: something else is there",
			item->path);
	return 0;
}

/* Calls make again after what is there, but no directory, has been removed. */
static int make_new(int dir_fd, const char *name, int (*make)(int, const char *, const void *),
	const void *arg)
{
	int r = make(dir_fd, name, arg);
	if (r < 0 && errno == EEXIST && unlinkat(dir_fd, name, 0) == 0)
		r = make(dir_fd, name, arg);
	return r;
}

static int new_file(int dir_fd, const char *name, const void *arg)
{
	const struct pack_item *item = arg;
	return openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		item->mode & 0777);
}

static int new_symlink(int dir_fd, const char *name, const void *target)
{
	return symlinkat(target, dir_fd, name);
}

/* A piece that does not go on where the last one ended takes whole blocks. */
static int count_piece(struct unpacking *u, int64_t end, int64_t offset, ssize_t n,
	struct error *err)
{
	if (offset < 0 || offset > UNPACK_FILE_MAX - n)
		return error_set(err, ERROR_TOO_LARGE, "a file of more than %lld bytes",
			(long long)UNPACK_FILE_MAX);
	if (offset != end)
		u->slack += offset % BLOCK + (BLOCK - end % BLOCK) % BLOCK;
	u->counts->written += n;
	if (u->how.max_bytes && u->counts->written + u->slack > u->how.max_bytes)
		return error_set(err, ERROR_LIMIT, "more than %lld bytes come out of the archive",
			(long long)u->how.max_bytes);
	return 0;
}

static int write_piece(int fd, int64_t offset, const char *bytes, ssize_t n, struct error *err)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, bytes, (size_t)n, offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_sys(err, errno, "write");
		bytes += done;
		offset += done;
		n -= done;
	}
	return 0;
}

static int write_pieces(struct unpacking *u, struct pack_reader *r, int fd,
	const struct pack_item *item, struct error *err)
{
	const void *bytes;
	int64_t offset, end = 0, length = 0;
	ssize_t n;
	if (item->size > UNPACK_FILE_MAX)
		return error_set(err, ERROR_TOO_LARGE, "it has %lld bytes; the limit is %lld",
			(long long)item->size, (long long)UNPACK_FILE_MAX);
	while ((n = pack_read_at(r, &offset, &bytes, err)) > 0) {
		if (count_piece(u, end, offset, n, err) < 0 ||
			write_piece(fd, offset, bytes, n, err) < 0)
			return -1;
		end = offset + n;
		length = MAX(length, end);
	}
	if (n == 0 && length < item->size && ftruncate(fd, item->size) < 0)
		return error_sys(err, errno, "make it as long as it was");
	return (int)n;
}

static int fill_file(struct unpacking *u, struct pack_reader *r, int fd,
	const struct pack_item *item, struct error *err)
{
	struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = item->mtime_s } };
	struct stat st;
	if (write_pieces(u, r, fd, item, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0 || (item->mtime_s > 0 && futimens(fd, times) < 0))
		return error_sys(err, errno, "set the date");
	files_own(u->root, fd);
	inodes_add(&u->made, st.st_ino);
	return 0;
}

static int make_file(struct unpacking *u, struct pack_reader *r, const char *name,
	const struct pack_item *item, struct error *err)
{
	auto_fd int fd = make_new(u->parent_fd, name, new_file, item);
	if (fd < 0)
		return error_sys(err, errno, "make %s", item->path);
	if (fill_file(u, r, fd, item, err) == 0)
		return 0;
	unlinkat(u->parent_fd, name, 0);
	return error_wrap(err, "write %s", item->path);
}

struct link_from {
	int dir_fd;
	const char *name;
};

static int new_link(int dir_fd, const char *name, const void *arg)
{
	const struct link_from *from = arg;
	return linkat(from->dir_fd, from->name, dir_fd, name, 0);
}

/* The file is judged again after the link was made, as it may have been swapped in between. */
static int make_hardlink(struct unpacking *u, const char *name, const struct pack_item *item,
	struct error *err)
{
	char target[PATH_SIZE];
	struct link_from from;
	struct stat st;
	auto_fd int place_fd = fcntl(u->parent_fd, F_DUPFD_CLOEXEC, 3);
	if (place_fd < 0)
		return error_sys(err, errno, "link %s", item->path);
	if (clean_name(item->target, target, err) < 0 || find_place(u, target, &from.name, err) < 0)
		return error_wrap(err, "link %s", item->path);
	from.dir_fd = u->parent_fd;
	if (fstatat(from.dir_fd, from.name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
		!inodes_has(&u->made, st.st_ino))
		return error_set(err, ERROR_INVALID,
			"link %s: %s is no earlier file of the archive", item->path, item->target);
	struct stat now;
	if (fstatat(place_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == st.st_ino)
		return 0;
	if (make_new(place_fd, name, new_link, &from) < 0)
		return error_sys(err, errno, "link %s", item->path);
	if (fstatat(place_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_ino != st.st_ino) {
		unlinkat(place_fd, name, 0);
		return error_set(err, ERROR_CONFLICT, "link %s: the file was replaced meanwhile",
			item->path);
	}
	return 0;
}

/*
 * A character device 0:0, which tells overlayfs that the name is gone. It needs no privilege, but
 * mknod is nobody's here; the kernel makes one too where a file was renamed away.
 */
static int make_mark(struct unpacking *u, const char *name)
{
	char away[PATH_NAME_SIZE], id[ID_SIZE];
	id_make(id);
	snprintf(away, sizeof(away), ".cay-%s", id);
	unlinkat(u->parent_fd, name, 0);
	auto_fd int fd = openat(u->parent_fd, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	int r = renameat2(u->parent_fd, name, u->parent_fd, away, RENAME_WHITEOUT);
	unlinkat(u->parent_fd, r < 0 ? name : away, 0);
	return r;
}

static int make_gone(struct unpacking *u, const char *name, const struct pack_item *item,
	struct error *err)
{
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return error_set(err, ERROR_INVALID, "%s: hides no name", item->path);
	return make_mark(u, name) < 0 ? error_sys(err, errno, "mark %s", item->path) : 0;
}

/* As overlayfs has it when it is mounted with userxattr. */
static int make_opaque(struct unpacking *u, const struct pack_item *item, struct error *err)
{
	auto_fd int fd = openat(u->parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0)
		return error_sys(err, errno, "mark the directory of %s", item->path);
	return 0;
}

/* What an image's layer says by names. */
static int make_whiteout(struct unpacking *u, const char *name, const struct pack_item *item,
	struct error *err)
{
	if (strcmp(name, ".wh..wh..opq") == 0)
		return make_opaque(u, item, err);
	if (str_starts(str_from(name), STR(".wh..wh.")))
		return 0; /* notes of a storage driver */
	return make_gone(u, name + strlen(".wh."), item, err);
}

static int make_item(struct unpacking *u, struct pack_reader *r, const struct pack_item *item,
	struct error *err)
{
	char path[PATH_SIZE];
	const char *name;
	if (clean_name(item->path, path, err) < 0)
		return -1;
	if (!path[0])
		return item->kind == PACK_DIR
			? 0
			: error_set(err, ERROR_INVALID, "%s: names the directory itself",
				  item->path);
	if (item->kind == PACK_OTHER && u->how.is_layer)
		return 0;
	if (item->kind == PACK_OTHER)
		return error_set(err, ERROR_INVALID, "%s: a device, socket or FIFO", item->path);
	if (find_place(u, path, &name, err) < 0)
		return -1;
	if (u->how.is_layer && str_starts(str_from(name), STR(".wh.")))
		return make_whiteout(u, name, item, err);
	switch (item->kind) {
	case PACK_DIR:
		return make_dir(u, name, item, err);
	case PACK_GONE:
		return make_gone(u, name, item, err);
	case PACK_OPAQUE:
		return make_opaque(u, item, err);
	case PACK_HARDLINK:
		return make_hardlink(u, name, item, err);
	case PACK_SYMLINK:
		if (make_new(u->parent_fd, name, new_symlink, item->target) < 0)
			return error_sys(err, errno, "make link %s", item->path);
		return 0;
	default:
		return make_file(u, r, name, item, err);
	}
}

static int make_items(struct unpacking *u, struct pack_reader *r, struct error *err)
{
	struct pack_item item;
	int got;
	while ((got = pack_next(r, &item, err)) > 0) {
		if (++u->counts->items > UNPACK_ITEMS_MAX)
			return error_set(err, ERROR_LIMIT, "an archive of more than %d items",
				UNPACK_ITEMS_MAX);
		if (make_item(u, r, &item, err) < 0)
			return -1;
	}
	return got;
}

static int read_rest(struct unpacking *u, struct error *err)
{
	ssize_t n;
	while ((n = read_chunk(u->in_fd, u->chunk, sizeof(u->chunk), err)) > 0)
		if (!u->is_spooled)
			u->counts->bytes += n;
	return n < 0 ? -1 : 0;
}

static int unpack_items(struct unpacking *u, enum unpack_kind kind, struct error *err)
{
	static const enum pack_format
		formats[] = { [UNPACK_TAR] = PACK_TAR, [UNPACK_CRATE] = PACK_CRATE };
	struct pack_reader *r = NULL;
	bool is_zip = kind == UNPACK_ZIP;
	int done = is_zip ? spool(u, u->in_fd, err) : 0;
	if (done == 0)
		done = is_zip ? pack_reader_new_zip(on_read, on_seek, u, &r, err)
			      : pack_reader_new(formats[kind], on_read, u, &r, err);
	if (done == 0)
		done = make_items(u, r, err);
	if (done == 0 && kind != UNPACK_CRATE)
		done = read_rest(u, err);
	pack_reader_free(r);
	if (is_zip)
		close_fd(u->in_fd);
	return done;
}

int unpack(enum unpack_kind kind, const struct unpack_how *how, int in_fd, int dir_fd,
	const struct path_root *root, struct unpack_counts *ret, struct error *err)
{
	struct unpacking *u = mem_new(struct unpacking);
	*ret = (struct unpack_counts){ 0 };
	u->how = *how;
	u->in_fd = in_fd;
	u->dir_fd = dir_fd;
	u->parent_fd = -1;
	u->root = root;
	u->counts = ret;
	mode_t mask = umask(0);
	int done = unpack_items(u, kind, err);
	umask(mask);
	if (u->parent_fd != dir_fd)
		close_fd(u->parent_fd);
	free(u->made.slots);
	free(u);
	return done;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. resolve() is the only place that turns a path of many components into a
 * descriptor. It asks openat2, or path_walk.c where there is none. Everything else works on its
 * results with single names (openat with O_NOFOLLOW, mkdirat, renameat), which cannot lead away
 * from the directory that was reached.
 *
 * openat2 answers EAGAIN when a rename races with ".."; it is asked again, a bounded number of
 * times, as somebody inside may keep renaming on purpose.
 */
#include "executor/path.h"

#include "base/auto.h"
#include "executor/path_walk.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

enum { RETRIES_MAX = 64, LINKS_MAX = 40 };

/* From linux/magic.h and the file systems' own sources. */
static const unsigned long allowed_fs[] = {
	0x794c7630, /* overlay */
	0x01021994, /* tmpfs */
	0x858458f6, /* ramfs */
	0xef53,     /* ext2, ext3, ext4 */
	0x58465342, /* xfs */
	0x9123683e, /* btrfs */
	0xf2f52010, /* f2fs */
	0x2fc12fc1, /* zfs */
	0xca451a4e, /* bcachefs */
	0x73717368, /* squashfs */
	0xe0f5e1e2, /* erofs */
	0x9660,     /* iso9660 */
	0x4d44,     /* vfat */
	0x2011bab0, /* exfat */
};

static int call_openat2(int root_fd, const char *path, int flags, uint64_t scope)
{
	struct open_how how = {
		.flags = (unsigned)flags,
		.resolve = scope | RESOLVE_NO_MAGICLINKS,
	};
	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

/*
 * What is left of an absolute path beneath the root's place; NULL with errno if it is not beneath
 * it.
 */
static const char *beneath(const struct path_root *root, const char *path)
{
	if (!root->place)
		return path;
	struct str rest = str_from(path);
	bool is_inside = str_starts(rest, str_from(root->place));
	rest = str_skip(rest, strlen(root->place));
	if (!is_inside || (rest.len && rest.ptr[0] != '/')) {
		errno = EXDEV;
		return NULL;
	}
	while (rest.len && rest.ptr[0] == '/')
		rest = str_skip(rest, 1);
	return rest.len ? rest.ptr : ".";
}

struct path_root path_root(int fd)
{
	struct path_root root = { .fd = fd };
	int probe = call_openat2(fd, ".", O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT);
	root.walks = probe < 0 && (errno == ENOSYS || errno == EPERM);
	close_fd(probe);
	return root;
}

static int resolve(const struct path_root *root, const char *path, int flags)
{
	int fd = -1;
	path = beneath(root, path);
	for (int i = 0; path && i < RETRIES_MAX; i++) {
		fd = root->walks ? path_walk(root->fd, path, flags)
				 : call_openat2(root->fd, path, flags,
					   root->place ? RESOLVE_BENEATH : RESOLVE_IN_ROOT);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

void path_at_close(struct path_at *at)
{
	at->dir_fd = close_fd(at->dir_fd);
}

/* Appends the components of `s` that are not empty and not ".". */
static int append(char path[PATH_SIZE], size_t *len, struct str s)
{
	struct str piece;
	while (str_split(&s, '/', &piece)) {
		if (piece.len == 0 || str_eq(piece, STR(".")))
			continue;
		if (*len + 1 + piece.len >= PATH_SIZE)
			return -1;
		path[(*len)++] = '/';
		memcpy(path + *len, piece.ptr, piece.len);
		*len += piece.len;
	}
	path[*len] = '\0';
	return 0;
}

int path_join(struct str workdir, struct str cwd, struct str path, char ret_path[PATH_SIZE],
	struct error *err)
{
	struct str parts[] = { workdir, cwd, path };
	if (path.len == 0)
		return error_set(err, ERROR_INVALID, "a path is empty");
	size_t len = 0;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (str_has_nul(parts[i]))
			return error_set(err, ERROR_INVALID, "a path holds a NUL byte");
		if (str_starts(parts[i], STR("/")))
			len = 0;
		if (append(ret_path, &len, parts[i]) < 0)
			return error_set(err, ERROR_INVALID,
				"a path of %zu bytes or more; the limit is %d", len + parts[i].len,
				PATH_SIZE - 1);
	}
	if (len == 0)
		ret_path[len++] = '/';
	ret_path[len] = '\0';
	return 0;
}

static int open_failed(const char *path, struct error *err)
{
	if (errno == EXDEV)
		return error_set(err, ERROR_FORBIDDEN,
			"%s is outside of the workspace: files can only be worked with in it",
			path);
	if (errno == EAGAIN)
		return error_set(err, ERROR_CONFLICT,
			"open %s: directories on the way keep being renamed", path);
	if (errno == ENXIO || errno == ENODEV)
		return error_set(err, ERROR_INVALID, "open %s: not a regular file", path);
	return error_sys(err, errno, "open %s", path);
}

int path_open(const struct path_root *root, const char *path, int flags, int *ret_fd,
	struct error *err)
{
	int fd = resolve(root, path,
		flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY));
	if (fd < 0)
		return open_failed(path, err);
	*ret_fd = fd;
	return 0;
}

bool path_is_allowed_fs(int fd)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(allowed_fs); i++)
		if ((unsigned long)fs.f_type == allowed_fs[i])
			return true;
	return false;
}

int path_check_fs(int fd, const char *path, struct error *err)
{
	if (path_is_allowed_fs(fd))
		return 0;
	struct statfs fs = { 0 };
	fstatfs(fd, &fs);
	return error_set(err, ERROR_FORBIDDEN,
		"%s is on a file system (type %#lx) that files are not taken from", path,
		(unsigned long)fs.f_type);
}

int path_open_file(const struct path_root *root, const char *path, int flags, int *ret_fd,
	struct stat *ret_st, struct error *err)
{
	auto_fd int fd = -1;
	struct stat st;
	if (path_open(root, path, flags, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return error_sys(err, EISDIR, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, "open %s: not a regular file", path);
	if (path_check_fs(fd, path, err) < 0)
		return -1;
	if (ret_st)
		*ret_st = st;
	*ret_fd = take_fd(&fd);
	return 0;
}

int path_open_dir(const struct path_root *root, const char *path, int *ret_fd, struct error *err)
{
	auto_fd int fd = -1;
	if (path_open(root, path, O_RDONLY | O_DIRECTORY, &fd, err) < 0)
		return -1;
	if (path_check_fs(fd, path, err) < 0)
		return -1;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Cuts an absolute path into the directory ("/" if there is none) and its last component. */
static int split(const char *path, char ret_dir[PATH_SIZE], char ret_name[PATH_NAME_SIZE],
	struct error *err)
{
	struct str s = str_from(path);
	while (s.len > 1 && s.ptr[s.len - 1] == '/')
		s.len--;
	size_t at = s.len;
	while (at > 0 && s.ptr[at - 1] != '/')
		at--;
	struct str name = str_skip(s, at);
	if (name.len == 0 || str_eq(name, STR(".")) || str_eq(name, STR("..")))
		return error_set(err, ERROR_INVALID, "%s does not name an entry of a directory",
			path);
	if (name.len >= PATH_NAME_SIZE)
		return error_sys(err, ENAMETOOLONG, "%s", path);
	memcpy(ret_name, name.ptr, name.len);
	ret_name[name.len] = '\0';
	memcpy(ret_dir, at ? s.ptr : "/", at ? at : 1);
	ret_dir[at ? at : 1] = '\0';
	return 0;
}

int path_open_parent(const struct path_root *root, const char *path, struct path_at *ret,
	struct error *err)
{
	struct path_at at = PATH_AT_NONE;
	char dir[PATH_SIZE];
	if (split(path, dir, at.name, err) < 0)
		return -1;
	at.dir_fd = resolve(root, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at.dir_fd < 0)
		return open_failed(path, err);
	*ret = at;
	return 0;
}

/*
 * Puts the link's target in place of the last component: the result is resolved from the root
 * again.
 */
static int follow(char path[PATH_SIZE], const struct path_at *at, bool *ret_is_link,
	struct error *err)
{
	char link[PATH_SIZE];
	ssize_t n = readlinkat(at->dir_fd, at->name, link, sizeof(link));
	*ret_is_link = n >= 0;
	if (n < 0)
		return 0;
	char joined[PATH_SIZE];
	struct str dir = { path, (size_t)(strrchr(path, '/') - path) };
	if (path_join(dir, STR_NONE, str_from_len(link, (size_t)n), joined, err) < 0)
		return error_wrap(err, "follow %s", path);
	memcpy(path, joined, strlen(joined) + 1);
	return 0;
}

int path_open_target(const struct path_root *root, const char *path, struct path_at *ret,
	struct error *err)
{
	char now[PATH_SIZE];
	if (path_join(STR_NONE, STR_NONE, str_from(path), now, err) < 0)
		return -1;
	for (int i = 0; i < LINKS_MAX; i++) {
		auto_path_at struct path_at at = PATH_AT_NONE;
		bool is_link = false;
		if (path_open_parent(root, now, &at, err) < 0 ||
			follow(now, &at, &is_link, err) < 0)
			return -1;
		if (is_link)
			continue;
		*ret = at;
		at.dir_fd = -1;
		return 0;
	}
	return error_sys(err, ELOOP, "open %s", path);
}

/* Makes `name` in a directory and enters it: 1 made, 0 it was there, -1 errno. */
static int enter_or_make(const struct path_root *root, int *dir_fd, const char *name, mode_t mode)
{
	int made = mkdirat(*dir_fd, name, mode) == 0;
	if (!made && errno != EEXIST)
		return -1;
	if (made && root->has_owner &&
		fchownat(*dir_fd, name, root->uid, root->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	int fd = openat(*dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	close_fd(*dir_fd);
	*dir_fd = fd;
	return made;
}

/*
 * Directories that exist are found by resolving ever longer parts of the path, as links may be
 * among them; from the first missing one on there can be no link, and single names suffice.
 */
int path_mkdirs(const struct path_root *root, const char *path, mode_t mode, struct error *err)
{
	char part[PATH_SIZE];
	int count = 0;
	auto_fd int fd = resolve(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return 0;
	if (errno == EXDEV)
		return open_failed(path, err);
	if (errno != ENOENT)
		return error_sys(err, errno, "make directory %s", path);
	if (path_join(STR_NONE, STR_NONE, str_from(path), part, err) < 0)
		return -1;
	size_t start = root->place ? strlen(root->place) : 0;
	fd = resolve(root, root->place ? root->place : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (char *from = part + start + 1; fd >= 0 && *from;) {
		char *end = strchrnul(from, '/');
		char rest = *end;
		*end = '\0';
		int next = count ? -1 : resolve(root, part, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (next >= 0) {
			close_fd(fd);
			fd = next;
		} else {
			int made = !count && errno != ENOENT ? -1
							     : enter_or_make(root, &fd, from, mode);
			if (made < 0)
				return error_sys(err, errno, "make directory %s", part);
			count += made;
		}
		*end = rest;
		from = end + (rest != '\0');
	}
	return fd < 0 ? error_sys(err, errno, "open the root") : count;
}

int path_mkdirs_above(const struct path_root *root, const char *path, struct error *err)
{
	char dir[PATH_SIZE], name[PATH_NAME_SIZE];
	if (split(path, dir, name, err) < 0)
		return -1;
	return path_mkdirs(root, dir, 0777, err);
}

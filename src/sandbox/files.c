/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories, links and files of the sandbox's tree. In the work area everything is our own making
 * and plain calls do. In the root, whose image may hold any link, the kernel resolves every path as
 * if the root were "/" (RESOLVE_IN_ROOT), and only single names are made, beneath a directory that
 * is open.
 */
#include "sandbox/step.h"

#include "base/auto.h"
#include "base/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { RESOLVE_TRIES = 16 }; /* EAGAIN: something was renamed while ".." was resolved */

static int open_in_root(const struct build *b, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;
	for (int i = 0; i < RESOLVE_TRIES; i++) {
		fd = syscall(SYS_openat2, b->root_fd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return (int)fd;
}

/* One name beneath an open directory; what is there already is no success. */
static int make_dir_at(int parent, const char *name, uint32_t mode, uint32_t uid, int *ret_fd,
	struct error *err)
{
	if (mkdirat(parent, name, mode) < 0)
		return errno == EEXIST
			? error_set(err, ERROR_INVALID, "%s is a link that leads nowhere", name)
			: error_sys(err, errno, "mkdir %s", name);
	if (uid != 0 && fchownat(parent, name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "chown %s", name);
	*ret_fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? error_sys(err, errno, "open %s", name) : 0;
}

static int make_parents(const struct build *b, const char *path, uint32_t mode, uint32_t uid,
	int *ret_fd, struct error *err)
{
	char prefix[SPEC_PATH_SIZE];
	snprintf(prefix, sizeof(prefix), "%s", path);
	auto_fd int parent = open_in_root(b, "/", O_PATH | O_DIRECTORY);
	for (char *at = prefix + 1; at;) {
		char *end = strchr(at, '/');
		if (end)
			*end = '\0';
		auto_fd int fd = open_in_root(b, prefix, O_PATH | O_DIRECTORY);
		if (fd < 0 && errno != ENOENT)
			return error_sys(err, errno, "open %s in the image", prefix);
		if (fd < 0 &&
			make_dir_at(parent, at, end ? 0755 : mode, end ? 0 : uid, &fd, err) < 0)
			return error_wrap(err, "%s", path);
		close_fd(parent);
		parent = take_fd(&fd);
		if (end)
			*end = '/';
		at = end ? end + 1 : NULL;
	}
	*ret_fd = take_fd(&parent);
	return 0;
}

int files_target_dir(const struct build *b, const char *path, uint32_t mode, uint32_t uid,
	int *ret_fd, struct error *err)
{
	int fd = open_in_root(b, path, O_PATH | O_DIRECTORY);
	if (fd < 0 && errno != ENOENT)
		return error_sys(err, errno, "open %s in the image", path);
	if (fd < 0)
		return make_parents(b, path, mode, uid, ret_fd, err);
	*ret_fd = fd;
	return 0;
}

/* The directory that holds the last name of path, which *ret_name points to. */
static int open_parent(const struct build *b, const char *path, const char **ret_name, int *ret_fd,
	struct error *err)
{
	const char *slash = strrchr(path, '/');
	char dir[SPEC_PATH_SIZE];
	snprintf(dir, sizeof(dir), "%.*s", slash > path ? (int)(slash - path) : 1, path);
	*ret_name = slash + 1;
	return files_target_dir(b, dir, 0755, 0, ret_fd, err);
}

int files_target_file(const struct build *b, const char *path, int *ret_fd, struct error *err)
{
	int fd = open_in_root(b, path, O_PATH);
	if (fd < 0 && errno == ENOENT) {
		auto_fd int parent = -1;
		const char *name;
		if (open_parent(b, path, &name, &parent, err) < 0)
			return -1;
		fd = openat(parent, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0644);
	}
	if (fd < 0)
		return error_sys(err, errno, "open %s in the image", path);
	*ret_fd = fd;
	return 0;
}

int files_dir(struct build *b, const struct step *s, struct error *err)
{
	if (s->flags & STEP_IN_ROOT) {
		auto_fd int fd = -1;
		return files_target_dir(b, s->path, s->mode, s->uid, &fd, err);
	}
	if (mkdirat(b->work_fd, s->path, s->mode) < 0)
		return error_sys(err, errno, "mkdir");
	if (s->uid != 0 && fchownat(b->work_fd, s->path, s->uid, s->uid, 0) < 0)
		return error_sys(err, errno, "chown");
	return 0;
}

int files_link(struct build *b, const struct step *s, struct error *err)
{
	if (symlinkat(s->data, b->work_fd, s->path) < 0)
		return error_sys(err, errno, "link");
	return 0;
}

static int write_new(int dir_fd, const char *name, const struct step *s, struct error *err)
{
	auto_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		s->mode);
	if (fd < 0)
		return error_sys(err, errno, "create");
	return file_write_all(fd, str_from(s->data), err);
}

int files_write(struct build *b, const struct step *s, struct error *err)
{
	return write_new(b->work_fd, s->path, s, err);
}

int files_replace(struct build *b, const struct step *s, struct error *err)
{
	auto_fd int parent = -1;
	const char *name;
	if (open_parent(b, s->path, &name, &parent, err) < 0)
		return -1;
	if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
		return error_sys(err, errno, "unlink");
	return write_new(parent, name, s, err);
}

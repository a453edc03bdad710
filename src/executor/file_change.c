/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs mkdir, remove and move. */
#include "base/auto.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/remove.h"
#include "executor/replace.h"

#include <fcntl.h>
#include <stdio.h>

/* {"path":…, KEY:VALUE} where the value is a bool or a number. */
static void finish_with(struct call *call, const char *path, const char *key, int64_t value,
	bool is_bool)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	if (is_bool)
		jsonw_key_bool(&w, key, value);
	else
		jsonw_key_int(&w, key, value);
	jsonw_close(&w);
	files_finish(call, &b);
}

static int make_one(const struct path_root *root, const char *path, mode_t mode, struct error *err)
{
	auto_path_at struct path_at at = PATH_AT_NONE;
	if (path_open_parent(root, path, &at, err) < 0)
		return -1;
	if (mkdirat(at.dir_fd, at.name, mode) < 0)
		return error_sys(err, errno, "make directory %s", path);
	if (root->has_owner &&
		fchownat(at.dir_fd, at.name, root->uid, root->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "give away directory %s", path);
	return 1;
}

/* The mode is for the directory asked for, whatever the umask; those on the way are ordinary. */
static int make_directory(const struct path_root *root, const char *path,
	const struct mkdir_params *p, struct error *err)
{
	mode_t mode;
	if (files_mode(p->mode, 0755, &mode, err) < 0)
		return -1;
	int made = p->parents ? path_mkdirs(root, path, 0755, err)
			      : make_one(root, path, mode, err);
	if (made <= 0 || !p->mode.ptr)
		return made;
	auto_fd int fd = -1;
	if (path_open(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd, err) < 0)
		return -1;
	if (fchmod(fd, mode) < 0)
		return error_sys(err, errno, "set the mode of %s", path);
	return made;
}

static void start_mkdir(struct call *call, const void *params)
{
	const struct mkdir_params *p = params;
	struct error err;
	char path[PATH_SIZE];
	int made = files_path(call, &p->where, path, &err);
	if (made == 0)
		made = make_directory(&call->executor->files->root, path, p, &err);
	if (made < 0)
		call_fail(call, &err);
	else
		finish_with(call, path, "created", made > 0, true);
}

static int remove_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	const char *path = arg;
	auto_path_at struct path_at at = PATH_AT_NONE;
	int64_t count = 0;
	if (path_open_parent(io->root, path, &at, err) < 0)
		return -1;
	if (remove_tree(&at, &count, err) < 0)
		return error_wrap(err, "%s, after %lld entries", path, (long long)count);
	struct jsonw w = JSONW(result);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_int(&w, "removed", count);
	jsonw_close(&w);
	return 0;
}

/* 1 removed, 0 a directory that is not empty, -1. */
static int remove_one(const struct path_root *root, const char *path, struct error *err)
{
	auto_path_at struct path_at at = PATH_AT_NONE;
	if (path_open_parent(root, path, &at, err) < 0)
		return -1;
	if (unlinkat(at.dir_fd, at.name, 0) == 0)
		return 1;
	if ((errno == EISDIR || errno == EPERM) && unlinkat(at.dir_fd, at.name, AT_REMOVEDIR) == 0)
		return 1;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return 0;
	return error_sys(err, errno, "remove %s", path);
}

static void start_remove(struct call *call, const void *params)
{
	const struct remove_params *p = params;
	struct error err;
	char path[PATH_SIZE];
	int r = files_path(call, &p->where, path, &err);
	if (r == 0) {
		r = remove_one(&call->executor->files->root, path, &err);
		if (r == 0 && p->recursive) {
			files_work(call, remove_in_worker, files_keep(call, path));
			return;
		}
		if (r == 0)
			r = error_set(&err, ERROR_CONFLICT,
				"remove %s: the directory is not empty; set recursive", path);
		if (r < 0 && err.code == ERROR_NOT_FOUND && p->missing_ok)
			r = 0;
	}
	if (r < 0)
		call_fail(call, &err);
	else
		finish_with(call, path, "removed", r, false);
}

struct move_job {
	const char *from, *to;
	bool overwrite;
};

static void put_moved(struct buf *b, const struct move_job *job, bool replaced)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(job->from));
	jsonw_key_str(&w, "to", str_from(job->to));
	jsonw_key_bool(&w, "replaced", replaced);
	jsonw_close(&w);
}

/* To another file system: the new file is whole before the old one goes. */
static int copy_over(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	const struct move_job *job = arg;
	auto_path_at struct path_at from = PATH_AT_NONE;
	auto_fd int fd = -1;
	struct stat st;
	static char chunk[256 * 1024];
	char mode[8];
	if (path_open_parent(io->root, job->from, &from, err) < 0)
		return -1;
	fd = openat(from.dir_fd, from.name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "move %s", job->from);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_UNSUPPORTED,
			"move %s: it is no file and %s is on another file system; run mv",
			job->from, job->to);
	snprintf(mode, sizeof(mode), "%04o", st.st_mode & 07777);
	struct replace r = REPLACE_NONE;
	struct replace_how how = { false, !job->overwrite, str_from(mode) };
	int done = replace_begin(&r, io->root, job->to, &how, err);
	ssize_t n = 0;
	while (done == 0 && (n = read(fd, chunk, sizeof(chunk))) > 0)
		done = replace_add(&r, str_from_len(chunk, (size_t)n), err);
	if (done == 0 && n < 0)
		done = error_sys(err, errno, "read %s", job->from);
	struct timespec times[] = { st.st_atim, st.st_mtim };
	if (done == 0)
		futimens(r.fd, times);
	if (done == 0)
		done = replace_commit(&r, err);
	if (done == 0 && unlinkat(from.dir_fd, from.name, 0) < 0)
		done = error_sys(err, errno, "remove %s after it was copied", job->from);
	put_moved(result, job, !r.created);
	replace_end(&r);
	return done;
}

/* 0 moved, 1 the two are on different file systems, -1. */
static int rename_in(const struct path_root *root, const struct move_job *job, bool *ret_replaced,
	struct error *err)
{
	auto_path_at struct path_at from = PATH_AT_NONE, to = PATH_AT_NONE;
	struct stat st;
	if (path_open_parent(root, job->from, &from, err) < 0 ||
		path_open_parent(root, job->to, &to, err) < 0)
		return -1;
	*ret_replaced = fstatat(to.dir_fd, to.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	unsigned flags = job->overwrite ? 0 : RENAME_NOREPLACE;
	if (renameat2(from.dir_fd, from.name, to.dir_fd, to.name, flags) == 0)
		return 0;
	if (errno == EXDEV)
		return 1;
	if (errno == EEXIST || errno == ENOTEMPTY)
		return error_set(err, ERROR_EXISTS, "move %s: %s exists", job->from, job->to);
	return error_sys(err, errno, "move %s to %s", job->from, job->to);
}

static void start_move(struct call *call, const void *params)
{
	const struct move_params *p = params;
	const struct path_root *root = &call->executor->files->root;
	struct file_where to_where = { p->to, p->where.cwd };
	struct error err;
	char from[PATH_SIZE], to[PATH_SIZE];
	struct move_job *job = arena_new(&call->arena, struct move_job);
	bool replaced = false;
	int r = files_path(call, &p->where, from, &err);
	if (r == 0)
		r = files_path(call, &to_where, to, &err);
	if (r == 0 && p->create_parents)
		r = path_mkdirs_above(root, to, &err);
	if (r >= 0) {
		*job = (struct move_job){ files_keep(call, from), files_keep(call, to),
			p->overwrite };
		r = rename_in(root, job, &replaced, &err);
	}
	if (r < 0) {
		call_fail(call, &err);
	} else if (r > 0) {
		files_work(call, copy_over, job);
	} else {
		auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
		put_moved(&b, job, replaced);
		files_finish(call, &b);
	}
}

const struct verb mkdir_verb = { .action = &mkdir_action, .start = start_mkdir };
const struct verb remove_verb = {
	.action = &remove_action,
	.start = start_remove,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};
const struct verb move_verb = {
	.action = &move_action,
	.start = start_move,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};

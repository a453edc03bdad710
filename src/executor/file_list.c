/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs list and stat. */
#include "base/auto.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/names.h"
#include "executor/walk.h"
#include "executor/xattrs.h"

#include <fcntl.h>

/* A directory of more is listed by a worker. */
enum { INLINE_ENTRIES_MAX = 2000 };

struct list_job {
	const struct list_params *p;
	const char *path;
};

static void put_target(struct jsonw *w, int dir_fd, const char *name)
{
	char target[PATH_SIZE];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target));
	jsonw_key(w, "target");
	if (n < 0)
		jsonw_null(w);
	else
		jsonw_str(w, str_from_len(target, (size_t)n));
}

/* What the link leads to, links to links followed; null if that is nothing. */
static void put_target_type(struct jsonw *w, const struct path_root *root, struct str dir,
	struct str name)
{
	auto_fd int fd = -1;
	struct stat st;
	char path[PATH_SIZE];
	jsonw_key(w, "target_type");
	if (path_join(dir, STR_NONE, name, path, NULL) < 0 ||
		path_open(root, path, O_PATH, &fd, NULL) < 0 || fstat(fd, &st) < 0)
		jsonw_null(w);
	else
		jsonw_str(w, str_from(files_type(st.st_mode)));
}

static void put_permissions(struct jsonw *w, mode_t mode)
{
	static const char types[] = "?pc?d?b?-?l?s???", bits[] = "rwxrwxrwx";
	char text[11] = { types[(mode & S_IFMT) >> 12] };
	for (int i = 0; i < 9; i++)
		text[i + 1] = mode & (0400u >> i) ? bits[i] : '-';
	if (mode & S_ISUID)
		text[3] = mode & 0100 ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = mode & 0010 ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = mode & 0001 ? 't' : 'T';
	jsonw_key_str(w, "permissions", str_from(text));
}

/* Of a directory's entries most have the owner of the one before. */
struct known {
	unsigned uid, gid;
	bool has_uid, has_gid;
	char owner[NAMES_SIZE], group[NAMES_SIZE];
};

static void put_known(struct jsonw *w, const char *key, const char *name)
{
	jsonw_key(w, key);
	if (name[0])
		jsonw_str(w, str_from(name));
	else
		jsonw_null(w);
}

static void put_names(struct jsonw *w, const struct path_root *root, const struct stat *st,
	struct known *known)
{
	if (!known->has_uid || known->uid != st->st_uid)
		names_find(root, "/etc/passwd", st->st_uid, known->owner);
	if (!known->has_gid || known->gid != st->st_gid)
		names_find(root, "/etc/group", st->st_gid, known->group);
	known->uid = st->st_uid;
	known->gid = st->st_gid;
	known->has_uid = known->has_gid = true;
	put_permissions(w, st->st_mode);
	put_known(w, "owner", known->owner);
	put_known(w, "group", known->group);
}

/* An entry that is gone by now is left out. */
static bool put_entry(struct jsonw *w, const struct path_root *root, const struct list_job *job,
	const struct walk_entry *e, struct known *known)
{
	struct stat st;
	if (fstatat(e->dir_fd, e->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	jsonw_open(w);
	jsonw_key_str(w, "name", e->path);
	files_put_stat(w, &st);
	if (job->p->names)
		put_names(w, root, &st, known);
	if (S_ISLNK(st.st_mode)) {
		put_target(w, e->dir_fd, e->name);
		put_target_type(w, root, str_from(job->path), e->path);
	}
	if (job->p->xattrs.len && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		xattrs_put(w, e->dir_fd, e->name, job->p->xattrs);
	jsonw_close(w);
	return true;
}

/*
 * The order of a walk: by components, each by bytes; a directory comes before what is in it.
 * Comparing paths as if the slash sorted below every other byte gives the same.
 */
static int compare_paths(struct str a, struct str b)
{
	size_t n = MIN(a.len, b.len);
	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)a.ptr[i], y = (unsigned char)b.ptr[i];
		if (x != y)
			return x == '/' ? -1 : y == '/' ? 1 : x - y;
	}
	return (a.len > n) - (b.len > n);
}

static int put_entries(struct jsonw *w, const struct path_root *root, struct walk *walk,
	const struct list_job *job, struct buf *next, struct error *err)
{
	const struct list_params *p = job->p;
	struct walk_entry e;
	struct known known = { .has_uid = false };
	int64_t total = 0, given = 0;
	bool has_more = false;
	int r;
	jsonw_key(w, "entries");
	jsonw_open_array(w);
	while ((r = walk_next(walk, &e, err)) > 0) {
		total++;
		if (p->after.len && compare_paths(e.path, p->after) <= 0)
			continue;
		if (given == p->limit) {
			has_more = true;
			continue;
		}
		given += put_entry(w, root, job, &e, &known);
		buf_reset(next);
		buf_put(next, e.path);
	}
	jsonw_close_array(w);
	jsonw_key_int(w, "total", total);
	if (!has_more)
		buf_reset(next);
	return r;
}

static int list(const struct path_root *root, const struct list_job *job, int64_t most,
	struct buf *result, struct error *err)
{
	auto_fd int fd = -1;
	auto_buf struct buf next = BUF_INIT(WALK_DEPTH_MAX * PATH_NAME_SIZE);
	if (path_open_dir(root, job->path, &fd, err) < 0)
		return -1;
	struct walk_limits limits = { (int)job->p->depth, job->p->hidden, most };
	struct walk *walk = walk_new(take_fd(&fd), &limits);
	struct jsonw w = JSONW(result);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(job->path));
	int r = put_entries(&w, root, walk, job, &next, err);
	walk_free(walk);
	jsonw_key(&w, "next");
	if (next.len)
		jsonw_str(&w, buf_str(&next));
	else
		jsonw_null(&w);
	jsonw_close(&w);
	return r < 0 ? error_wrap(err, "list %s", job->path) : 0;
}

static int list_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	return list(io->root, arg, 0, result, err);
}

static void start_list(struct call *call, const void *params)
{
	const struct list_params *p = params;
	struct error err;
	char path[PATH_SIZE];
	if (files_path(call, &p->where, path, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	struct list_job *job = arena_new(&call->arena, struct list_job);
	*job = (struct list_job){ p, files_keep(call, path) };
	auto_buf struct buf result = BUF_INIT(FRAME_PAYLOAD_MAX);
	int r = list(&call->executor->files->root, job, INLINE_ENTRIES_MAX, &result, &err);
	if (r < 0 && err.code == ERROR_LIMIT)
		files_work(call, list_in_worker, job);
	else if (r < 0)
		call_fail(call, &err);
	else
		files_finish(call, &result);
}

static void put_link(struct jsonw *w, const struct path_root *root, const char *path, bool is_link)
{
	auto_path_at struct path_at at = PATH_AT_NONE;
	jsonw_key_bool(w, "is_symlink", is_link);
	if (is_link && path_open_parent(root, path, &at, NULL) == 0) {
		put_target(w, at.dir_fd, at.name);
	} else {
		jsonw_key(w, "target");
		jsonw_null(w);
	}
}

/*
 * What the path stands for, or the link that its last component is; the latter is looked at first,
 * and mostly is none.
 */
static int stat_path(const struct path_root *root, const char *path, bool follows,
	struct stat *ret_st, bool *ret_is_link, struct error *err)
{
	auto_fd int fd = -1;
	if (path_open(root, path, O_PATH | O_NOFOLLOW, &fd, err) < 0)
		return -1;
	if (fstat(fd, ret_st) < 0)
		return error_sys(err, errno, "stat %s", path);
	*ret_is_link = S_ISLNK(ret_st->st_mode);
	if (*ret_is_link && follows) {
		fd = close_fd(fd);
		if (path_open(root, path, O_PATH, &fd, err) < 0)
			return -1;
		if (fstat(fd, ret_st) < 0)
			return error_sys(err, errno, "stat %s", path);
	}
	return 0;
}

static void put_xattrs(struct jsonw *w, const struct path_root *root, const char *path,
	const struct stat_params *p, const struct stat *st)
{
	auto_fd int fd = -1;
	bool is_some = S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
	if (!p->xattrs.len || !is_some ||
		path_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, NULL) < 0)
		return;
	xattrs_put_fd(w, fd, p->xattrs);
}

static int put_stat(const struct path_root *root, const char *path, const struct stat_params *p,
	struct buf *b, struct error *err)
{
	struct stat st;
	char owner[NAMES_SIZE], group[NAMES_SIZE];
	bool is_link;
	if (stat_path(root, path, p->follow, &st, &is_link, err) < 0)
		return -1;
	const char *name = strrchr(path, '/') + 1;
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_str(&w, "name", str_from(*name ? name : "/"));
	files_put_stat(&w, &st);
	put_permissions(&w, st.st_mode);
	put_known(&w, "owner", names_find(root, "/etc/passwd", st.st_uid, owner) ? owner : "");
	put_known(&w, "group", names_find(root, "/etc/group", st.st_gid, group) ? group : "");
	jsonw_key_int(&w, "ctime_ms",
		(int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000);
	jsonw_key_int(&w, "links", (int64_t)st.st_nlink);
	jsonw_key_int(&w, "inode", (int64_t)st.st_ino);
	put_link(&w, root, path, is_link);
	put_xattrs(&w, root, path, p, &st);
	jsonw_close(&w);
	return 0;
}

void files_put_entry(struct jsonw *w, const struct path_root *root, const char *path,
	struct str xattrs)
{
	const struct stat_params p = { .xattrs = xattrs, .follow = false };
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (put_stat(root, path, &p, &b, NULL) < 0)
		jsonw_null(w);
	else
		jsonw_raw(w, buf_str(&b));
}

static void start_stat(struct call *call, const void *params)
{
	const struct stat_params *p = params;
	struct error err;
	char path[PATH_SIZE];
	auto_buf struct buf result = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (files_path(call, &p->where, path, &err) < 0 ||
		put_stat(&call->executor->files->root, path, p, &result, &err) < 0)
		call_fail(call, &err);
	else
		files_finish(call, &result);
}

const struct verb list_verb = {
	.action = &list_action,
	.start = start_list,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};
const struct verb stat_verb = { .action = &stat_action, .start = start_stat };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs write and append. What the executor may not write itself (files_may_write) a worker
 * does, to a descriptor that it is given: a new file's name stays the executor's to give, since a
 * worker may be killed, and nothing is to be left of it then.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/replace.h"

#include <fcntl.h>

struct written {
	const char *path;
	int64_t bytes, size; /* size: after an append; -1: not told */
	bool created;
	mode_t mode;
};

static void put_written(struct buf *b, const struct written *done)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(done->path));
	jsonw_key_int(&w, "bytes", done->bytes);
	if (done->size >= 0)
		jsonw_key_int(&w, "size", done->size);
	jsonw_key_bool(&w, "created", done->created);
	files_put_mode(&w, done->mode);
	jsonw_close(&w);
}

static int write_whole(const struct path_root *root, const char *path, const struct write_params *p,
	bool exclusive, struct str content, struct written *ret, struct error *err)
{
	struct replace r = REPLACE_NONE;
	struct replace_how how = { p->create_parents, exclusive, p->mode, p->new_mode };
	int done = replace_begin(&r, root, path, &how, err);
	if (done == 0)
		done = replace_add(&r, content, err);
	if (done == 0)
		done = replace_commit(&r, err);
	replace_end(&r);
	*ret = (struct written){ path, r.bytes, -1, r.created, r.mode };
	return done;
}

/* What was written of a part that did not fit is cut off again. */
static int append_to(int fd, const char *path, struct str content, struct written *ret,
	struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %s", path);
	if (file_write_all(fd, content, err) < 0) {
		if (ftruncate(fd, st.st_size) < 0)
			return error_wrap(err, "append to %s, of which a part was added", path);
		return error_wrap(err, "append to %s", path);
	}
	*ret = (struct written){ path, (int64_t)content.len, st.st_size + (int64_t)content.len,
		false, st.st_mode };
	return 0;
}

static int append(const struct path_root *root, const char *path, const struct write_params *p,
	struct str content, struct written *ret, struct error *err)
{
	auto_fd int fd = -1;
	struct error why;
	/* Twice: somebody may make the file between the two. */
	for (int i = 0; i < 2; i++) {
		if (path_open_file(root, path, O_WRONLY | O_APPEND, &fd, NULL, &why) == 0) {
			if (p->exclusive)
				return error_set(err, ERROR_EXISTS, "append to %s: the file exists",
					path);
			return append_to(fd, path, content, ret, err);
		}
		if (why.code != ERROR_NOT_FOUND)
			break;
		if (write_whole(root, path, p, true, content, ret, &why) == 0) {
			ret->size = ret->bytes;
			return 0;
		}
		if (why.code != ERROR_EXISTS)
			break;
	}
	*err = why;
	return -1;
}

/* ---- by the executor ---- */

struct write_job {
	const struct write_params *p;
	const char *path;
	bool is_append;
};

static int write_here(struct call *call, const struct write_job *job, struct error *err)
{
	const struct path_root *root = &call->executor->files->root;
	const struct write_params *p = job->p;
	auto_buf struct buf decoded = BUF_INIT(FRAME_PAYLOAD_MAX),
			    result = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct written done = { 0 };
	struct str content;
	if (files_content(p->content, p->encoding, &decoded, &content, err) < 0)
		return -1;
	int r = job->is_append ? append(root, job->path, p, content, &done, err)
			       : write_whole(root, job->path, p, p->exclusive, content, &done, err);
	if (r < 0)
		return -1;
	put_written(&result, &done);
	files_finish(call, &result);
	return 0;
}

/* ---- by a worker ---- */

struct writing {
	const struct write_job *job;
	struct worker *worker;
	struct replace replace; /* of a file that is new as a whole */
	int append_fd;          /* of one that is there; -1: it is not */
	struct stat before;     /* of that */
};

/*
 * Room is found before anything is added: who is killed for want of it has added nothing. Nobody
 * else cuts it off again, as others may have added to the file meanwhile.
 */
static int reserve(int fd, size_t len)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -1;
	if (!len || fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)len) == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -1;
}

static int write_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	const struct write_job *job = arg;
	auto_buf struct buf decoded = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct written done;
	struct str content;
	if (files_content(job->p->content, job->p->encoding, &decoded, &content, err) < 0)
		return -1;
	if (reserve(io->stream_fd, content.len) < 0)
		return error_sys(err, errno, "write %s", job->path);
	return append_to(io->stream_fd, job->path, content, &done, err);
}

static int finish_writing(const struct writing *w, struct written *ret, struct error *err)
{
	struct stat st;
	if (fstat(w->append_fd, &st) < 0)
		return error_sys(err, errno, "stat %s", w->job->path);
	int64_t more = MAX(st.st_size - w->before.st_size, 0); /* and what others have added */
	*ret = (struct written){ w->job->path, MIN(more, (int64_t)w->job->p->content.len),
		st.st_size, false, st.st_mode };
	return 0;
}

static int finish_replacing(struct writing *w, struct written *ret, struct error *err)
{
	struct replace *r = &w->replace;
	if (replace_measure(r, err) < 0 || replace_commit(r, err) < 0)
		return -1;
	*ret = (struct written){ w->job->path, r->bytes, w->job->is_append ? r->bytes : -1,
		r->created, r->mode };
	return 0;
}

static void on_written(struct call *call)
{
	struct writing *w = call->state;
	auto_buf struct buf result = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct written done;
	struct error err;
	int r = w->append_fd >= 0 ? finish_writing(w, &done, &err)
				  : finish_replacing(w, &done, &err);
	if (r < 0) {
		call_fail(call, &err);
		return;
	}
	put_written(&result, &done);
	files_finish(call, &result);
}

/* 0: there is nothing to append to. */
static int open_to_append(struct writing *w, const struct path_root *root, struct error *err)
{
	const char *path = w->job->path;
	if (path_open_file(root, path, O_WRONLY | O_APPEND, &w->append_fd, &w->before, err) < 0)
		return err->code == ERROR_NOT_FOUND ? 0 : -1;
	if (w->job->p->exclusive)
		return error_set(err, ERROR_EXISTS, "append to %s: the file exists", path);
	return 1;
}

static int write_there(struct call *call, const struct write_job *job, struct error *err)
{
	struct files *files = call->executor->files;
	const struct write_params *p = job->p;
	struct writing *w = mem_new(struct writing);
	w->job = job;
	w->replace = REPLACE_NONE;
	w->append_fd = -1;
	call->state = w;
	int found = job->is_append ? open_to_append(w, &files->root, err) : 0;
	struct replace_how how = { p->create_parents, p->exclusive || job->is_append, p->mode,
		p->new_mode };
	if (found < 0 ||
		(found == 0 && replace_begin(&w->replace, &files->root, job->path, &how, err) < 0))
		return -1;
	w->worker = worker_new_writer(&files->jobs, call, write_in_worker, (void *)(uintptr_t)job,
		found ? w->append_fd : w->replace.fd, on_written, err);
	return w->worker ? 0 : -1;
}

static void drop(struct call *call)
{
	struct writing *w = take_ptr(call->state);
	if (!w)
		return;
	worker_free(w->worker);
	replace_end(&w->replace);
	close_fd(w->append_fd);
	free(w);
}

/* ---- the verbs ---- */

static int begin(struct call *call, const struct write_params *p, bool is_append, struct error *err)
{
	struct files *files = call->executor->files;
	char path[PATH_SIZE];
	if (files_path(call, &p->where, path, err) < 0)
		return -1;
	if (p->where.path.ptr[p->where.path.len - 1] == '/')
		return error_set(err, ERROR_INVALID, "write %s/: this names a directory", path);
	struct write_job *job = arena_new(&call->arena, struct write_job);
	*job = (struct write_job){ p, files_keep(call, path), is_append };
	if (!files_may_write(files, 0, p->content.len))
		return write_there(call, job, err);
	files->own_bytes += (int64_t)p->content.len;
	return write_here(call, job, err);
}

static void start(struct call *call, const struct write_params *p, bool is_append)
{
	struct error err;
	if (begin(call, p, is_append, &err) < 0)
		call_fail(call, &err);
}

static void start_write(struct call *call, const void *params)
{
	start(call, params, false);
}

static void start_append(struct call *call, const void *params)
{
	start(call, params, true);
}

const struct verb write_verb = { .action = &write_action, .start = start_write, .drop = drop };
const struct verb append_verb = { .action = &append_action, .start = start_append, .drop = drop };

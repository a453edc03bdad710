/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb upload. A file goes to a temporary name as it comes and takes its own at the end; an
 * archive goes through a pipe to a worker, and so does the rest of a file that is large: the worker
 * writes what comes to the descriptor of the new content.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/replace.h"
#include "executor/unpack.h"
#include "executor/xattrs.h"

#include <fcntl.h>

/* call->state of the verb: of an archive the worker alone. */
struct upload {
	const struct upload_params *p;
	struct replace replace;
	struct worker *worker;
};

struct unpack_job {
	const char *path;
	enum unpack_kind kind;
	struct unpack_how how;
	bool create_parents;
	const char *from; /* NULL: what is fed in */
};

static void put_result(struct buf *b, const char *path, int64_t bytes, int64_t entries,
	int64_t written, bool created)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_int(&w, "bytes", bytes);
	jsonw_key_int(&w, "entries", entries);
	jsonw_key_int(&w, "written_bytes", written);
	jsonw_key_bool(&w, "created", created);
	jsonw_close(&w);
}

static int unpack_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	const struct unpack_job *job = arg;
	auto_fd int dir_fd = -1;
	struct unpack_counts counts;
	int made = job->create_parents ? path_mkdirs(io->root, job->path, 0755, err) : 0;
	if (made < 0 || path_open_dir(io->root, job->path, &dir_fd, err) < 0)
		return -1;
	auto_fd int from_fd = -1;
	if (job->from && path_open(io->root, job->from, O_RDONLY | O_NONBLOCK, &from_fd, err) < 0)
		return -1;
	int in_fd = job->from ? from_fd : io->in_fd;
	if (unpack(job->kind, &job->how, in_fd, dir_fd, io->root, &counts, err) < 0)
		return error_wrap(err, "unpack into %s, after %lld entries", job->path,
			(long long)MAX(0, counts.items - 1));
	put_result(result, job->path, counts.bytes, counts.items, counts.written, made > 0);
	return 0;
}

static int begin(struct call *call, const struct upload_params *p, struct upload *u,
	struct error *err)
{
	struct files *files = call->executor->files;
	char path[PATH_SIZE];
	if (files_path(call, &p->where, path, err) < 0)
		return -1;
	if (str_is(p->kind, "file") && p->from.ptr)
		return error_set(err, ERROR_INVALID, "upload: from is for archives; see move");
	if (str_is(p->kind, "file")) {
		struct replace_how how = { .create_parents = p->create_parents, .mode = p->mode };
		if (p->where.path.ptr[p->where.path.len - 1] == '/')
			return error_set(err, ERROR_INVALID, "upload %s/: this names a directory",
				path);
		return replace_begin(&u->replace, &files->root, files_keep(call, path), &how, err);
	}
	struct unpack_job *job = arena_new(&call->arena, struct unpack_job);
	*job = (struct unpack_job){ files_keep(call, path),
		str_is(p->kind, "zip") ? UNPACK_ZIP : UNPACK_TAR, { p->layer, p->max_bytes },
		p->create_parents, NULL };
	if (p->from.ptr) {
		struct file_where from = { p->from, p->where.cwd };
		if (files_path(call, &from, path, err) < 0)
			return -1;
		job->from = files_keep(call, path);
	}
	u->worker = worker_new(&files->streams, call, unpack_in_worker, job, err);
	return u->worker ? 0 : -1;
}

static void start_upload(struct call *call, const void *params)
{
	struct upload *u = mem_new(struct upload);
	struct error err;
	u->p = params;
	u->replace = REPLACE_NONE;
	call->state = u;
	if (begin(call, params, u, &err) < 0)
		call_fail(call, &err);
}

/* ---- a file ---- */

static void finish_file(struct call *call)
{
	struct upload *u = call->state;
	struct error err;
	if (xattrs_set_fd(u->replace.fd, &u->p->xattrs, &err) < 0 ||
		replace_commit(&u->replace, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	put_result(&b, u->replace.path, u->replace.bytes, 1, u->replace.bytes, u->replace.created);
	files_finish(call, &b);
}

static int write_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	static char piece[256 * 1024];
	struct replace r = *(const struct replace *)arg;
	ssize_t n;
	r.fd = io->stream_fd;
	while ((n = read(io->in_fd, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "read what is uploaded");
		if (replace_add(&r, str_from_len(piece, (size_t)n), err) < 0)
			return -1;
	}
	return 0;
}

static void on_written(struct call *call)
{
	struct upload *u = call->state;
	struct error err;
	if (replace_measure(&u->replace, &err) < 0)
		call_fail(call, &err);
	else
		finish_file(call);
}

/* What comes from here on is the worker's to write. */
static int hand_over(struct call *call, struct error *err)
{
	struct upload *u = call->state;
	u->worker = worker_new_writer(&call->executor->files->streams, call, write_in_worker,
		&u->replace, u->replace.fd, on_written, err);
	return u->worker ? 0 : -1;
}

static int add(struct call *call, struct str bytes, struct error *err)
{
	struct upload *u = call->state;
	struct files *files = call->executor->files;
	if (!u->worker && !files_may_write(files, u->replace.bytes, bytes.len) &&
		hand_over(call, err) < 0)
		return -1;
	if (u->worker) {
		worker_input(u->worker, bytes);
		return 0;
	}
	files->own_bytes += (int64_t)bytes.len;
	return replace_add(&u->replace, bytes, err);
}

/* ---- the verb ---- */

static void take_data(struct call *call, uint8_t channel, struct str bytes)
{
	struct error err;
	if (add(call, bytes, &err) < 0)
		call_fail(call, &err);
}

static void take_eof(struct call *call, uint8_t channel)
{
	const struct upload *u = call->state;
	if (u->worker)
		worker_input_eof(u->worker);
	else
		finish_file(call);
}

static void drop(struct call *call)
{
	struct upload *u = take_ptr(call->state);
	if (!u)
		return;
	worker_free(u->worker);
	replace_end(&u->replace);
	free(u);
}

const struct verb upload_verb = {
	.action = &upload_action,
	.start = start_upload,
	.data = take_data,
	.eof = take_eof,
	.drop = drop,
};

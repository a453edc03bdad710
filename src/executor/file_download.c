/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb download. A file's bytes are read as the caller takes them; an archive is made by a
 * worker. What is announced is kept: a file that grows is given up to the size it had, one that
 * shrinks ends early, or is filled up with zeros in an archive, and the result says so.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/parcel.h"
#include "executor/walk.h"

#include <dirent.h>
#include <fcntl.h>

enum { CHUNKS_PER_TURN = 8 };

struct download {
	const char *path;
	struct worker *worker;
	struct loop *loop;
	int fd;
	int64_t offset, size, sent; /* size: of what is wanted */
};

struct pack_job {
	const char *path;
	enum pack_format format;
	const char *prefix; /* NULL: none */
};

struct packing {
	const struct pack_job *job;
	struct worker_io *io;
	struct parcel *parcel;
	int64_t skipped;
	bool truncated;
};

static const char *base_name(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	return *name ? name : "root";
}

static void put_event(struct buf *b, const char *path, const char *format, const struct stat *st)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_str(&w, "format", str_from(format));
	jsonw_key_str(&w, "name", str_from(base_name(path)));
	if (st) {
		jsonw_key_int(&w, "size", st->st_size);
		jsonw_key_int(&w, "mtime_ms", files_mtime_ms(st));
	}
	jsonw_close(&w);
}

static void put_result(struct buf *b, const char *path, int64_t bytes, int64_t entries,
	bool truncated, int64_t skipped)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_int(&w, "bytes", bytes);
	jsonw_key_int(&w, "entries", entries);
	jsonw_key_bool(&w, "truncated", truncated);
	jsonw_key_int(&w, "skipped", skipped);
	jsonw_close(&w);
}

/* ---- archives, in the worker ---- */

static int add_file(struct packing *p, int fd, const struct stat *st, const char *name,
	struct error *err)
{
	struct pack_item item = { .kind = PACK_FILE,
		.path = name,
		.target = "",
		.mode = st->st_mode & 0777,
		.size = st->st_size,
		.mtime_s = st->st_mtim.tv_sec };
	return parcel_add(p->parcel, &item, err) < 0
		? -1
		: parcel_add_bytes(p->parcel, fd, st->st_size, err);
}

/* What cannot be opened is passed over, and said. */
static int add_entry_file(struct packing *p, const struct walk_entry *e, const char *name,
	struct error *err)
{
	struct stat st;
	auto_fd int fd = openat(e->dir_fd, e->name,
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !path_is_allowed_fs(fd)) {
		p->skipped++;
		p->truncated = true;
		return 0;
	}
	return add_file(p, fd, &st, name, err);
}

static int add_entry(struct packing *p, const struct walk_entry *e, struct error *err)
{
	struct stat st;
	char target[PATH_SIZE];
	const char *prefix = p->job->prefix;
	auto_free char *name = mem_printf("%s%s%.*s%s", prefix ? prefix : "", prefix ? "/" : "",
		STR_ARG(e->path), e->type == DT_DIR ? "/" : "");
	if (strlen(name) > PACK_PATH_MAX ||
		(e->type != DT_REG && e->type != DT_DIR && e->type != DT_LNK)) {
		p->skipped++;
		return 0;
	}
	if (e->type == DT_REG)
		return add_entry_file(p, e, name, err);
	struct pack_item item = { .kind = PACK_DIR, .path = name, .target = "", .mode = 0755 };
	if (fstatat(e->dir_fd, e->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		item.mode = st.st_mode & 0777;
		item.mtime_s = st.st_mtim.tv_sec;
	}
	if (e->type == DT_LNK) {
		ssize_t n = readlinkat(e->dir_fd, e->name, target, sizeof(target) - 1);
		if (n <= 0) {
			p->skipped++;
			return 0;
		}
		target[n] = '\0';
		item.kind = PACK_SYMLINK;
		item.target = target;
	}
	return parcel_add(p->parcel, &item, err);
}

/* The directory itself, where it has a name in the archive. */
static int add_top(struct packing *p, int dir_fd, struct error *err)
{
	struct stat st;
	if (!p->job->prefix)
		return 0;
	auto_free char *name = mem_printf("%s/", p->job->prefix);
	struct pack_item item = { .kind = PACK_DIR, .path = name, .target = "", .mode = 0755 };
	if (fstat(dir_fd, &st) == 0) {
		item.mode = st.st_mode & 0777;
		item.mtime_s = st.st_mtim.tv_sec;
	}
	return parcel_add(p->parcel, &item, err);
}

static int add_tree(struct packing *p, int dir_fd, struct error *err)
{
	if (add_top(p, dir_fd, err) < 0) {
		close_fd(dir_fd);
		return -1;
	}
	struct walk *walk = walk_new(dir_fd, &(struct walk_limits){ .hidden = true });
	struct walk_entry e;
	int r;
	while ((r = walk_next(walk, &e, err)) > 0)
		if (add_entry(p, &e, err) < 0) {
			r = -1;
			break;
		}
	p->skipped += walk_unread(walk);
	p->truncated |= walk_unread(walk) > 0;
	walk_free(walk);
	return r;
}

static int add_all(struct packing *p, struct error *err)
{
	const char *path = p->job->path;
	auto_fd int fd = -1;
	struct stat st;
	if (path_open(p->io->root, path, O_RDONLY, &fd, err) < 0 ||
		path_check_fs(fd, path, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat %s", path);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INVALID, "%s is neither a file nor a directory", path);
	auto_buf struct buf event = BUF_INIT(4 * PATH_SIZE);
	put_event(&event, path, p->job->format == PACK_ZIP ? "zip" : "tar", NULL);
	if (worker_send(p->io, FRAME_EVENT, buf_str(&event)) < 0 ||
		parcel_new(p->io, p->job->format, &p->parcel, err) < 0)
		return -1;
	int r = S_ISDIR(st.st_mode)
		? add_tree(p, take_fd(&fd), err)
		: add_file(p, fd, &st, p->job->prefix ? p->job->prefix : base_name(path), err);
	if (r < 0 || parcel_end(p->parcel, err) < 0)
		return error_wrap(err, "pack %s", path);
	return 0;
}

static int pack_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	struct packing p = { .job = arg, .io = io };
	int r = add_all(&p, err);
	const struct parcel *parcel = p.parcel;
	if (r == 0)
		put_result(result, p.job->path, parcel->bytes, parcel->entries,
			p.truncated || parcel->truncated, p.skipped);
	parcel_free(p.parcel);
	return r;
}

/* ---- a file's bytes, in the executor ---- */

static void go_on(void *arg);

static void finish_raw(struct call *call, const struct download *d)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	put_result(&b, d->path, d->sent, 1, d->sent < d->size, 0);
	files_finish(call, &b);
}

static void send_some(struct call *call)
{
	struct download *d = call->state;
	static char chunk[FRAME_DATA_MAX];
	for (int i = 0; i < CHUNKS_PER_TURN && !channel_is_full(call->channel); i++) {
		size_t step = (size_t)MIN(d->size - d->sent, (int64_t)sizeof(chunk));
		ssize_t n = step ? pread(d->fd, chunk, step, d->offset + d->sent) : 0;
		if (n < 0 && errno != EINTR) {
			struct error err;
			error_sys(&err, errno, "read %s", d->path);
			call_fail(call, &err);
			return;
		}
		if (n == 0) {
			finish_raw(call, d);
			return;
		}
		if (n > 0) {
			call_send(call, 0, str_from_len(chunk, (size_t)n));
			d->sent += n;
		}
	}
	if (!channel_is_full(call->channel))
		loop_defer(d->loop, go_on, call);
}

static void go_on(void *arg)
{
	send_some(arg);
}

static int begin_raw(struct call *call, struct download *d, const struct download_params *p,
	struct error *err)
{
	struct stat st;
	if (path_open_file(&call->executor->files->root, d->path, O_RDONLY, &d->fd, &st, err) < 0)
		return -1;
	d->offset = MIN(p->offset, st.st_size);
	d->size = st.st_size - d->offset;
	if (p->length >= 0)
		d->size = MIN(d->size, p->length);
	auto_buf struct buf event = BUF_INIT(4 * PATH_SIZE);
	put_event(&event, d->path, "raw", &st);
	call_event(call, buf_str(&event));
	return 0;
}

static int begin_archive(struct call *call, struct download *d, const struct download_params *p,
	struct error *err)
{
	struct pack_job *job = arena_new(&call->arena, struct pack_job);
	*job = (struct pack_job){ d->path, str_is(p->format, "zip") ? PACK_ZIP : PACK_TAR,
		p->prefix.len ? files_keep(call, p->prefix.ptr) : NULL };
	d->worker = worker_new(&call->executor->files->streams, call, pack_in_worker, job, err);
	return d->worker ? 0 : -1;
}

static void start_download(struct call *call, const void *params)
{
	const struct download_params *p = params;
	struct error err;
	char path[PATH_SIZE];
	if (files_path(call, &p->where, path, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	struct download *d = mem_new(struct download);
	d->fd = -1;
	d->loop = call->executor->loop;
	d->path = files_keep(call, path);
	call->state = d;
	bool is_raw = str_is(p->format, "raw");
	if ((is_raw ? begin_raw(call, d, p, &err) : begin_archive(call, d, p, &err)) < 0)
		call_fail(call, &err);
	else if (is_raw)
		send_some(call);
}

static void drain(struct call *call)
{
	struct download *d = call->state;
	if (d->worker)
		worker_drain(d->worker);
	else
		send_some(call);
}

static void drop(struct call *call)
{
	struct download *d = take_ptr(call->state);
	if (!d)
		return;
	loop_undefer(d->loop, call);
	worker_free(d->worker);
	close_fd(d->fd);
	free(d);
}

const struct verb download_verb = {
	.action = &download_action,
	.start = start_download,
	.drain = drain,
	.drop = drop,
};

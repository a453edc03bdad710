/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb download. A file's bytes are read as the caller takes them; an archive is made by a worker.
 * What is announced is kept: a file that grows is given up to the size it had, one that shrinks ends
 * early, or is filled up with zeros in an archive, and the result says so.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/walk.h"
#include "wire/pack.h"

#include <dirent.h>
#include <fcntl.h>

enum { CHUNKS_PER_TURN = 8 };

struct download {
	const char *path;
	struct worker *worker;
	struct loop *loop;
	int fd;
	int64_t size, sent;
};

struct pack_job {
	const char *path;
	enum pack_format format;
	const char *prefix; /* NULL: none */
};

struct packing {
	const struct pack_job *job;
	struct worker_io *io;
	struct pack_writer *writer;
	struct buf out; /* sent in frames of FRAME_DATA_MAX */
	int64_t bytes, entries, skipped;
	bool truncated;
	char chunk[64 * 1024];
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

static int send_out(struct packing *p, struct error *err)
{
	if (p->out.len && worker_send(p->io, FRAME_DATA, buf_str(&p->out)) < 0)
		return error_set(err, ERROR_CANCELLED, "nobody takes the archive");
	p->bytes += (int64_t)p->out.len;
	buf_reset(&p->out);
	return 0;
}

static int on_bytes(void *arg, struct str bytes, struct error *err)
{
	struct packing *p = arg;
	while (bytes.len) {
		struct str part = str_first(bytes, FRAME_DATA_MAX - p->out.len);
		buf_put(&p->out, part);
		bytes = str_skip(bytes, part.len);
		if (p->out.len == FRAME_DATA_MAX && send_out(p, err) < 0)
			return -1;
	}
	return 0;
}

static int add_bytes(struct packing *p, int fd, int64_t size, struct error *err)
{
	while (size > 0) {
		size_t step = (size_t)MIN(size, (int64_t)sizeof(p->chunk));
		ssize_t n = fd < 0 ? 0 : read(fd, p->chunk, step);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			p->truncated = true;
			memset(p->chunk, 0, step);
			n = (ssize_t)step;
			fd = -1;
		}
		if (pack_write(p->writer, str_from_len(p->chunk, (size_t)n), err) < 0)
			return -1;
		size -= n;
	}
	return 0;
}

static int add_file(struct packing *p, int fd, const struct stat *st, const char *name,
	struct error *err)
{
	struct pack_item item = { .kind = PACK_FILE,
		.path = name,
		.target = "",
		.mode = st->st_mode & 0777,
		.size = st->st_size,
		.mtime_s = st->st_mtim.tv_sec };
	p->entries++;
	return pack_add(p->writer, &item, err) < 0 ? -1 : add_bytes(p, fd, st->st_size, err);
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
	p->entries++;
	return pack_add(p->writer, &item, err);
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
	p->entries++;
	return pack_add(p->writer, &item, err);
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
		pack_writer_new(p->job->format, on_bytes, p, &p->writer, err) < 0)
		return -1;
	int r = S_ISDIR(st.st_mode)
		? add_tree(p, take_fd(&fd), err)
		: add_file(p, fd, &st, p->job->prefix ? p->job->prefix : base_name(path), err);
	if (r < 0 || pack_end(p->writer, err) < 0 || send_out(p, err) < 0)
		return error_wrap(err, "pack %s", path);
	return 0;
}

static int pack_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	struct packing *p = mem_new(struct packing);
	p->job = arg;
	p->io = io;
	buf_init(&p->out, FRAME_DATA_MAX);
	int r = add_all(p, err);
	put_result(result, p->job->path, p->bytes, p->entries, p->truncated, p->skipped);
	pack_writer_free(p->writer);
	buf_fini(&p->out);
	free(p);
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
		ssize_t n = step ? pread(d->fd, chunk, step, d->sent) : 0;
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

static int begin_raw(struct call *call, struct download *d, struct error *err)
{
	struct stat st;
	if (path_open_file(&call->executor->files->root, d->path, O_RDONLY, &d->fd, &st, err) < 0)
		return -1;
	d->size = st.st_size;
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
	if ((is_raw ? begin_raw(call, d, &err) : begin_archive(call, d, p, &err)) < 0)
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

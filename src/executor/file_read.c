/* SPDX-License-Identifier: Apache-2.0 */
/* The verb read. By pread alone: a file that shrinks meanwhile gives less, never a signal. */
#include "base/auto.h"
#include "executor/executor.h"
#include "executor/file_verbs.h"
#include "executor/files.h"
#include "executor/text.h"
#include "wire/base64.h"
#include "wire/utf8.h"

#include <fcntl.h>

enum {
	CHUNK = 64 * 1024,
	INLINE_SCAN_MAX = 8 * 1024 * 1024, /* looking for a line in more is a worker's job */
};

struct read_job {
	const struct read_params *p;
	const char *path;
};

struct reading {
	const struct read_job *job;
	int fd;
	struct stat st;
	struct buf content;
	int64_t offset; /* of the content's first byte */
	bool is_truncated;
	bool is_binary;
};

static ssize_t read_at(int fd, void *to, size_t size, int64_t offset)
{
	ssize_t n;
	do
		n = pread(fd, to, size, offset);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Appends up to `most` bytes from the offset. */
static int read_range(struct reading *r, int64_t most, struct error *err)
{
	int64_t left = most;
	while (left > 0) {
		size_t step = (size_t)MIN(left, (int64_t)CHUNK);
		char *to = buf_room(&r->content, step);
		ssize_t n = read_at(r->fd, to, step, r->offset + (most - left));
		if (n < 0)
			return error_sys(err, errno, "read %s", r->job->path);
		if (n == 0)
			return 0;
		buf_grown(&r->content, (size_t)n);
		left -= n;
	}
	char next;
	r->is_truncated = read_at(r->fd, &next, 1, r->offset + most) > 0;
	return 0;
}

/* Sets the offset to where the line begins, or to the end of the file. */
static int find_line(struct reading *r, int64_t line, struct error *err)
{
	char chunk[8192];
	int64_t now = 1, at = 0;
	while (now < line) {
		ssize_t n = read_at(r->fd, chunk, sizeof(chunk), at);
		if (n < 0)
			return error_sys(err, errno, "read %s", r->job->path);
		if (n == 0)
			break;
		struct str rest = { chunk, (size_t)n };
		ptrdiff_t newline;
		while (now < line && (newline = str_find_char(rest, '\n')) >= 0) {
			rest = str_skip(rest, (size_t)newline + 1);
			now++;
		}
		at += now < line ? n : n - (ssize_t)rest.len;
	}
	r->offset = at;
	return 0;
}

static int read_content(struct reading *r, struct error *err)
{
	const struct read_params *p = r->job->p;
	r->offset = p->offset;
	if (p->start_line && find_line(r, p->start_line, err) < 0)
		return -1;
	if (read_range(r, p->max_bytes, err) < 0)
		return -1;
	if (p->start_line && p->end_line >= 0) {
		int64_t wanted = MAX(0, p->end_line - p->start_line + 1);
		struct str lines = text_lines(buf_str(&r->content), 1, wanted);
		bool is_whole = lines.len < r->content.len ||
			(lines.len && lines.ptr[lines.len - 1] == '\n' &&
				text_count_lines(lines) == wanted) ||
			wanted == 0;
		r->is_truncated = r->is_truncated && !is_whole;
		buf_cut(&r->content, lines.len);
	}
	return 0;
}

/* Writes the result; false if it does not fit in a frame. */
static bool put_result(const struct reading *r, struct str content, struct buf *b)
{
	const struct read_params *p = r->job->p;
	bool is_text = str_is(p->encoding, "text");
	bool is_cut = content.len < r->content.len;
	if (is_text && (r->is_truncated || is_cut))
		content.len -= utf8_incomplete_tail(content);
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(r->job->path));
	jsonw_key_str(&w, "encoding", p->encoding);
	if (is_text) {
		jsonw_key_str(&w, "content", content);
	} else {
		auto_buf struct buf encoded = BUF_INIT(content.len * 4 / 3 + 8);
		base64_encode(content, &encoded);
		jsonw_key_str(&w, "content", buf_str(&encoded));
	}
	jsonw_key_int(&w, "size", r->st.st_size);
	jsonw_key_int(&w, "offset", r->offset);
	jsonw_key_int(&w, "bytes", (int64_t)content.len);
	jsonw_key_int(&w, "lines", text_count_lines(content));
	jsonw_key(&w, "start_line");
	if (p->start_line || p->offset == 0)
		jsonw_int(&w, MAX(1, p->start_line));
	else
		jsonw_null(&w);
	jsonw_key_bool(&w, "truncated", r->is_truncated || is_cut);
	jsonw_key_bool(&w, "is_valid_utf8", utf8_is_valid(content));
	jsonw_key_bool(&w, "is_binary", r->is_binary);
	files_put_mode(&w, r->st.st_mode);
	jsonw_key_int(&w, "mtime_ms", files_mtime_ms(&r->st));
	jsonw_close(&w);
	return !b->is_full;
}

static int read_file(const struct path_root *root, const struct read_job *job, struct buf *result,
	struct error *err)
{
	auto_fd int fd = -1;
	struct reading r = { .job = job };
	char head[TEXT_SNIFF_BYTES];
	if (path_open_file(root, job->path, O_RDONLY, &fd, &r.st, err) < 0)
		return -1;
	r.fd = fd;
	ssize_t n = read_at(fd, head, sizeof(head), 0);
	if (n < 0)
		return error_sys(err, errno, "read %s", job->path);
	r.is_binary = text_is_binary(str_from_len(head, (size_t)n));
	auto_buf struct buf content = BUF_INIT((size_t)job->p->max_bytes + CHUNK);
	r.content = content;
	int done = read_content(&r, err);
	content = r.content;
	if (done < 0)
		return -1;
	/* Escapes can make text six times as long; what does not fit is cut off, which is said. */
	struct str given = buf_str(&r.content);
	while (!put_result(&r, given, result)) {
		buf_reset(result);
		given.len /= 2;
	}
	return 0;
}

static int read_in_worker(void *arg, struct worker_io *io, struct buf *result, struct error *err)
{
	return read_file(io->root, arg, result, err);
}

/* Asked of a file that is opened again afterwards: what it says decides only who reads. */
static bool is_long_scan(const struct call *call, const struct read_job *job)
{
	auto_fd int fd = -1;
	struct stat st;
	return job->p->start_line > 1 &&
		path_open_file(&call->executor->files->root, job->path, O_RDONLY, &fd, &st, NULL) ==
		0 &&
		st.st_size > INLINE_SCAN_MAX;
}

static void start_read(struct call *call, const void *params)
{
	const struct read_params *p = params;
	struct error err;
	char path[PATH_SIZE];
	if (files_path(call, &p->where, path, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	struct read_job *job = arena_new(&call->arena, struct read_job);
	*job = (struct read_job){ p, files_keep(call, path) };
	if (is_long_scan(call, job)) {
		files_work(call, read_in_worker, job);
		return;
	}
	auto_buf struct buf result = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (read_file(&call->executor->files->root, job, &result, &err) < 0)
		call_fail(call, &err);
	else
		files_finish(call, &result);
}

const struct verb read_verb = {
	.action = &read_action,
	.start = start_read,
	.drain = worker_on_drain,
	.drop = worker_on_drop,
};

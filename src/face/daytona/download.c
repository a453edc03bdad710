/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files out of the sandbox: /files/download gives one as it is, /files/bulk-download several as the
 * parts of a multipart reply. One call of the action download after the other; nothing is kept but
 * a piece.
 *
 * A file that cannot be read is a part with the error. One that ends before its announced length
 * ends the reply without the closing boundary, which is how a client notices.
 */
#include "face/daytona/handlers.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "wire/url.h"

#define BOUNDARY "DAYTONA-FILE-BOUNDARY"

enum { PATHS_MAX = 1000, PATH_BYTES = 4096 };

struct download {
	struct json *body; /* of a bulk; NULL: one file */
	size_t at;         /* in its paths */
	struct str path;
};

static void perform(struct chore *e, const struct chore_flow *flow)
{
	const struct download *d = e->state;
	auto_buf struct buf params = BUF_INIT(16 * PATH_BYTES);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", d->path);
	jsonw_key_str(&w, "format", STR("raw"));
	jsonw_close(&w);
	chore_flow(e, &download_action, &params, flow);
}

/* ---- parts of a bulk ---- */

static void put_filename(struct buf *b, struct str path)
{
	buf_puts(b, "\"; filename=\"");
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.ptr[i];
		if (c == '"' || c == '\\')
			buf_putc(b, '\\');
		buf_putc(b, c < 0x20 || c >= 0x7f ? '_' : (char)c);
	}
	buf_puts(b, "\"; filename*=utf-8''");
	url_encode(path, b);
	buf_puts(b, "\r\n");
}

static void put_part(struct chore *e, const char *name, const char *type, int64_t size)
{
	const struct download *d = e->state;
	auto_buf struct buf b = BUF_INIT(16 * PATH_BYTES);
	buf_printf(&b, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s", name);
	put_filename(&b, d->path);
	buf_printf(&b, "Content-Type: %s\r\n", type);
	if (size >= 0)
		buf_printf(&b, "Content-Length: %lld\r\n", (long long)size);
	buf_puts(&b, "\r\n");
	http_stream_write(e->r, buf_str(&b));
}

static void next(struct chore *e);

/* A file that could not be read. */
static void put_error_part(struct chore *e, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(16 * PATH_BYTES);
	const char *word = err->code == ERROR_NOT_FOUND ? "FILE_NOT_FOUND"
		: err->code == ERROR_FORBIDDEN          ? "FILE_ACCESS_DENIED"
		: err->code == ERROR_INVALID            ? "INVALID_FILE_PATH"
							: "FILE_READ_FAILED";
	put_part(e, "error", "application/json; charset=utf-8", -1);
	daytona_put_error(&b, e->r, daytona_status(err->code), word, err->text);
	http_stream_write(e->r, buf_str(&b));
	http_stream_write(e->r, STR("\r\n"));
	next(e);
}

static void begin_part(struct chore *e, const struct json *head)
{
	put_part(e, "file", "application/octet-stream", chore_flow_size(head));
}

static void end_part(struct chore *e)
{
	http_stream_write(e->r, STR("\r\n"));
	next(e);
}

static void next(struct chore *e)
{
	static const struct chore_flow flow = { .begin = begin_part, .end = end_part };
	struct download *d = e->state;
	const struct json *paths = json_find(d->body, "paths");
	if (d->at < json_len(paths)) {
		d->path = json_str(json_at(paths, d->at++));
		perform(e, &flow);
		return;
	}
	chore_drop(e);
	http_stream_write(e->r, STR("--" BOUNDARY "--\r\n"));
	http_stream_end(e->r, true);
}

static void drop_body(struct chore *e)
{
	struct download *d = e->state;
	json_free(take_ptr(d->body));
}

void download_many(struct http_request *r)
{
	struct chore *e = daytona_chore(r);
	struct json *body = e ? daytona_body(r) : NULL;
	const struct json *paths = json_find(body, "paths");
	if (!body)
		return;
	bool is_good = json_kind(paths) == JSON_KIND_ARRAY && json_len(paths) > 0 &&
		json_len(paths) <= PATHS_MAX;
	for (size_t i = 0; is_good && i < json_len(paths); i++) {
		struct str path = json_str(json_at(paths, i));
		is_good = path.ptr && path.len <= PATH_BYTES && !str_has_nul(path);
	}
	if (!is_good) {
		json_free(body);
		daytona_fail(r, 400, NULL,
			"request body must be {\"paths\": [ ... ]} with 1 to %d paths", PATHS_MAX);
		return;
	}
	struct download *d = arena_new(&r->arena, struct download);
	d->body = body;
	e->state = d;
	e->drop = drop_body;
	e->failed = put_error_part;
	http_stream_begin(r, 200, "multipart/form-data; boundary=" BOUNDARY, -1);
	next(e);
}

/* ---- one file ---- */

static void begin(struct chore *e, const struct json *head)
{
	http_stream_begin(e->r, 200, "application/octet-stream", chore_flow_size(head));
}

static void on_failed(struct chore *e, const struct error *err)
{
	daytona_fail(e->r, daytona_status(err->code),
		err->code == ERROR_NOT_FOUND ? "FILE_NOT_FOUND" : NULL, "%s", err->text);
}

void download_one(struct http_request *r)
{
	static const struct chore_flow flow = { .begin = begin };
	struct str path;
	struct chore *e = daytona_need_query(r, "path", &path) ? daytona_chore(r) : NULL;
	if (!e)
		return;
	struct download *d = arena_new(&r->arena, struct download);
	d->path = path;
	e->state = d;
	e->failed = on_failed;
	perform(e, &flow);
}

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
	struct http_request *r;
	struct daytona *daytona;
	char id[ID_SIZE];
	struct json *body; /* of a bulk; NULL: one file */
	size_t at;         /* in its paths */
	struct str path;
	struct runtime_call *call;
	bool is_begun; /* the head of the file is out */
};

static void download_free(struct download *d)
{
	if (d->call)
		runtime_call_cancel(d->call);
	json_free(d->body);
	free(d);
}

static void on_closed(void *arg)
{
	struct download *d = arg;
	struct http_request *r = d->r;
	bool is_streaming = d->is_begun || d->body;
	struct error err;
	download_free(d);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	if (is_streaming)
		http_stream_end(r, false);
	else
		daytona_fail_error(r, &err);
}

static void on_drain(void *arg)
{
	struct download *d = arg;
	if (d->call)
		runtime_call_pause(d->call, false);
}

static void perform(struct download *d);

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

static void put_part(struct download *d, const char *name, const char *type, int64_t size)
{
	auto_buf struct buf b = BUF_INIT(16 * PATH_BYTES);
	buf_printf(&b, "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s", name);
	put_filename(&b, d->path);
	buf_printf(&b, "Content-Type: %s\r\n", type);
	if (size >= 0)
		buf_printf(&b, "Content-Length: %lld\r\n", (long long)size);
	buf_puts(&b, "\r\n");
	http_stream_write(d->r, buf_str(&b));
}

static void put_error_part(struct download *d, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(16 * PATH_BYTES);
	const char *word = err->code == ERROR_NOT_FOUND ? "FILE_NOT_FOUND"
		: err->code == ERROR_FORBIDDEN          ? "FILE_ACCESS_DENIED"
		: err->code == ERROR_INVALID            ? "INVALID_FILE_PATH"
							: "FILE_READ_FAILED";
	put_part(d, "error", "application/json; charset=utf-8", -1);
	daytona_put_error(&b, d->r, daytona_status(err->code), word, err->text);
	http_stream_write(d->r, buf_str(&b));
	http_stream_write(d->r, STR("\r\n"));
}

static void next(struct download *d)
{
	const struct json *paths = json_find(d->body, "paths");
	d->is_begun = false;
	if (d->at == json_len(paths)) {
		http_stream_write(d->r, STR("--" BOUNDARY "--\r\n"));
		http_stream_end(d->r, true);
		download_free(d);
		return;
	}
	d->path = json_str(json_at(paths, d->at++));
	perform(d);
}

/* ---- a file ---- */

/* The first event says what comes. */
static void on_head(void *arg, struct str text)
{
	struct download *d = arg;
	auto_json struct json *head = NULL;
	if (d->is_begun || json_parse(text, &head, NULL) < 0)
		return;
	const struct json *size = json_find(head, "size");
	int64_t bytes = json_kind(size) == JSON_KIND_INT ? json_int(size) : -1;
	d->is_begun = true;
	if (d->body)
		put_part(d, "file", "application/octet-stream", bytes);
	else
		http_stream_begin(d->r, 200, "application/octet-stream", bytes);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct download *d = arg;
	if (!d->is_begun)
		on_head(d, STR("{}"));
	http_stream_write(d->r, bytes);
	if (http_stream_is_full(d->r))
		runtime_call_pause(d->call, true);
}

static void on_result(void *arg, struct str text)
{
	struct download *d = arg;
	auto_json struct json *result = NULL;
	d->call = NULL;
	if (!d->is_begun)
		on_head(d, STR("{}"));
	bool is_whole = json_parse(text, &result, NULL) == 0 &&
		!json_bool(json_find(result, "truncated"));
	if (d->body && is_whole) {
		http_stream_write(d->r, STR("\r\n"));
		next(d);
		return;
	}
	http_stream_end(d->r, is_whole);
	download_free(d);
}

static void on_error(void *arg, const struct error *err)
{
	struct download *d = arg;
	struct http_request *r = d->r;
	d->call = NULL;
	if (d->is_begun) {
		http_stream_end(r, false);
		download_free(d);
	} else if (d->body) {
		put_error_part(d, err);
		next(d);
	} else {
		daytona_fail(r, daytona_status(err->code),
			err->code == ERROR_NOT_FOUND ? "FILE_NOT_FOUND" : NULL, "%s", err->text);
		download_free(d);
	}
}

static void perform(struct download *d)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_head,
		.result = on_result,
		.error = on_error,
	};
	auto_buf struct buf params = BUF_INIT(16 * PATH_BYTES);
	struct jsonw w = JSONW(&params);
	struct error err;
	struct sandbox *s = runtime_find(d->daytona->rt, str_from(d->id), &err);
	if (!s) {
		on_error(d, &err);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "path", d->path);
	jsonw_key_str(&w, "format", STR("raw"));
	jsonw_close(&w);
	d->call = runtime_perform(s, &download_action, buf_str(&params), &sink, d);
}

static struct download *download_new(struct http_request *r)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	const struct box *b = box_of_toolbox(r, NULL);
	if (!b)
		return NULL;
	struct download *d = mem_new(struct download);
	d->r = r;
	d->daytona = b->daytona;
	snprintf(d->id, sizeof(d->id), "%s", b->id);
	http_listen(r, &ops, d);
	return d;
}

void download_one(struct http_request *r)
{
	struct str path;
	if (!daytona_need_query(r, "path", &path))
		return;
	struct download *d = download_new(r);
	if (!d)
		return;
	d->path = path;
	perform(d);
}

void download_many(struct http_request *r)
{
	struct json *body = daytona_body(r);
	const struct json *paths = json_find(body, "paths");
	if (!body)
		return;
	bool is_good = json_kind(paths) == JSON_KIND_ARRAY && json_len(paths) > 0 &&
		json_len(paths) <= PATHS_MAX;
	for (size_t i = 0; is_good && i < json_len(paths); i++) {
		struct str path = json_str(json_at(paths, i));
		is_good = path.ptr && path.len <= PATH_BYTES && !str_has_nul(path);
	}
	struct download *d = is_good ? download_new(r) : NULL;
	if (!d) {
		if (!is_good)
			daytona_fail(r, 400, NULL,
				"request body must be {\"paths\": [ ... ]} with 1 to %d paths",
				PATHS_MAX);
		json_free(body);
		return;
	}
	d->body = body;
	http_stream_begin(r, 200, "multipart/form-data; boundary=" BOUNDARY, -1);
	next(d);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /files/download: a file, or with Range one part of it. It is looked at first, since a part of
 * it is announced by where it lies in the whole; one that has shrunk since ends the answer early,
 * which is how a client notices.
 */
#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/opensandbox/handlers.h"
#include "face/opensandbox/range.h"
#include "wire/url.h"

struct download {
	struct http_request *r;
	struct runtime_call *call;
	struct osb_range range;
	bool is_begun;
};

static void download_free(struct download *d)
{
	if (d->call)
		runtime_call_cancel(d->call);
	free(d);
}

static void on_closed(void *arg)
{
	struct download *d = arg;
	struct http_request *r = d->r;
	bool is_begun = d->is_begun;
	struct error err;
	download_free(d);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	if (is_begun)
		http_stream_end(r, false);
	else
		osb_execd_error(r, &err);
}

static void on_drain(void *arg)
{
	struct download *d = arg;
	if (d->call)
		runtime_call_pause(d->call, false);
}

static void put_name(struct http_request *r)
{
	struct str path = http_query(r, "path");
	auto_buf struct buf b = BUF_INIT(16 * OSB_PATH_MAX);
	ptrdiff_t slash;
	while ((slash = str_find_char(path, '/')) >= 0)
		path = str_skip(path, (size_t)slash + 1);
	buf_puts(&b, "attachment; filename=\"");
	url_encode(path, &b);
	buf_puts(&b, "\"; filename*=UTF-8''");
	url_encode(path, &b);
	http_reply_header(r, "Content-Disposition", b.ptr);
}

/* The first event says that there is such a file. */
static void on_head(void *arg, struct str text)
{
	struct download *d = arg;
	const struct osb_range *range = &d->range;
	char part[96];
	put_name(d->r);
	http_reply_header(d->r, "Accept-Ranges", "bytes");
	if (range->is_part) {
		snprintf(part, sizeof(part), "bytes %lld-%lld/%lld", (long long)range->start,
			(long long)(range->start + range->length - 1), (long long)range->size);
		http_reply_header(d->r, "Content-Range", part);
	}
	http_stream_begin(d->r, range->is_part ? 206 : 200, "application/octet-stream",
		range->length);
	d->is_begun = true;
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct download *d = arg;
	http_stream_write(d->r, bytes);
	if (http_stream_is_full(d->r))
		runtime_call_pause(d->call, true);
}

static void on_result(void *arg, struct str text)
{
	struct download *d = arg;
	auto_json struct json *result = NULL;
	d->call = NULL;
	json_parse(text, &result, NULL);
	if (!d->is_begun)
		on_head(d, STR_NONE);
	http_stream_end(d->r, json_int(json_find(result, "bytes")) == d->range.length);
	download_free(d);
}

static void on_error(void *arg, const struct error *err)
{
	struct download *d = arg;
	d->call = NULL;
	if (d->is_begun)
		http_stream_end(d->r, false);
	else
		osb_execd_error(d->r, err);
	download_free(d);
}

static void on_size(struct chore *e, const struct json *file)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_head,
		.result = on_result,
		.error = on_error,
	};
	auto_buf struct buf params = BUF_INIT(64 * 1024), size = BUF_INIT(64);
	struct jsonw w = JSONW(&params);
	struct http_request *r = e->r;
	struct sandbox *s = osb_find(osb_of(r), str_from(e->id));
	struct osb_range range;
	struct error err;
	if (osb_range_read(http_header(r, "Range"), json_int(json_find(file, "size")), &range) <
		0) {
		buf_printf(&size, "bytes */%lld", (long long)json_int(json_find(file, "size")));
		http_reply_header(r, "Content-Range", size.ptr);
		osb_fail(r, 416, "UNKNOWN", "the range cannot be satisfied");
		return;
	}
	if (!s) {
		error_set(&err, ERROR_GONE, "the sandbox is gone");
		osb_execd_error(r, &err);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "path", osb_path(r, http_query(r, "path")));
	jsonw_key_str(&w, "format", STR("raw"));
	if (range.is_part) { /* the whole file is asked of backends that give no parts, too */
		jsonw_key_int(&w, "offset", range.start);
		jsonw_key_int(&w, "length", range.length);
	}
	jsonw_close(&w);
	struct download *d = mem_new(struct download);
	d->r = r;
	d->range = range;
	http_listen(r, &ops, d);
	d->call = runtime_perform(s, &download_action, buf_str(&params), &sink, d);
}

void osb_files_download(struct http_request *r)
{
	struct str path;
	struct chore *e = osb_chore(r);
	if (!e || !osb_need_query(r, "path", &path))
		return;
	if (!osb_path_is_good(path))
		osb_execd_invalid(r, "path is too long");
	else
		chore_perform_path(e, &stat_action, osb_path(r, path), "", on_size);
}

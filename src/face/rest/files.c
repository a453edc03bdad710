/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUT and GET …/files: raw bytes of any length, through the actions upload and download. The one
 * that is slower sets the pace: nothing is kept but what the sockets hold and one piece.
 */
#include "face/rest/handlers.h"

#include "action/file_actions.h"
#include "runtime/inlet.h"
#include "wire/url.h"

struct transfer {
	struct inlet in; /* to a call; of a download, it only holds the call */
	bool is_begun;   /* the answer is */
};

static void reply_error(void *arg, const struct error *err)
{
	struct transfer *t = arg;
	t->in.to = NULL;
	if (t->is_begun)
		http_stream_end(t->in.r, false);
	else
		http_reply_error(t->in.r, err);
}

static void on_closed(void *arg)
{
	struct transfer *t = arg;
	struct error err;
	if (!t->in.to)
		return;
	runtime_call_cancel(t->in.to);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	reply_error(t, &err);
}

static void start(struct http_request *r, struct sandbox *s, const struct action *action,
	struct str params, const struct http_ops *ops, const struct call_sink *sink)
{
	struct transfer *t = arena_new(&r->arena, struct transfer);
	t->in = (struct inlet){ .r = r, .kind = &inlet_call };
	t->in.to = runtime_perform(s, action, params, sink, t);
	http_listen(r, ops, t);
}

/* The query says what is wished. */
static void start_query(struct http_request *r, const struct action *action,
	void (*go)(struct http_request *r, struct sandbox *s, struct str params))
{
	struct sandbox *s = rest_sandbox(r);
	auto_buf struct buf params = BUF_INIT(4 * HTTP_HEAD_MAX);
	if (s && rest_query_json(r, action->fields, &params) == 0)
		go(r, s, buf_str(&params));
}

/* Upload. */

static void on_uploaded(void *arg, struct str json)
{
	struct transfer *t = arg;
	t->in.to = NULL;
	http_reply(t->in.r, 200, "application/json", json);
}

void files_upload(struct http_request *r, struct sandbox *s, struct str params)
{
	static const struct http_ops ops = {
		.on_body = inlet_body,
		.on_body_end = inlet_end,
		.on_closed = on_closed,
	};
	static const struct call_sink sink = {
		.drain = inlet_drain,
		.result = on_uploaded,
		.error = reply_error,
	};
	start(r, s, &upload_action, params, &ops, &sink);
}

void files_put(struct http_request *r)
{
	start_query(r, &upload_action, files_upload);
}

/* Download. */

static const char *media_type(struct str format)
{
	if (str_is(format, "tar"))
		return "application/x-tar";
	return str_is(format, "zip") ? "application/zip" : "application/octet-stream";
}

static void put_name(struct transfer *t, struct str name)
{
	auto_buf struct buf b = BUF_INIT(4096);
	buf_puts(&b, "attachment; filename*=UTF-8''");
	url_encode(name, &b);
	if (!b.is_full)
		http_reply_header(t->in.r, "Content-Disposition", b.ptr);
}

/* The first event says what comes. */
static void on_head(void *arg, struct str text)
{
	struct transfer *t = arg;
	auto_json struct json *head = NULL;
	if (t->is_begun || json_parse(text, &head, NULL) < 0)
		return;
	struct str name = json_str(json_find(head, "name"));
	const struct json *size = json_find(head, "size");
	if (name.len)
		put_name(t, name);
	http_stream_begin(t->in.r, 200, media_type(json_str(json_find(head, "format"))),
		json_kind(size) == JSON_KIND_INT ? json_int(size) : -1);
	t->is_begun = true;
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct transfer *t = arg;
	if (!t->is_begun)
		on_head(t, STR("{}"));
	http_stream_write(t->in.r, bytes);
	if (http_stream_is_full(t->in.r))
		runtime_call_pause(t->in.to, true);
}

static void on_drain(void *arg)
{
	struct transfer *t = arg;
	if (t->in.to)
		runtime_call_pause(t->in.to, false);
}

static void on_downloaded(void *arg, struct str text)
{
	struct transfer *t = arg;
	auto_json struct json *result = NULL;
	t->in.to = NULL;
	if (!t->is_begun)
		on_head(t, STR("{}"));
	bool is_whole = json_parse(text, &result, NULL) == 0 &&
		!json_bool(json_find(result, "truncated"));
	http_stream_end(t->in.r, is_whole);
}

void files_download(struct http_request *r, struct sandbox *s, struct str params)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_head,
		.result = on_downloaded,
		.error = reply_error,
	};
	start(r, s, &download_action, params, &ops, &sink);
}

void files_get(struct http_request *r)
{
	start_query(r, &download_action, files_download);
}

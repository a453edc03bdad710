/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUT and GET …/files: raw bytes of any length, through the actions upload and download. The one
 * that is slower sets the pace: nothing is kept but what the sockets hold and one piece.
 */
#include "face/rest/handlers.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "face/chore.h"
#include "wire/url.h"

/* The query says what is wished. */
static void start_query(struct http_request *r, const struct action *action,
	void (*go)(struct http_request *r, struct sandbox *s, const struct buf *params))
{
	struct sandbox *s = rest_sandbox(r);
	auto_buf struct buf params = BUF_INIT(4 * HTTP_HEAD_MAX);
	if (s && rest_query_json(r, action->fields, &params) == 0)
		go(r, s, &params);
}

static struct chore *chore_of(struct http_request *r, const struct sandbox *s)
{
	return chore_new(r, rest_of(r)->runtime, s->id, http_reply_error);
}

/* Upload. */

static void on_uploaded(struct chore *e, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	json_write(result, &body);
	http_reply_json(e->r, 200, &body);
}

void files_upload(struct http_request *r, struct sandbox *s, const struct buf *params)
{
	chore_feed(chore_of(r, s), &upload_action, params, on_uploaded);
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

static void put_name(struct http_request *r, struct str name)
{
	auto_buf struct buf b = BUF_INIT(4096);
	buf_puts(&b, "attachment; filename*=UTF-8''");
	url_encode(name, &b);
	if (!b.is_full)
		http_reply_header(r, "Content-Disposition", b.ptr);
}

static void begin(struct chore *e, const struct json *head)
{
	struct str name = json_str(json_find(head, "name"));
	if (name.len)
		put_name(e->r, name);
	http_stream_begin(e->r, 200, media_type(json_str(json_find(head, "format"))),
		chore_flow_size(head));
}

void files_download(struct http_request *r, struct sandbox *s, const struct buf *params)
{
	static const struct chore_flow flow = { .begin = begin };
	chore_flow(chore_of(r, s), &download_action, params, &flow);
}

void files_get(struct http_request *r)
{
	start_query(r, &download_action, files_download);
}

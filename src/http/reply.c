/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers: the head, whole bodies, and bodies in pieces. What the socket takes leaves at once,
 * without a copy; the rest waits in the connection's queue. An exchange whose connection is gone
 * swallows its answer.
 */
#include "http/conn.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/json.h"

#include <time.h>

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 101, "Switching Protocols" },
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 413, "Content Too Large" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 499, "Client Closed Request" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 507, "Insufficient Storage" },
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

/* "Date: Sat, 21 Nov 2026 09:15:02 GMT\r\n", made once a second. */
static const char *date_line(void)
{
	static char line[48];
	static time_t made;
	time_t now = time(NULL);
	if (now != made) {
		struct tm tm;
		gmtime_r(&now, &tm);
		strftime(line, sizeof(line), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
		made = now;
	}
	return line;
}

static void put_head(struct buf *b, int status, const char *type, struct str more)
{
	buf_printf(b, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	buf_puts(b, date_line());
	buf_puts(b, "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n");
	if (type)
		buf_printf(b, "Content-Type: %s\r\n", type);
	if (status == 401)
		buf_puts(b, "WWW-Authenticate: Bearer\r\n");
	buf_put(b, more);
}

static void put_connection(struct buf *b, struct http_conn *c)
{
	if (!conn_can_go_on(c)) {
		c->is_last = true;
		buf_puts(b, "Connection: close\r\n");
	}
}

static bool has_no_body(int status)
{
	return status < 200 || status == 204 || status == 304;
}

static struct iovec part(struct str s)
{
	return (struct iovec){ (char *)(uintptr_t)s.ptr, s.len };
}

static void send_whole(struct http_conn *c, int status, const char *type, struct str more,
	struct str body, bool is_head)
{
	auto_buf struct buf head = BUF_INIT(2 * HTTP_HEAD_MAX);
	put_head(&head, status, type, more);
	if (!has_no_body(status))
		buf_printf(&head, "Content-Length: %zu\r\n", body.len);
	put_connection(&head, c);
	buf_puts(&head, "\r\n");
	struct iovec parts[] = { part(buf_str(&head)), part(body) };
	conn_send(c, parts, is_head || has_no_body(status) || !body.len ? 1 : 2);
}

/* The exchange is over: lets go of the connection, and goes away. */
static void finish(struct exchange *x)
{
	struct http_conn *c = x->conn;
	if (c) {
		c->is_answered = true;
		c->current = NULL;
	}
	exchange_free(x);
	if (c)
		conn_touch(c);
}

static void render(const struct http_face *face, const struct error *e, int *status,
	struct buf *body)
{
	if (face && face->render_error) {
		face->render_error(face, e, status, body);
		return;
	}
	struct jsonw w = JSONW(body);
	jsonw_open(&w);
	jsonw_key(&w, "error");
	jsonw_error(&w, e);
	jsonw_close(&w);
}

void reply_refuse(struct http_conn *c, int status, const struct error *e)
{
	struct exchange *x = c->current;
	c->is_last = true;
	if (c->is_answered || (x && x->is_streaming)) {
		c->is_broken = true; /* another answer is out, or on its way */
		return;
	}
	auto_buf struct buf body = BUF_INIT(HTTP_HEAD_MAX);
	render(x ? x->r.face : NULL, e, &status, &body);
	send_whole(c, status, "application/json", STR(""), buf_str(&body), false);
	c->is_answered = true;
	c->current = NULL;
	if (x)
		exchange_abandon(x);
}

void http_reply_header(struct http_request *r, const char *name, const char *value)
{
	BUG_IF(strpbrk(name, "\r\n:") || strpbrk(value, "\r\n"), "a header with a line break");
	buf_printf(&exchange_of(r)->headers, "%s: %s\r\n", name, value);
}

void http_reply(struct http_request *r, int status, const char *type, struct str body)
{
	struct exchange *x = exchange_of(r);
	BUG_IF(x->is_streaming, "a request was answered twice");
	BUG_IF(body.len > HTTP_REPLY_MAX, "a reply larger than HTTP_REPLY_MAX");
	if (x->conn)
		send_whole(x->conn, status, type, buf_str(&x->headers), body, x->is_head);
	finish(x);
}

void http_reply_json(struct http_request *r, int status, const struct buf *json)
{
	struct error err;
	if (!json->is_full && json->len <= HTTP_REPLY_MAX) {
		http_reply(r, status, "application/json", buf_str(json));
		return;
	}
	error_set(&err, ERROR_TOO_LARGE, "the reply is larger than %zu bytes",
		MIN(json->limit, (size_t)HTTP_REPLY_MAX));
	http_reply_error(r, &err);
}

void http_reply_error(struct http_request *r, const struct error *e)
{
	auto_buf struct buf body = BUF_INIT(HTTP_HEAD_MAX);
	int status = error_http(e->code);
	render(r->face, e, &status, &body);
	http_reply(r, status, "application/json", buf_str(&body));
}

enum { NO_BODY = -2 };

/* `head` has everything but the framing. */
static void begin(struct exchange *x, struct buf *head, int64_t length)
{
	struct http_conn *c = x->conn;
	BUG_IF(x->is_streaming, "a request was answered twice");
	x->is_streaming = true;
	x->stream_left = length;
	x->is_chunked = length < 0 && x->head.minor == 1;
	if (!c)
		return;
	if (length == NO_BODY) {
		x->is_head = true; /* nothing that is written is sent, and no length is told */
		x->is_chunked = false;
	} else if (length < 0 && !x->is_chunked && !x->is_head) {
		c->is_last = true; /* HTTP/1.0: the end of the connection is the end of the body */
	}
	if (x->is_chunked)
		buf_puts(head, "Transfer-Encoding: chunked\r\n");
	else if (length >= 0)
		buf_printf(head, "Content-Length: %lld\r\n", (long long)length);
	put_connection(head, c);
	buf_puts(head, "\r\n");
	conn_send(c, &(struct iovec){ head->ptr, head->len }, 1);
	conn_touch(c);
}

void http_stream_begin(struct http_request *r, int status, const char *type, int64_t length)
{
	struct exchange *x = exchange_of(r);
	auto_buf struct buf head = BUF_INIT(2 * HTTP_HEAD_MAX);
	x->is_event_stream = str_starts(str_from(type), STR("text/event-stream"));
	put_head(&head, status, type, buf_str(&x->headers));
	begin(x, &head, MAX(length, -1));
}

void http_stream_begin_bare(struct http_request *r, int status, int64_t length)
{
	struct exchange *x = exchange_of(r);
	auto_buf struct buf head = BUF_INIT(2 * HTTP_HEAD_MAX + 128);
	buf_printf(&head, "HTTP/1.1 %d %s\r\n", status, reason_of(status));
	buf_put(&head, buf_str(&x->headers));
	begin(x, &head, has_no_body(status) ? NO_BODY : length);
}

static void send_chunk(struct http_conn *c, struct str bytes)
{
	char size[20];
	int n = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
	struct iovec parts[] = { { size, (size_t)n }, part(bytes), part(STR("\r\n")) };
	conn_send(c, parts, 3);
}

void http_stream_write(struct http_request *r, struct str bytes)
{
	struct exchange *x = exchange_of(r);
	struct http_conn *c = x->conn;
	BUG_IF(!x->is_streaming, "a stream was written to before it began");
	if (!c || x->is_head || bytes.len == 0)
		return;
	if (x->stream_left >= 0 && (int64_t)bytes.len > x->stream_left) {
		conn_break(c);
		return;
	}
	if (x->stream_left >= 0)
		x->stream_left -= (int64_t)bytes.len;
	if (conn_waiting(c) + bytes.len > HTTP_STREAM_MAX && conn_waiting(c) > HTTP_STREAM_HIGH) {
		conn_break(c);
		return;
	}
	if (x->is_chunked)
		send_chunk(c, bytes);
	else
		conn_send(c, &(struct iovec){ (char *)(uintptr_t)bytes.ptr, bytes.len }, 1);
	if (http_stream_is_full(r))
		x->was_full = true;
	conn_touch(c);
}

bool http_stream_has_begun(const struct http_request *r)
{
	return exchange_of(r)->is_streaming;
}

bool http_stream_is_full(const struct http_request *r)
{
	const struct exchange *x = exchange_of(r);
	return x->conn && conn_is_full(x->conn, HTTP_STREAM_HIGH);
}

void http_stream_end(struct http_request *r, bool is_whole)
{
	struct exchange *x = exchange_of(r);
	struct http_conn *c = x->conn;
	BUG_IF(!x->is_streaming, "a stream ended before it began");
	if (c && (!is_whole || (x->stream_left > 0 && !x->is_head)))
		conn_break(c);
	else if (c && x->is_chunked && !x->is_head)
		conn_send(c, &(struct iovec){ (char *)(uintptr_t) "0\r\n\r\n", 5 }, 1);
	finish(x);
}

void reply_drained(struct exchange *x)
{
	if (!x->was_full || http_stream_is_full(&x->r))
		return;
	x->was_full = false;
	if (x->ops && x->ops->on_drain)
		x->ops->on_drain(x->ops_arg);
}

void reply_ping(struct exchange *x)
{
	static const struct str comment = { ":\n\n", 3 };
	if (x->is_chunked)
		send_chunk(x->conn, comment);
	else
		conn_send(x->conn, &(struct iovec){ (char *)(uintptr_t)comment.ptr, comment.len },
			1);
}

void reply_closed(struct exchange *x)
{
	if (x->closed_told || !x->ops || !x->ops->on_closed)
		return;
	x->closed_told = true;
	x->ops->on_closed(x->ops_arg);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include "base/auto.h"
#include "base/bug.h"
#include "http/wsframe.h"
#include "wire/base64.h"
#include "wire/http1.h"
#include "wire/json.h"
#include "wire/sse.h"

#include <curl/curl.h>
#include <poll.h>
#include <sys/random.h>

enum {
	CONNECT_MS = 10000,
	ERROR_BODY_MAX = 64 * 1024,
	EVENT_MAX = 32 * 1024 * 1024,
	TARGET_MAX = 32 * 1024,
	REPLY_HEAD_MAX = 32 * 1024,
	HANDSHAKE_MS = 30000,
};

struct http_client {
	CURL *easy;
	char *base;      /* "http://localhost/prefix" */
	char *host;      /* of it: "localhost", "name:8080" */
	char *prefix;    /* "/prefix" or "" */
	char *unix_path; /* NULL: TCP */
	char *token;     /* NULL: none */
};

static int set_url(struct http_client *c, const char *url, struct error *err)
{
	struct str s = str_from(url);
	if (str_starts(s, STR("unix:"))) {
		c->unix_path = str_dup(str_skip(s, 5));
		c->base = mem_strdup("http://localhost");
		c->host = mem_strdup("localhost");
		c->prefix = mem_strdup("");
		if (c->unix_path[0] == '/')
			return 0;
		return error_set(err, ERROR_INVALID, "'%s': unix: wants an absolute path", url);
	}
	while (str_ends(s, STR("/")))
		s.len--;
	ptrdiff_t scheme = str_find(s, STR("://"));
	struct str name = str_first(s, scheme < 0 ? 0 : (size_t)scheme);
	if (!str_is(name, "http") && !str_is(name, "https"))
		return error_set(err, ERROR_INVALID,
			"'%s': a URL starts with http://, https:// or unix:", url);
	struct str rest = str_skip(s, (size_t)scheme + 3);
	ptrdiff_t slash = str_find_char(rest, '/');
	c->base = str_dup(s);
	c->host = str_dup(slash < 0 ? rest : str_first(rest, (size_t)slash));
	c->prefix = str_dup(slash < 0 ? STR("") : str_skip(rest, (size_t)slash));
	return 0;
}

int http_client_new(const char *url, const char *token, struct http_client **ret, struct error *err)
{
	struct http_client *c = mem_new(struct http_client);
	c->token = token ? mem_strdup(token) : NULL;
	if (set_url(c, url, err) < 0) {
		http_client_free(c);
		return -1;
	}
	c->easy = curl_easy_init();
	BUG_IF(!c->easy, "libcurl cannot start");
	*ret = c;
	return 0;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->easy);
	free(c->base);
	free(c->host);
	free(c->prefix);
	free(c->unix_path);
	free(c->token);
	free(c);
}

/* What every handle of ours has in common. */
static void set_common(struct http_client *c, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	if (c->unix_path)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, c->unix_path);
}

static int failed(struct http_client *c, CURLcode code, struct error *err)
{
	const char *where = c->unix_path ? c->unix_path : c->base;
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return error_set(err, ERROR_TIMEOUT, "%s: no answer in time", where);
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return error_set(err, ERROR_UNAVAILABLE, "%s: %s", where, curl_easy_strerror(code));
	default:
		return error_set(err, ERROR_PROTOCOL, "%s: %s", where, curl_easy_strerror(code));
	}
}

/* An error body is ours if it says so; else its beginning is shown. */
static int refused(int status, struct str body, struct error *err)
{
	auto_json struct json *j = NULL;
	if (json_parse(body, &j, NULL) == 0 && json_kind(json_find(j, "error")) == JSON_KIND_OBJECT)
		return json_to_error(json_find(j, "error"), err);
	return error_set(err, ERROR_PROTOCOL, "the server answered %d: %.*s", status,
		STR_ARG(str_first(str_trim(body), 200)));
}

/* One call while it runs. */
struct transfer {
	struct http_client *client;
	struct http_call *call;
	struct buf refusal; /* the body of a bad answer */
	struct sse_parser events;
	struct error *err;
	bool is_ended; /* by a callback, or by the reply's ceiling: *err is filled */
};

static bool is_good(struct transfer *t)
{
	long status = 0;
	curl_easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &status);
	t->call->ret_status = (int)status;
	return status < 400;
}

static int on_event(void *arg, const struct sse_event *e, struct error *err)
{
	struct http_call *call = arg;
	return call->on_event(call->arg, e->event, e->data, err);
}

static int pass_body(struct transfer *t, struct str piece)
{
	struct http_call *call = t->call;
	if (call->on_event)
		return sse_parse(&t->events, piece, on_event, call, t->err);
	if (call->on_body)
		return call->on_body(call->arg, piece, t->err);
	if (call->reply && buf_put(call->reply, piece) < 0)
		return error_set(t->err, ERROR_TOO_LARGE, "the answer is over %zu bytes",
			call->reply->limit);
	return 0;
}

static size_t on_write(char *bytes, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct str piece = str_from_len(bytes, size * n);
	if (!is_good(t)) {
		buf_put(&t->refusal, str_first(piece, t->refusal.limit - t->refusal.len));
		return piece.len;
	}
	t->is_ended = pass_body(t, piece) < 0;
	return t->is_ended ? 0 : piece.len;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	ssize_t r;
	do
		r = read(t->call->body_fd, to, size * n);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return (size_t)r;
	error_sys(t->err, errno, "read what is to be sent");
	t->is_ended = true;
	return CURL_READFUNC_ABORT;
}

static void add_header(struct curl_slist **list, const char *name, const char *value)
{
	auto_free char *line = mem_printf("%s%s", name, value);
	struct curl_slist *longer = curl_slist_append(*list, line);
	BUG_IF(!longer, "out of memory");
	*list = longer;
}

static struct curl_slist *make_headers(struct http_client *c, const struct http_call *call)
{
	struct curl_slist *list = NULL;
	if (c->token)
		add_header(&list, "Authorization: Bearer ", c->token);
	if (call->accept)
		add_header(&list, "Accept: ", call->accept);
	add_header(&list, "Content-Type:", call->content_type ? call->content_type : "");
	if (call->body.ptr)
		add_header(&list, "Expect:", ""); /* it is at hand: no round trip to ask */
	return list;
}

static void set_body(CURL *easy, struct transfer *t)
{
	struct http_call *call = t->call;
	if (call->body.ptr || str_is(STR("POST"), call->method)) {
		if (call->body.ptr || call->body_fd <= 0) {
			curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				(curl_off_t)call->body.len);
			curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
				call->body.ptr ? call->body.ptr : "");
			return;
		}
	}
	if (call->body_fd <= 0)
		return;
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, t);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
		call->body_size > 0 ? (curl_off_t)call->body_size : (curl_off_t)-1);
}

static void save_type(struct http_client *c, struct http_call *call)
{
	char *type = NULL;
	curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
	struct str s = str_from(type);
	ptrdiff_t end = str_find_char(s, ';');
	if (end >= 0)
		s = str_first(s, (size_t)end);
	s = str_trim(s);
	snprintf(call->ret_type, sizeof(call->ret_type), "%.*s", STR_ARG(s));
}

static int perform(struct http_client *c, struct transfer *t)
{
	struct http_call *call = t->call;
	auto_free char *url = mem_printf("%s%s", c->base, call->path);
	struct curl_slist *headers = make_headers(c, call);
	CURL *easy = c->easy;
	curl_easy_reset(easy); /* options only: the connection stays open */
	set_common(c, easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	set_body(easy, t);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
	CURLcode code = curl_easy_perform(easy);
	curl_slist_free_all(headers);
	bool is_bad = !is_good(t);
	save_type(c, call);
	if (t->is_ended)
		return -1;
	/* A server that refuses an upload may close before it has read all of it. */
	if (is_bad)
		return refused(call->ret_status, buf_str(&t->refusal), t->err);
	return code == CURLE_OK ? 0 : failed(c, code, t->err);
}

int http_client_call(struct http_client *c, struct http_call *call, struct error *err)
{
	struct error unused;
	struct transfer t = { .client = c, .call = call, .err = err ? err : &unused };
	buf_init(&t.refusal, ERROR_BODY_MAX);
	sse_parser_init(&t.events, EVENT_MAX);
	int r = perform(c, &t);
	sse_parser_fini(&t.events);
	buf_fini(&t.refusal);
	return r;
}

int http_client_get(struct http_client *c, const char *path, struct buf *reply, struct error *err)
{
	struct http_call call = { .method = "GET", .path = path, .reply = reply };
	return http_client_call(c, &call, err);
}

int http_client_post(struct http_client *c, const char *path, struct str json, struct buf *reply,
	struct error *err)
{
	struct http_call call = {
		.method = "POST",
		.path = path,
		.reply = reply,
		.body = json,
		.content_type = json.ptr ? "application/json" : NULL,
	};
	return http_client_call(c, &call, err);
}

int http_client_delete(struct http_client *c, const char *path, struct buf *reply,
	struct error *err)
{
	struct http_call call = { .method = "DELETE", .path = path, .reply = reply };
	return http_client_call(c, &call, err);
}

/* ---- WebSocket: libcurl makes the connection, wslay the frames ---- */

struct http_ws {
	struct http_client *client; /* for its names in errors */
	CURL *easy;
	int fd;
	struct wsframe *frames;
	const struct http_ws_ops *ops;
	void *arg;
	struct buf in;  /* what came behind the handshake */
	struct buf out; /* what the socket did not take yet */
	bool is_over;
};

static ssize_t ws_recv(struct http_ws *ws, char *to, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(ws->easy, to, len, &n);
	if (code == CURLE_AGAIN)
		return 0;
	return code == CURLE_OK && n > 0 ? (ssize_t)n : -1;
}

static ssize_t on_frame_read(void *arg, char *to, size_t len)
{
	struct http_ws *ws = arg;
	if (ws->in.len == 0)
		return ws_recv(ws, to, len);
	size_t n = MIN(len, ws->in.len);
	memcpy(to, ws->in.ptr, n);
	buf_drop_front(&ws->in, n);
	return (ssize_t)n;
}

/* Sends what waits, as far as the socket takes it. -1 if the peer is gone. */
static int ws_flush(struct http_ws *ws)
{
	size_t sent = 0;
	CURLcode code = CURLE_OK;
	while (code == CURLE_OK && sent < ws->out.len) {
		size_t n = 0;
		code = curl_easy_send(ws->easy, ws->out.ptr + sent, ws->out.len - sent, &n);
		sent += n;
	}
	buf_drop_front(&ws->out, sent);
	return code == CURLE_OK || code == CURLE_AGAIN ? 0 : -1;
}

static void on_frame_write(void *arg, struct str bytes)
{
	struct http_ws *ws = arg;
	buf_put(&ws->out, bytes);
	ws_flush(ws); /* a failure shows when the next turn reads */
}

static void on_frame_text(void *arg, struct str text)
{
	struct http_ws *ws = arg;
	ws->ops->on_text(ws->arg, text);
}

static void on_frame_binary(void *arg, struct str bytes)
{
	struct http_ws *ws = arg;
	ws->ops->on_binary(ws->arg, bytes);
}

static const struct wsframe_ops frame_ops = { on_frame_read, on_frame_write, on_frame_text,
	on_frame_binary };

static int wait_for(struct http_ws *ws, short events, struct error *err)
{
	struct pollfd p = { .fd = ws->fd, .events = events };
	int r;
	do
		r = poll(&p, 1, HANDSHAKE_MS);
	while (r < 0 && errno == EINTR);
	if (r > 0)
		return 0;
	return failed(ws->client, r < 0 ? CURLE_RECV_ERROR : CURLE_OPERATION_TIMEDOUT, err);
}

static int send_upgrade(struct http_ws *ws, const char *path, const char *key, struct error *err)
{
	struct http_client *c = ws->client;
	buf_printf(&ws->out, "GET %s%s HTTP/1.1\r\nHost: %s\r\n", c->prefix, path, c->host);
	buf_printf(&ws->out,
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: %s\r\n",
		key);
	if (c->token)
		buf_printf(&ws->out, "Authorization: Bearer %s\r\n", c->token);
	buf_puts(&ws->out, "\r\n");
	while (ws->out.len) {
		if (ws_flush(ws) < 0)
			return failed(c, CURLE_SEND_ERROR, err);
		if (ws->out.len && wait_for(ws, POLLOUT, err) < 0)
			return -1;
	}
	return 0;
}

/* Receives at least once more into `in`. */
static int receive_more(struct http_ws *ws, struct error *err)
{
	ssize_t n;
	char bytes[4096];
	while ((n = ws_recv(ws, bytes, sizeof(bytes))) == 0)
		if (wait_for(ws, POLLIN, err) < 0)
			return -1;
	if (n < 0)
		return failed(ws->client, CURLE_RECV_ERROR, err);
	if (buf_add(&ws->in, bytes, (size_t)n) < 0)
		return error_set(err, ERROR_PROTOCOL, "the answer to an upgrade is too long");
	return 0;
}

static int receive_refusal(struct http_ws *ws, const struct http1_head *head, size_t head_len,
	struct error *err)
{
	int status = head->status;
	size_t body = (size_t)MIN(MAX(head->content_length, 0), (int64_t)ERROR_BODY_MAX);
	while (ws->in.len - head_len < body)
		if (receive_more(ws, err) < 0)
			return -1;
	return refused(status, str_first(str_skip(buf_str(&ws->in), head_len), body), err);
}

static int receive_upgrade(struct http_ws *ws, const char *key, struct error *err)
{
	auto_free struct http1_head *head = mem_new(struct http1_head);
	char accept[WSFRAME_ACCEPT_SIZE];
	size_t scanned = 0;
	ssize_t n;
	while ((n = http1_head_end(buf_str(&ws->in), &scanned, err)) == 0)
		if (receive_more(ws, err) < 0)
			return -1;
	if (n < 0 || http1_parse_reply(str_first(buf_str(&ws->in), (size_t)n), head, err) < 0)
		return error_wrap(err, "upgrade to a WebSocket");
	if (head->status != 101)
		return receive_refusal(ws, head, (size_t)n, err);
	wsframe_accept(str_from(key), accept);
	if (!str_is(http1_find(head, "Sec-WebSocket-Accept"), accept))
		return error_set(err, ERROR_PROTOCOL, "the server does not know WebSockets");
	buf_drop_front(&ws->in, (size_t)n);
	return 0;
}

static int connect_socket(struct http_ws *ws, struct error *err)
{
	curl_socket_t fd;
	set_common(ws->client, ws->easy);
	curl_easy_setopt(ws->easy, CURLOPT_URL, ws->client->base);
	curl_easy_setopt(ws->easy, CURLOPT_CONNECT_ONLY, 1L);
	CURLcode code = curl_easy_perform(ws->easy);
	if (code != CURLE_OK)
		return failed(ws->client, code, err);
	curl_easy_getinfo(ws->easy, CURLINFO_ACTIVESOCKET, &fd);
	ws->fd = fd;
	return 0;
}

static void make_key(char key[25])
{
	char random[16];
	auto_buf struct buf text = BUF_INIT(32);
	BUG_IF(getrandom(random, sizeof(random), 0) != sizeof(random),
		"the kernel gives no random bytes");
	base64_encode(str_from_len(random, sizeof(random)), &text);
	memcpy(key, text.ptr, 25);
}

int http_ws_open(struct http_client *c, const char *path, const struct http_ws_ops *ops, void *arg,
	struct http_ws **ret, struct error *err)
{
	char key[25];
	struct http_ws *ws = mem_new(struct http_ws);
	ws->client = c;
	ws->ops = ops;
	ws->arg = arg;
	buf_init(&ws->in, REPLY_HEAD_MAX + ERROR_BODY_MAX);
	buf_init(&ws->out, HTTP_WS_HIGH + HTTP_WS_MESSAGE_MAX + TARGET_MAX);
	ws->frames = wsframe_new(WSFRAME_CLIENT, HTTP_WS_MESSAGE_MAX, &frame_ops, ws);
	ws->easy = curl_easy_init();
	BUG_IF(!ws->easy, "libcurl cannot start");
	make_key(key);
	if (connect_socket(ws, err) < 0 || send_upgrade(ws, path, key, err) < 0 ||
		receive_upgrade(ws, key, err) < 0) {
		http_ws_free(ws);
		return -1;
	}
	*ret = ws;
	return 0;
}

int http_ws_fd(const struct http_ws *ws)
{
	return ws->fd;
}

short http_ws_poll_events(const struct http_ws *ws)
{
	/* What came with the handshake is no event of the socket; that it can be written to is one. */
	return (short)(POLLIN | (ws->out.len || ws->in.len ? POLLOUT : 0));
}

int http_ws_turn(struct http_ws *ws, struct error *err)
{
	if (ws->is_over)
		return 0;
	if (ws_flush(ws) < 0)
		buf_reset(&ws->out); /* the peer takes no more, but may have said why */
	int code = wsframe_receive(ws->frames);
	if (!code)
		return 0;
	ws->is_over = true;
	ws->ops->on_close(ws->arg, code);
	return code == WSFRAME_CLOSE_GONE ? failed(ws->client, CURLE_RECV_ERROR, err) : 0;
}

bool http_ws_is_full(const struct http_ws *ws)
{
	return ws->out.len >= HTTP_WS_HIGH;
}

void http_ws_send_text(struct http_ws *ws, struct str text)
{
	wsframe_send(ws->frames, WSFRAME_TEXT, text);
}

void http_ws_send_binary(struct http_ws *ws, struct str bytes)
{
	wsframe_send(ws->frames, WSFRAME_BINARY, bytes);
}

void http_ws_close(struct http_ws *ws, int code)
{
	wsframe_close(ws->frames, code, STR(""));
}

void http_ws_free(struct http_ws *ws)
{
	if (!ws)
		return;
	wsframe_free(ws->frames);
	curl_easy_cleanup(ws->easy);
	buf_fini(&ws->in);
	buf_fini(&ws->out);
	free(ws);
}

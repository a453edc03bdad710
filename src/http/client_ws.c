/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's WebSocket: the handshake waits, everything after it does not. What came behind the
 * handshake stays in `in` until the first turn.
 */
#include "http/client_socket.h"

#include "base/auto.h"
#include "base/bug.h"
#include "http/fetch.h"
#include "http/wsframe.h"
#include "wire/base64.h"
#include "wire/http1.h"

#include <poll.h>
#include <sys/random.h>

enum {
	TARGET_MAX = 32 * 1024,
	REPLY_HEAD_MAX = 32 * 1024,
	HANDSHAKE_MS = 30000,
};

struct http_ws {
	struct http_client *client; /* for its names in errors */
	struct fetch_socket socket;
	struct wsframe *frames;
	const struct http_ws_ops *ops;
	void *arg;
	struct buf in;  /* what came behind the handshake */
	struct buf out; /* what the socket did not take yet */
	bool is_over, is_paused;
};

static ssize_t on_frame_read(void *arg, char *to, size_t len)
{
	struct http_ws *ws = arg;
	if (ws->is_paused)
		return 0;
	if (ws->in.len == 0)
		return fetch_socket_recv(&ws->socket, to, len);
	size_t n = MIN(len, ws->in.len);
	memcpy(to, ws->in.ptr, n);
	buf_drop_front(&ws->in, n);
	return (ssize_t)n;
}

/* Sends what waits, as far as the socket takes it. -1 if the peer is gone. */
static int ws_flush(struct http_ws *ws)
{
	size_t sent = 0;
	ssize_t n = 1;
	while (n > 0 && sent < ws->out.len) {
		n = fetch_socket_send(&ws->socket, str_skip(buf_str(&ws->out), sent));
		sent += n > 0 ? (size_t)n : 0;
	}
	buf_drop_front(&ws->out, sent);
	return n < 0 ? -1 : 0;
}

static void on_frame_write(void *arg, struct str bytes)
{
	struct http_ws *ws = arg;
	if (ws->is_over)
		return; /* what it has held back is not what this would be sent after */
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

static int broken(const struct http_ws *ws, struct error *err)
{
	return error_set(err, ERROR_UNAVAILABLE, "%s: the connection broke",
		client_where(ws->client));
}

static int wait_for(struct http_ws *ws, short events, struct error *err)
{
	struct pollfd p = { .fd = ws->socket.fd, .events = events };
	int r;
	do
		r = poll(&p, 1, HANDSHAKE_MS);
	while (r < 0 && errno == EINTR);
	if (r > 0)
		return 0;
	if (r < 0)
		return broken(ws, err);
	return error_set(err, ERROR_TIMEOUT, "%s: no answer in time", client_where(ws->client));
}

static int send_upgrade(struct http_ws *ws, const char *path, const char *protocol, const char *key,
	struct error *err)
{
	struct http_client *c = ws->client;
	buf_printf(&ws->out, "GET %s%s HTTP/1.1\r\nHost: %s\r\n", c->prefix, path, c->host);
	buf_printf(&ws->out,
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: %s\r\n",
		key);
	if (protocol)
		buf_printf(&ws->out, "Sec-WebSocket-Protocol: %s\r\n", protocol);
	if (c->token)
		buf_printf(&ws->out, "Authorization: Bearer %s\r\n", c->token);
	buf_puts(&ws->out, "\r\n");
	while (ws->out.len) {
		if (ws_flush(ws) < 0)
			return broken(ws, err);
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
	while ((n = fetch_socket_recv(&ws->socket, bytes, sizeof(bytes))) == 0)
		if (wait_for(ws, POLLIN, err) < 0)
			return -1;
	if (n < 0)
		return broken(ws, err);
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
	return client_refused(status, str_first(str_skip(buf_str(&ws->in), head_len), body), err);
}

static int receive_upgrade(struct http_ws *ws, const char *protocol, const char *key,
	struct error *err)
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
	if (protocol && !str_is(http1_find(head, "Sec-WebSocket-Protocol"), protocol))
		return error_set(err, ERROR_PROTOCOL, "the server does not know %s", protocol);
	buf_drop_front(&ws->in, (size_t)n);
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

int http_ws_open(struct http_client *c, const char *path, const char *protocol,
	const struct http_ws_ops *ops, void *arg, struct http_ws **ret, struct error *err)
{
	char key[25];
	struct http_ws *ws = mem_new(struct http_ws);
	ws->client = c;
	ws->ops = ops;
	ws->arg = arg;
	buf_init(&ws->in, REPLY_HEAD_MAX + ERROR_BODY_MAX);
	buf_init(&ws->out, HTTP_WS_HIGH + HTTP_WS_MESSAGE_MAX + TARGET_MAX);
	ws->frames = wsframe_new(WSFRAME_CLIENT, HTTP_WS_MESSAGE_MAX, &frame_ops, ws);
	make_key(key);
	if (fetch_socket_open(c->base, c->unix_path, c->tls, &ws->socket, err) < 0 ||
		send_upgrade(ws, path, protocol, key, err) < 0 ||
		receive_upgrade(ws, protocol, key, err) < 0) {
		http_ws_free(ws);
		return -1;
	}
	*ret = ws;
	return 0;
}

int http_ws_fd(const struct http_ws *ws)
{
	return ws->socket.fd;
}

short http_ws_poll_events(const struct http_ws *ws)
{
	/*
	 * What came with the handshake is no event of the socket; that it can be written to is one.
	 */
	return (short)(POLLIN | (ws->out.len || ws->in.len ? POLLOUT : 0));
}

int http_ws_turn(struct http_ws *ws, struct error *err)
{
	if (ws->is_over)
		return 0;
	bool is_overrun = ws->out.is_full; /* bytes were lost: nothing sensible can follow them */
	if (is_overrun || ws_flush(ws) < 0)
		buf_reset(&ws->out); /* the peer takes no more, but may have said why */
	int code = is_overrun ? WSFRAME_CLOSE_GONE : wsframe_receive(ws->frames);
	if (!code)
		return 0;
	ws->is_over = true;
	ws->ops->on_close(ws->arg, code);
	if (is_overrun)
		return error_set(err, ERROR_LIMIT, "%s: too much was sent while it did not read",
			client_where(ws->client));
	return code == WSFRAME_CLOSE_GONE ? broken(ws, err) : 0;
}

bool http_ws_is_full(const struct http_ws *ws)
{
	return ws->out.len >= HTTP_WS_HIGH;
}

void http_ws_pause(struct http_ws *ws, bool is_paused)
{
	ws->is_paused = is_paused;
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
	fetch_socket_close(&ws->socket);
	buf_fini(&ws->in);
	buf_fini(&ws->out);
	free(ws);
}

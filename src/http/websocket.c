/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two things end a socket: the transport is over (the closing handshake is done, or the peer is
 * gone) and the owner has let go. Only when both have happened does it go away; ws_free does both
 * at once.
 */
#include "http/websocket.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "http/conn.h"
#include "http/places.h"
#include "http/wsframe.h"

enum {
	PING_MS = 20000,
	SILENCE_MS = 60000,
	CLOSE_MS = 5000,
	/* Read in one turn of the loop, so that one socket starves no other: … */
	TURN_BYTES = 256 * 1024,
	FRAME_COST = 8 * 1024, /* … and of that for each frame, however small */
};

struct ws {
	struct loop *loop;
	struct http_conn *conn; /* NULL: the transport is over */
	struct wsframe *frames;
	struct timer *timer;
	const struct ws_ops *ops;
	void *arg;
	int64_t heard_ms; /* when the peer was heard last */
	size_t budget;    /* bytes that may still be read in this turn */
	int depth;        /* within callbacks */
	bool is_over;     /* only what is queued is still sent */
	bool is_released; /* the owner let go: no callback any more */
	bool is_paused;
	bool was_full;
};

static void destroy(struct ws *ws)
{
	struct http_conn *c = take_ptr(ws->conn);
	if (c) {
		c->raw = NULL;
		conn_free(c);
	}
	loop_undefer(ws->loop, ws);
	timer_free(ws->timer);
	wsframe_free(ws->frames);
	free(ws);
}

/* After anything that may have ended it. */
static void settle(struct ws *ws)
{
	if (ws->depth > 0)
		return;
	if (ws->conn && ws->is_over && conn_waiting(ws->conn) == 0)
		conn_end_raw(take_ptr(ws->conn));
	if (ws->is_released && !ws->conn)
		destroy(ws);
}

static void end(struct ws *ws, int code)
{
	if (ws->is_over)
		return;
	ws->is_over = true;
	timer_set(ws->timer, CLOSE_MS);
	if (!ws->is_released) {
		wsframe_mute(ws->frames);
		ws->ops->on_close(ws->arg, code);
	}
}

static ssize_t on_read(void *arg, char *to, size_t len)
{
	struct ws *ws = arg;
	if (!ws->conn)
		return -1;
	if (ws->is_paused || !ws->budget)
		return 0;
	ssize_t n = conn_raw_read(ws->conn, to, MIN(len, ws->budget));
	if (n > 0) {
		ws->heard_ms = clock_mono_ms();
		ws->budget -= (size_t)n;
	}
	return n;
}

static void on_write(void *arg, struct str bytes)
{
	struct ws *ws = arg;
	struct http_conn *c = ws->conn;
	if (!c)
		return;
	if (conn_waiting(c) > WS_QUEUE_MAX) {
		conn_break(c);
		return;
	}
	conn_send(c, &(struct iovec){ (char *)(uintptr_t)bytes.ptr, bytes.len }, 1);
	if (ws_is_full(ws))
		ws->was_full = true;
	conn_touch(c);
}

static void on_frame(void *arg)
{
	struct ws *ws = arg;
	ws->budget -= MIN(ws->budget, (size_t)FRAME_COST);
}

static void on_text(void *arg, struct str text)
{
	struct ws *ws = arg;
	ws->ops->on_text(ws->arg, text);
}

static void on_binary(void *arg, struct str bytes)
{
	struct ws *ws = arg;
	ws->ops->on_binary(ws->arg, bytes);
}

static const struct wsframe_ops frame_ops = { on_read, on_write, on_text, on_binary, on_frame };

static void on_late(void *arg);

static void receive(struct ws *ws)
{
	if (ws->is_over || ws->is_paused || !ws->conn)
		return;
	ws->budget = TURN_BYTES;
	int code = wsframe_receive(ws->frames);
	if (ws->conn && ws->conn->in.len && !ws->budget)
		loop_defer(ws->loop, on_late, ws); /* no event tells of what came early */
	if (ws->conn) {
		ws->conn->taken = wsframe_held(ws->frames);
		places_count(ws->conn);
		if (ws->conn->taken && places_is_over(ws->conn))
			conn_break(ws->conn);
	}
	if (code)
		end(ws, code);
}

static void on_ready(void *arg, int events)
{
	struct ws *ws = arg;
	ws->depth++;
	if (events & LOOP_READ)
		receive(ws);
	if (ws->was_full && !ws_is_full(ws)) {
		ws->was_full = false;
		if (!ws->is_released && !ws->is_over && ws->ops->on_drain)
			ws->ops->on_drain(ws->arg);
	}
	ws->depth--;
	settle(ws);
}

/* The connection goes away, for whatever reason. */
static void on_cut(void *arg)
{
	struct ws *ws = arg;
	ws->conn = NULL;
	ws->depth++;
	end(ws, WSFRAME_CLOSE_GONE);
	ws->depth--;
	settle(ws);
}

static const struct raw_ops raw_ops = { on_ready, on_cut };

static void on_timer(void *arg)
{
	struct ws *ws = arg;
	int64_t silence = clock_mono_ms() - ws->heard_ms;
	if (ws->is_over || ws->is_released || silence >= SILENCE_MS) {
		if (ws->conn)
			conn_break(ws->conn);
		return;
	}
	if (silence >= PING_MS && !ws->is_paused)
		wsframe_send(ws->frames, WSFRAME_PING, STR(""));
	timer_set(ws->timer, PING_MS);
}

/* Bytes may be there that no event announces: after the handshake, after a pause. */
static void on_late(void *arg)
{
	on_ready(arg, LOOP_READ);
}

static void send_handshake(struct exchange *x, const char *protocol)
{
	char accept[WSFRAME_ACCEPT_SIZE];
	wsframe_accept(http_header(&x->r, "Sec-WebSocket-Key"), accept);
	auto_buf struct buf head = BUF_INIT(HTTP_HEAD_MAX);
	buf_printf(&head,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n",
		accept);
	if (protocol)
		buf_printf(&head, "Sec-WebSocket-Protocol: %s\r\n", protocol);
	buf_put(&head, buf_str(&x->headers));
	buf_puts(&head, "\r\n");
	conn_send(x->conn, &(struct iovec){ head.ptr, head.len }, 1);
}

struct ws *ws_accept(struct http_request *r, const char *protocol, const struct ws_ops *ops,
	void *arg)
{
	struct exchange *x = exchange_of(r);
	BUG_IF(!(r->route->flags & HTTP_WEBSOCKET), "ws_accept on a route without HTTP_WEBSOCKET");
	BUG_IF(!x->server, "ws_accept after the server was freed");
	struct ws *ws = mem_new(struct ws);
	ws->loop = x->server->loop;
	ws->ops = ops;
	ws->arg = arg;
	ws->heard_ms = clock_mono_ms();
	ws->timer = timer_new(ws->loop, on_timer, ws);
	ws->frames = wsframe_new(WSFRAME_SERVER, WS_MESSAGE_MAX, &frame_ops, ws);
	timer_set(ws->timer, PING_MS);
	loop_defer(ws->loop, on_late, ws);
	struct http_conn *c = x->conn;
	if (c) {
		send_handshake(x, protocol);
		conn_take_raw(c, &raw_ops, ws);
		ws->conn = c;
		conn_raw_watch(c, LOOP_READ);
	}
	exchange_free(x);
	return ws;
}

void ws_send_text(struct ws *ws, struct str text)
{
	if (!ws->is_over && ws->conn)
		wsframe_send(ws->frames, WSFRAME_TEXT, text);
}

void ws_send_binary(struct ws *ws, struct str bytes)
{
	if (!ws->is_over && ws->conn)
		wsframe_send(ws->frames, WSFRAME_BINARY, bytes);
}

bool ws_is_full(const struct ws *ws)
{
	return ws->conn && conn_is_full(ws->conn, WS_HIGH);
}

void ws_pause(struct ws *ws, bool is_paused)
{
	if (ws->is_paused == is_paused)
		return;
	ws->is_paused = is_paused;
	if (!is_paused)
		ws->heard_ms = clock_mono_ms();
	if (!ws->conn)
		return;
	conn_raw_watch(ws->conn, is_paused ? 0 : LOOP_READ);
	if (!is_paused)
		loop_defer(ws->loop, on_late, ws);
}

void ws_close(struct ws *ws, int code, const char *reason)
{
	if (!ws)
		return;
	ws_pause(ws, false);
	wsframe_mute(ws->frames);
	ws->is_released = true;
	if (!ws->is_over && ws->conn)
		wsframe_close(ws->frames, code, str_from(reason));
	timer_set(ws->timer, CLOSE_MS);
	settle(ws);
}

void ws_free(struct ws *ws)
{
	if (!ws)
		return;
	ws->is_released = ws->is_over = true;
	wsframe_mute(ws->frames);
	if (ws->depth == 0) {
		destroy(ws);
		return;
	}
	struct http_conn *c = take_ptr(ws->conn);
	if (c) {
		c->raw = NULL;
		conn_free(c);
	}
}

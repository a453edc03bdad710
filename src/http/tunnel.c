/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two things end a tunnel, as with a WebSocket: the transport is over, and the owner has let go.
 * Only when both have happened does it go away; tunnel_free does both at once.
 */
#include "http/tunnel.h"

#include "base/auto.h"
#include "base/bug.h"
#include "http/conn.h"

enum {
	TURN_BYTES = 256 *
		1024, /* read in one turn of the loop, so that no tunnel starves another */
	CLOSE_MS = 5000,
};

struct tunnel {
	struct loop *loop;
	struct http_conn *conn; /* NULL: the transport is over */
	struct timer *timer;
	const struct tunnel_ops *ops;
	void *arg;
	char *scratch; /* the server's */
	int depth;     /* within callbacks */
	bool is_ended; /* on_close was called, or is not wanted any more */
	bool is_released, is_paused, was_full;
};

static void destroy(struct tunnel *t)
{
	struct http_conn *c = take_ptr(t->conn);
	if (c) {
		c->raw = NULL;
		conn_free(c);
	}
	loop_undefer(t->loop, t);
	timer_free(t->timer);
	free(t);
}

/* After anything that may have ended it. */
static void settle(struct tunnel *t)
{
	if (t->depth > 0 || !t->is_released)
		return;
	if (t->conn && conn_waiting(t->conn) == 0)
		conn_end_raw(take_ptr(t->conn));
	if (!t->conn)
		destroy(t);
}

static void end(struct tunnel *t)
{
	if (t->is_ended)
		return;
	t->is_ended = true;
	if (t->conn)
		conn_raw_watch(t->conn, 0);
	t->ops->on_close(t->arg);
}

static void receive(struct tunnel *t)
{
	size_t budget = TURN_BYTES;
	while (budget && t->conn && !t->is_ended && !t->is_paused) {
		ssize_t n = conn_raw_read(t->conn, t->scratch, MIN(budget, (size_t)CONN_READ_SIZE));
		if (n < 0)
			end(t);
		if (n <= 0)
			return;
		budget -= (size_t)n;
		t->ops->on_bytes(t->arg, str_from_len(t->scratch, (size_t)n));
	}
}

static void on_ready(void *arg, int events)
{
	struct tunnel *t = arg;
	t->depth++;
	if (events & LOOP_READ)
		receive(t);
	if (t->was_full && !tunnel_is_full(t)) {
		t->was_full = false;
		if (!t->is_released)
			t->ops->on_drain(t->arg);
	}
	t->depth--;
	settle(t);
}

static void on_cut(void *arg)
{
	struct tunnel *t = arg;
	t->conn = NULL;
	t->depth++;
	end(t);
	t->depth--;
	settle(t);
}

static const struct raw_ops raw_ops = { on_ready, on_cut };

/* Bytes may be there that no event announces: behind the request, after a pause. */
static void on_late(void *arg)
{
	on_ready(arg, LOOP_READ);
}

static void on_timer(void *arg)
{
	struct tunnel *t = arg;
	if (t->conn)
		conn_break(t->conn);
}

bool tunnel_wanted(const struct http_request *r, struct str *ret_protocol)
{
	*ret_protocol = http_header(r, "Upgrade");
	return ret_protocol->len && exchange_of(r)->head.minor == 1 && r->body_length == 0 &&
		http1_has_token(http_header(r, "Connection"), "upgrade");
}

static void send_head(struct exchange *x, struct str protocol)
{
	auto_buf struct buf head = BUF_INIT(2 * HTTP_HEAD_MAX);
	buf_printf(&head,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: %.*s\r\nConnection: Upgrade\r\n",
		STR_ARG(protocol));
	buf_put(&head, buf_str(&x->headers));
	buf_puts(&head, "\r\n");
	conn_send(x->conn, &(struct iovec){ head.ptr, head.len }, 1);
}

struct tunnel *tunnel_accept(struct http_request *r, struct str protocol,
	const struct tunnel_ops *ops, void *arg)
{
	struct exchange *x = exchange_of(r);
	BUG_IF(!x->server, "tunnel_accept after the server was freed");
	struct tunnel *t = mem_new(struct tunnel);
	t->loop = x->server->loop;
	t->scratch = x->server->scratch;
	t->ops = ops;
	t->arg = arg;
	t->timer = timer_new(t->loop, on_timer, t);
	loop_defer(t->loop, on_late, t);
	struct http_conn *c = x->conn;
	if (c) {
		send_head(x, protocol);
		conn_take_raw(c, &raw_ops, t);
		t->conn = c;
		conn_raw_watch(c, LOOP_READ);
	}
	exchange_free(x);
	return t;
}

void tunnel_send(struct tunnel *t, struct str bytes)
{
	struct http_conn *c = t->conn;
	if (!c || !bytes.len)
		return;
	if (conn_waiting(c) > TUNNEL_QUEUE_MAX) {
		conn_break(c);
		return;
	}
	conn_send(c, &(struct iovec){ (char *)(uintptr_t)bytes.ptr, bytes.len }, 1);
	if (tunnel_is_full(t))
		t->was_full = true;
	conn_touch(c);
}

bool tunnel_is_full(const struct tunnel *t)
{
	return t->conn && conn_is_full(t->conn, TUNNEL_HIGH);
}

void tunnel_pause(struct tunnel *t, bool is_paused)
{
	if (t->is_paused == is_paused)
		return;
	t->is_paused = is_paused;
	if (!t->conn || t->is_ended)
		return;
	conn_raw_watch(t->conn, is_paused ? 0 : LOOP_READ);
	if (!is_paused)
		loop_defer(t->loop, on_late, t);
}

void tunnel_close(struct tunnel *t)
{
	t->is_ended = t->is_released = true;
	if (t->conn)
		conn_raw_watch(t->conn, 0);
	timer_set(t->timer, CLOSE_MS);
	settle(t);
}

void tunnel_free(struct tunnel *t)
{
	if (!t)
		return;
	t->is_ended = t->is_released = true;
	if (t->depth == 0) {
		destroy(t);
		return;
	}
	struct http_conn *c = take_ptr(t->conn);
	if (c) {
		c->raw = NULL;
		conn_free(c);
	}
}

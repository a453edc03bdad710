/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As with a WebSocket, two things end it: the connection is over, and the owner has let go. Only
 * when both have happened does it go away; hijack_free does both at once.
 *
 * A peer that only shut down its sending side still listens. Its end of input would be reported for
 * ever, so reading is not watched any more then.
 */
#include "http/hijack.h"

#include "base/auto.h"
#include "base/bug.h"
#include "http/conn.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

enum { END_MS = 30000, TURN_READS = 4 };

struct hijack {
	struct loop *loop;
	struct http_conn *conn; /* NULL: it is over */
	struct timer *timer;    /* NULL: the owner has not let go */
	const struct hijack_ops *ops;
	void *arg;
	int depth; /* within callbacks */
	bool is_released, is_paused, is_eof, was_full, closed_told;
};

static void destroy(struct hijack *h)
{
	struct http_conn *c = take_ptr(h->conn);
	if (c) {
		c->raw = NULL;
		conn_free(c);
	}
	loop_undefer(h->loop, h);
	timer_free(h->timer);
	free(h);
}

/* After anything that may have ended it. */
static void settle(struct hijack *h)
{
	if (h->depth > 0 || !h->is_released)
		return;
	if (h->conn && conn_waiting(h->conn) == 0)
		conn_end_raw(take_ptr(h->conn));
	if (!h->conn)
		destroy(h);
}

static void tell_closed(struct hijack *h)
{
	if (h->closed_told || h->is_released)
		return;
	h->closed_told = true;
	h->ops->on_closed(h->arg);
}

/* The kernel tells one that only stopped sending from one that is gone. */
static void at_end(struct hijack *h)
{
	struct pollfd p = { .fd = h->conn->fd };
	h->is_eof = true;
	conn_raw_watch(h->conn, 0);
	if (poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR))
		conn_break(h->conn); /* on_cut comes of it */
	else
		h->ops->on_eof(h->arg);
}

static void receive(struct hijack *h)
{
	static char bytes[CONN_READ_SIZE];
	for (int i = 0; i < TURN_READS; i++) {
		if (h->is_released || h->is_paused || h->is_eof || !h->conn)
			return;
		ssize_t n = conn_raw_read(h->conn, bytes, sizeof(bytes));
		if (n == 0)
			return;
		if (n < 0)
			at_end(h);
		else
			h->ops->on_bytes(h->arg, str_from_len(bytes, (size_t)n));
	}
}

static void on_ready(void *arg, int events)
{
	struct hijack *h = arg;
	h->depth++;
	if (events & LOOP_READ)
		receive(h);
	if (h->was_full && !hijack_is_full(h)) {
		h->was_full = false;
		if (!h->is_released && !h->closed_told)
			h->ops->on_drain(h->arg);
	}
	h->depth--;
	settle(h);
}

static void on_cut(void *arg)
{
	struct hijack *h = arg;
	h->conn = NULL;
	h->depth++;
	tell_closed(h);
	h->depth--;
	settle(h);
}

static const struct raw_ops raw_ops = { on_ready, on_cut };

static void on_timeout(void *arg)
{
	struct hijack *h = arg;
	if (h->conn)
		conn_break(h->conn);
}

/* What came together with the request, or while it was paused, is announced by no event. */
static void on_late(void *arg)
{
	struct hijack *h = arg;
	if (h->conn) {
		on_ready(h, LOOP_READ);
		return;
	}
	h->depth++;
	tell_closed(h); /* the client had gone before the answer */
	h->depth--;
	settle(h);
}

/*
 * Some clients read the head through a buffer and what follows past it, from the bare socket: bytes
 * that came together with the head are lost to them. On a Unix socket a message that carries a
 * descriptor ends a recv(2) (https://man7.org/linux/man-pages/man7/unix.7.html, SCM_RIGHTS), so the
 * head brings one of /dev/null: who does not ask for it never sees it.
 */
static bool send_apart(struct http_conn *c, struct str head)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { (char *)(uintptr_t)head.ptr, head.len };
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	auto_fd int fd = open("/dev/null", O_PATH | O_CLOEXEC);
	if (c->peer || conn_waiting(c) || fd < 0)
		return false;
	struct cmsghdr *control = CMSG_FIRSTHDR(&msg);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &fd, sizeof(fd));
	return sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)head.len;
}

static void send_head(struct exchange *x, const char *type)
{
	bool is_upgrade = http1_has_token(http_header(&x->r, "Connection"), "upgrade");
	auto_buf struct buf head = BUF_INIT(HTTP_HEAD_MAX);
	buf_printf(&head, "HTTP/1.1 %s\r\nContent-Type: %s\r\n",
		is_upgrade ? "101 UPGRADED" : "200 OK", type);
	if (is_upgrade)
		buf_puts(&head, "Connection: Upgrade\r\nUpgrade: tcp\r\n");
	buf_put(&head, buf_str(&x->headers));
	buf_puts(&head, "\r\n");
	if (!send_apart(x->conn, buf_str(&head)))
		conn_send(x->conn, &(struct iovec){ head.ptr, head.len }, 1);
}

struct hijack *hijack_accept(struct http_request *r, const char *type, const struct hijack_ops *ops,
	void *arg)
{
	struct exchange *x = exchange_of(r);
	struct http_conn *c = x->conn;
	BUG_IF(!x->server, "hijack_accept after the server was freed");
	BUG_IF(x->is_streaming, "a request was answered twice");
	struct hijack *h = mem_new(struct hijack);
	h->loop = x->server->loop;
	h->ops = ops;
	h->arg = arg;
	if (c) {
		send_head(x, type);
		conn_take_raw(c, &raw_ops, h);
		h->conn = c;
		conn_raw_watch(c, LOOP_READ);
	}
	loop_defer(h->loop, on_late, h);
	exchange_free(x);
	return h;
}

void hijack_send(struct hijack *h, struct str head, struct str payload)
{
	struct iovec parts[] = {
		{ (char *)(uintptr_t)head.ptr, head.len },
		{ (char *)(uintptr_t)payload.ptr, payload.len },
	};
	if (!h->conn)
		return;
	conn_send(h->conn, head.len ? parts : parts + 1, head.len ? 2 : 1);
	if (hijack_is_full(h))
		h->was_full = true;
	conn_touch(h->conn);
}

bool hijack_is_full(const struct hijack *h)
{
	return h->conn && conn_is_full(h->conn, HIJACK_HIGH);
}

void hijack_pause(struct hijack *h, bool is_paused)
{
	if (h->is_paused == is_paused)
		return;
	h->is_paused = is_paused;
	if (!h->conn || h->is_eof)
		return;
	conn_raw_watch(h->conn, is_paused ? 0 : LOOP_READ);
	if (!is_paused)
		loop_defer(h->loop, on_late, h);
}

void hijack_end(struct hijack *h)
{
	if (!h || h->is_released)
		return;
	h->is_released = true;
	h->timer = timer_new(h->loop, on_timeout, h);
	timer_set(h->timer, END_MS);
	settle(h);
}

void hijack_free(struct hijack *h)
{
	if (!h)
		return;
	h->is_released = true;
	if (h->depth == 0) {
		destroy(h);
		return;
	}
	struct http_conn *c = take_ptr(h->conn);
	if (c) {
		c->raw = NULL;
		conn_free(c);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/guest_channel.h"

#include "base/auto.h"
#include "base/file.h"
#include "executor/guest.h"

#include <sys/random.h>
#include <sys/socket.h>

enum { RECEIVE_TRIES = 64 };

static void update(struct guest_channel *c)
{
	if (c->watch)
		watch_set(c->watch, (c->is_paused ? 0 : LOOP_READ) | (c->out.len ? LOOP_WRITE : 0));
}

int guest_channel_open(struct guest_channel *c, struct loop *loop, watch_fn *fn, void *arg,
	int *ret_peer_fd, struct error *err)
{
	int fds[2], on = 1;
	buf_init(&c->out, GUEST_QUEUE_MAX);
	buf_init(&c->in, GUEST_MESSAGE_MAX);
	if (getrandom(c->nonce, sizeof(c->nonce), 0) != sizeof(c->nonce))
		return error_sys(err, errno, "get random bytes");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_sys(err, errno, "make a channel");
	auto_fd int own_fd = fds[0], peer_fd = fds[1];
	if (fd_set_nonblock(own_fd, err) < 0)
		return -1;
	if (setsockopt(own_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return error_sys(err, errno, "ask who sends");
	c->fd = take_fd(&own_fd);
	c->watch = watch_new(loop, c->fd, LOOP_READ, fn, arg);
	*ret_peer_fd = take_fd(&peer_fd);
	return 0;
}

void guest_channel_close(struct guest_channel *c)
{
	watch_free(c->watch);
	c->watch = NULL;
	c->fd = close_fd(c->fd);
	buf_fini(&c->out);
	buf_fini(&c->in);
}

/* ---- to the guest ---- */

static bool send_now(struct guest_channel *c, struct str packet)
{
	ssize_t n;
	do
		n = send(c->fd, packet.ptr, packet.len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)packet.len || (errno != EAGAIN && errno != ENOBUFS);
}

void guest_channel_flush(struct guest_channel *c)
{
	size_t done = 0;
	while (c->out.len - done > sizeof(uint32_t)) {
		uint32_t size;
		memcpy(&size, c->out.ptr + done, sizeof(size));
		if (!send_now(c, str_from_len(c->out.ptr + done + sizeof(size), size)))
			break;
		done += sizeof(size) + size;
	}
	buf_drop_front(&c->out, done);
	if (c->out.len == 0)
		buf_reset(&c->out);
	update(c);
}

/*
 * A packet that cannot be sent because the peer is gone is dropped: its end is heard of otherwise.
 */
static void send_packet(struct guest_channel *c, struct str packet)
{
	uint32_t size = (uint32_t)packet.len;
	if (c->out.len == 0 && send_now(c, packet))
		return;
	buf_add(&c->out, &size, sizeof(size));
	buf_put(&c->out, packet);
	update(c);
}

int guest_channel_send_raw(struct guest_channel *c, struct str bytes, struct error *err)
{
	if (bytes.len > GUEST_PAYLOAD_MAX)
		return error_set(err, ERROR_TOO_LARGE, "a packet of %zu bytes", bytes.len);
	send_packet(c, bytes);
	return 0;
}

static void put_head(struct buf *b, const struct guest_channel *c, uint8_t kind, int flags,
	uint32_t request)
{
	char head[GUEST_HEAD] = { 0 };
	memcpy(head, c->nonce, GUEST_NONCE);
	head[16] = (char)kind;
	head[17] = (char)flags;
	for (int i = 0; i < 4; i++)
		head[20 + i] = (char)(request >> (8 * i));
	buf_add(b, head, sizeof(head));
}

int guest_channel_send(struct guest_channel *c, uint32_t request, struct str message,
	struct error *err)
{
	size_t pieces = message.len / GUEST_PAYLOAD_MAX + 1;
	size_t queued = message.len + pieces * (GUEST_HEAD + sizeof(uint32_t));
	if (message.len > GUEST_MESSAGE_MAX)
		return error_set(err, ERROR_TOO_LARGE, "a message of %zu bytes; the limit is %d",
			message.len, GUEST_MESSAGE_MAX);
	if (queued > c->out.limit - c->out.len)
		return error_set(err, ERROR_LIMIT, "it takes no messages");
	int flags = GUEST_FIRST;
	for (size_t i = 0; i < pieces; i++, flags = 0) {
		auto_buf struct buf packet = BUF_INIT(GUEST_HEAD + GUEST_PAYLOAD_MAX);
		struct str piece = str_first(message, GUEST_PAYLOAD_MAX);
		message = str_skip(message, piece.len);
		put_head(&packet, c, GUEST_MESSAGE, flags | (i + 1 == pieces ? GUEST_LAST : 0),
			request);
		buf_put(&packet, piece);
		send_packet(c, buf_str(&packet));
	}
	return 0;
}

int guest_channel_send_fds(struct guest_channel *c, uint8_t kind, const int *fds, int n_fds,
	struct error *err)
{
	auto_buf struct buf packet = BUF_INIT(GUEST_HEAD);
	put_head(&packet, c, kind, 0, 0);
	if (c->out.len)
		return error_set(err, ERROR_UNAVAILABLE, "it takes no messages");
	struct error why;
	if (c->fd < 0 || fd_send(c->fd, buf_str(&packet), fds, n_fds, &why) == 0 ||
		why.sys == EPIPE || why.sys == ECONNRESET)
		return 0;
	if (err)
		*err = why;
	return -1;
}

void guest_channel_send_reap(struct guest_channel *c)
{
	auto_buf struct buf packet = BUF_INIT(GUEST_HEAD);
	put_head(&packet, c, GUEST_REAP, 0, 0);
	if (c->fd >= 0 && c->out.len == 0)
		send_now(c, buf_str(&packet));
}

/* ---- from the guest ---- */

struct received {
	char bytes[GUEST_HEAD + GUEST_PAYLOAD_MAX];
	ssize_t len;
	pid_t sender;
};

/* Descriptors that somebody sends along are closed. */
static void take_control(struct msghdr *msg, struct received *r)
{
	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
		if (m->cmsg_level != SOL_SOCKET)
			continue;
		if (m->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;
			memcpy(&cred, CMSG_DATA(m), sizeof(cred));
			r->sender = cred.pid;
		} else if (m->cmsg_type == SCM_RIGHTS) {
			for (size_t at = CMSG_LEN(0); at + sizeof(int) <= m->cmsg_len;
				at += sizeof(int)) {
				int fd;
				memcpy(&fd, (char *)m + at, sizeof(fd));
				close(fd);
			}
		}
	}
}

/* 1, 0 or -1 as guest_channel_receive. */
static int receive(struct guest_channel *c, struct received *r)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(struct ucred)) +
			CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control;
	struct iovec iov = { r->bytes, sizeof(r->bytes) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	do
		r->len = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	while (r->len < 0 && errno == EINTR);
	if (r->len < 0)
		return errno == EAGAIN ? 0 : -1;
	r->sender = 0;
	take_control(&msg, r);
	if (r->len == 0 && r->sender == 0) /* the end; an empty packet has a sender */
		return -1;
	if (msg.msg_flags & MSG_TRUNC)
		r->len = 0;
	return 1;
}

static bool parse(const struct guest_channel *c, const struct received *r, struct guest_packet *ret)
{
	const unsigned char *head = (const unsigned char *)r->bytes;
	if (r->len < GUEST_HEAD || memcmp(head, c->nonce, GUEST_NONCE) != 0)
		return false;
	*ret = (struct guest_packet){
		.kind = head[16],
		.flags = head[17],
		.channel = head[18],
		.request = (uint32_t)head[20] | (uint32_t)head[21] << 8 | (uint32_t)head[22] << 16 |
			(uint32_t)head[23] << 24,
		.payload = { r->bytes + GUEST_HEAD, (size_t)r->len - GUEST_HEAD },
		.sender = r->sender,
	};
	return ret->kind == GUEST_OUTPUT ? ret->channel == 1 || ret->channel == 2
					 : ret->kind == GUEST_MESSAGE;
}

/*
 * True when the message is whole. One that grows too large is dropped, whatever pieces still come.
 */
static bool assemble(struct guest_channel *c, struct guest_packet *p)
{
	if ((p->flags & GUEST_FIRST) && (p->flags & GUEST_LAST)) {
		buf_reset(&c->in);
		return true;
	}
	if (p->flags & GUEST_FIRST)
		buf_reset(&c->in);
	else if (c->in.len == 0)
		return false;
	buf_put(&c->in, p->payload);
	p->payload = buf_str(&c->in);
	return (p->flags & GUEST_LAST) && !c->in.is_full;
}

int guest_channel_receive(struct guest_channel *c, struct guest_packet *ret)
{
	static struct received received; /* one thread, not kept */
	for (int i = 0; i < RECEIVE_TRIES; i++) {
		int r = c->fd < 0 ? -1 : receive(c, &received);
		if (r <= 0)
			return r;
		if (parse(c, &received, ret) && (ret->kind == GUEST_OUTPUT || assemble(c, ret)))
			return 1;
	}
	return 0;
}

void guest_channel_pause(struct guest_channel *c, bool is_paused)
{
	c->is_paused = is_paused;
	update(c);
}

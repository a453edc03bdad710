/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The executor lives in the sandbox's network namespace, so a plain socket
 * reaches what listens there, and nothing else. One descriptor, one watch: while it connects the
 * watch waits for room to write; then what it waits for follows from the two directions (await). A
 * direction that is held up stops the other end of it: a caller that does not read stops the
 * reading from the socket, a socket that takes nothing stops the reading from the caller.
 *
 * `localhost` is tried as 127.0.0.1 and then as ::1: a server may listen on either alone.
 */
#include "executor/connect.h"

#include "action/network_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "executor/egress.h"
#include "executor/executor.h"
#include "executor/files.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	READ_BYTES = 64 * 1024,
	READS_PER_TURN = 4,
	OUT_HIGH = 256 * 1024, /* bytes for the socket at which the caller waits */
	OUT_MAX = OUT_HIGH + 2 * FRAME_PAYLOAD_MAX,
};

struct address {
	struct sockaddr_storage storage;
	socklen_t len;
	char text[PATH_SIZE + 8];
};

struct connect {
	struct call *call;
	struct address addresses[2];
	int n_addresses, next; /* next: the one to try */
	int fd;
	struct watch *watch;
	struct timer *timer;
	struct buf out; /* for the socket; the first `sent` bytes are gone */
	size_t sent;
	int64_t sent_bytes, received_bytes;
	bool is_connected;
	bool is_held;   /* the caller takes nothing now */
	bool in_ended;  /* the socket said eof */
	bool out_eof;   /* the caller said eof */
	bool out_ended; /* … and that was passed on, or the socket takes no more */
};

static void fail(struct connect *c, struct error *err)
{
	error_wrap(err, "connect");
	call_fail(c->call, err);
}

static const char *name_of(const struct connect *c)
{
	return c->addresses[0].text;
}

static void finish(struct connect *c)
{
	auto_buf struct buf b = BUF_INIT(128);
	buf_printf(&b, "{\"sent_bytes\":%lld,\"received_bytes\":%lld}", (long long)c->sent_bytes,
		(long long)c->received_bytes);
	call_finish(c->call, buf_str(&b));
}

/* What is awaited now: the only place that decides it. */
static void await(struct connect *c)
{
	int events = 0;
	bool has_output = c->sent < c->out.len;
	if (!c->is_connected || has_output)
		events |= LOOP_WRITE;
	if (c->is_connected && !c->is_held && !c->in_ended)
		events |= LOOP_READ;
	watch_set(c->watch, events);
	channel_pause(c->call->channel, c->out.len - c->sent > OUT_HIGH);
}

/* After anything that happened: the end, or on with it. */
static void settle(struct connect *c)
{
	if (c->in_ended && c->out_ended)
		finish(c);
	else
		await(c);
}

/*
 * The socket takes nothing any more. What it sent before may still be read, so this is no failure.
 */
static void end_output(struct connect *c)
{
	c->out_ended = true;
	buf_reset(&c->out);
	c->sent = 0;
}

static void flush(struct connect *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.ptr + c->sent, c->out.len - c->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			end_output(c);
			return;
		}
		c->sent += (size_t)n;
		c->sent_bytes += n;
	}
	if (c->sent == c->out.len) {
		buf_reset(&c->out);
		c->sent = 0;
	} else if (c->sent > OUT_HIGH) {
		buf_drop_front(&c->out, c->sent);
		c->sent = 0;
	}
	if (c->out_eof && !c->out_ended && c->out.len == 0) {
		shutdown(c->fd, SHUT_WR);
		c->out_ended = true;
	}
}

static int take(struct connect *c, struct error *err)
{
	static char bytes[READ_BYTES]; /* one thread */
	for (int i = 0; i < READS_PER_TURN && !c->is_held && !c->in_ended; i++) {
		ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return error_set(err, ERROR_UNAVAILABLE, "%s: %s", name_of(c),
				strerror(errno));
		if (n == 0) {
			c->in_ended = true;
			call_event(c->call, STR("{\"event\":\"eof\"}"));
			return 0;
		}
		c->received_bytes += n;
		call_send(c->call, 1, str_from_len(bytes, (size_t)n));
		c->is_held = channel_is_full(c->call->channel);
		if (n < (ssize_t)sizeof(bytes))
			return 0;
	}
	return 0;
}

static void on_ready(void *arg, int events);

static int refused(const struct connect *c, int sys, struct error *err)
{
	if (sys == ECONNREFUSED || sys == ENOENT)
		return error_set(err, ERROR_UNAVAILABLE, "nothing listens on %s of the sandbox",
			name_of(c));
	if (sys == EACCES || sys == EPERM)
		return error_sys(err, sys, "%s", name_of(c));
	return error_set(err, ERROR_UNAVAILABLE, "%s: %s", name_of(c), strerror(sys));
}

static void say_connected(struct connect *c, const struct address *a)
{
	auto_buf struct buf b = BUF_INIT(2 * PATH_SIZE + 100);
	struct jsonw w = JSONW(&b);
	c->is_connected = true;
	timer_clear(c->timer);
	jsonw_open(&w);
	jsonw_key_str(&w, "event", STR("connected"));
	jsonw_key_str(&w, "address", str_from(a->text));
	jsonw_close(&w);
	call_event(c->call, buf_str(&b));
}

/* Begins with the next address; -1 when there is none left: *err tells of the last. */
static int try_next(struct connect *c, int last_sys, struct error *err)
{
	watch_free(take_ptr(c->watch));
	c->fd = close_fd(c->fd);
	if (c->next == c->n_addresses)
		return refused(c, last_sys, err);
	const struct address *a = &c->addresses[c->next++];
	int on = 1;
	c->fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		return errno == EAFNOSUPPORT ? try_next(c, errno, err)
					     : error_sys(err, errno, "socket");
	if (a->storage.ss_family != AF_UNIX)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	int r = connect(c->fd, (const struct sockaddr *)&a->storage, a->len);
	if (r < 0 && errno == EAGAIN)
		return error_set(err, ERROR_UNAVAILABLE, "%s accepts no more connections now",
			a->text);
	if (r < 0 && errno != EINPROGRESS)
		return try_next(c, errno, err);
	c->watch = watch_new(c->call->executor->loop, c->fd, LOOP_WRITE, on_ready, c);
	if (r == 0)
		say_connected(c, a);
	return 0;
}

static int on_connecting(struct connect *c, struct error *err)
{
	int sys = 0;
	socklen_t len = sizeof(sys);
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &sys, &len);
	if (sys)
		return try_next(c, sys, err);
	say_connected(c, &c->addresses[c->next - 1]);
	return 0;
}

static int turn(struct connect *c, int events, struct error *err)
{
	if (!c->is_connected && on_connecting(c, err) < 0)
		return -1;
	if (!c->is_connected)
		return 0;
	flush(c);
	return events & LOOP_READ ? take(c, err) : 0;
}

static void on_ready(void *arg, int events)
{
	struct connect *c = arg;
	struct error err;
	if (turn(c, events, &err) < 0)
		fail(c, &err);
	else
		settle(c);
}

static void on_timeout(void *arg)
{
	struct connect *c = arg;
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "%s did not accept the connection in time", name_of(c));
	fail(c, &err);
}

/* ---- addresses ---- */

static void add_v4(struct connect *c, struct in_addr host, int64_t port)
{
	struct address *a = &c->addresses[c->n_addresses++];
	char text[INET_ADDRSTRLEN];
	*(struct sockaddr_in *)&a->storage = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = host };
	a->len = sizeof(struct sockaddr_in);
	snprintf(a->text, sizeof(a->text), "%s:%d", inet_ntop(AF_INET, &host, text, sizeof(text)),
		(int)port);
}

static void add_v6(struct connect *c, struct in6_addr host, int64_t port)
{
	struct address *a = &c->addresses[c->n_addresses++];
	char text[INET6_ADDRSTRLEN];
	*(struct sockaddr_in6 *)&a->storage = (struct sockaddr_in6){ .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = host };
	a->len = sizeof(struct sockaddr_in6);
	snprintf(a->text, sizeof(a->text), "[%s]:%d",
		inet_ntop(AF_INET6, &host, text, sizeof(text)), (int)port);
}

static int add_host(struct connect *c, struct str host, int64_t port, struct error *err)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct in_addr v4;
	struct in6_addr v6;
	if (host.len < sizeof(text))
		memcpy(text, host.ptr, host.len);
	if (str_is(host, "localhost")) {
		add_v4(c, (struct in_addr){ htonl(INADDR_LOOPBACK) }, port);
		add_v6(c, in6addr_loopback, port);
	} else if (inet_pton(AF_INET, text, &v4) == 1) {
		add_v4(c, v4, port);
	} else if (inet_pton(AF_INET6, text, &v6) == 1) {
		add_v6(c, v6, port);
	} else {
		return error_set(err, ERROR_INVALID,
			"'host' must be localhost or an IP address, not '%.*s'",
			STR_ARG(str_first(host, 80)));
	}
	return 0;
}

/* The kernel looks the path up as the agent's own user, who may follow what it finds anyway. */
static int add_path(struct connect *c, struct str given, struct error *err)
{
	struct address *a = &c->addresses[c->n_addresses++];
	struct sockaddr_un *un = (struct sockaddr_un *)&a->storage;
	char path[PATH_SIZE];
	if (path_join(str_from(c->call->executor->workdir), STR_NONE, given, path, err) < 0)
		return -1;
	size_t len = strlen(path);
	if (len >= sizeof(un->sun_path))
		return error_set(err, ERROR_INVALID,
			"the path of a Unix socket has at most %zu bytes; this one has %zu",
			sizeof(un->sun_path) - 1, len);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	a->len = sizeof(*un);
	memcpy(a->text, path, len + 1);
	return 0;
}

static int add_addresses(struct connect *c, const struct connect_params *p, struct error *err)
{
	if (p->path.ptr && p->port)
		return error_set(err, ERROR_INVALID, "'port' and 'path' exclude each other");
	if (!p->path.ptr && !p->port)
		return error_set(err, ERROR_INVALID, "'port' or 'path' is wanted");
	return p->path.ptr ? add_path(c, p->path, err) : add_host(c, p->host, p->port, err);
}

/* ---- the verb ---- */

static void connect_start(struct call *call, const void *params)
{
	const struct connect_params *p = params;
	struct error err;
	struct connect *c = arena_new(&call->arena, struct connect);
	c->call = call;
	c->fd = -1;
	buf_init(&c->out, OUT_MAX);
	c->timer = timer_new(call->executor->loop, on_timeout, c);
	call->state = c;
	if (add_addresses(c, p, &err) < 0 || try_next(c, 0, &err) < 0) {
		fail(c, &err);
		return;
	}
	if (!c->is_connected)
		timer_set(c->timer, p->timeout_ms);
	await(c);
}

static void take_start(struct call *call, const void *params)
{
	const struct egress_take_params *p = params;
	struct error err;
	auto_buf struct buf first = BUF_INIT(EGRESS_FIRST_MAX);
	struct connect *c = arena_new(&call->arena, struct connect);
	c->call = call;
	c->fd = -1;
	buf_init(&c->out, OUT_MAX);
	call->state = c;
	if (egress_claim(call->executor, p->id, &c->fd, &first, &err) < 0) {
		fail(c, &err);
		return;
	}
	c->watch = watch_new(call->executor->loop, c->fd, 0, on_ready, c);
	c->is_connected = true;
	c->n_addresses = c->next = 1;
	snprintf(c->addresses[0].text, sizeof(c->addresses[0].text), "a program of the sandbox");
	c->received_bytes = (int64_t)first.len;
	if (first.len)
		call_send(call, 1, buf_str(&first));
	await(c);
}

static void connect_data(struct call *call, uint8_t channel, struct str bytes)
{
	struct connect *c = call->state;
	if (c->out_eof || c->out_ended)
		return;
	buf_put(&c->out, bytes);
	BUG_IF(c->out.is_full, "a call went on sending after it was paused");
	if (c->is_connected)
		flush(c);
	settle(c);
}

static void connect_eof(struct call *call, uint8_t channel)
{
	struct connect *c = call->state;
	c->out_eof = true;
	if (c->is_connected)
		flush(c);
	settle(c);
}

static void connect_drain(struct call *call)
{
	struct connect *c = call->state;
	c->is_held = false;
	await(c);
}

static void connect_drop(struct call *call)
{
	struct connect *c = call->state;
	if (!c)
		return;
	timer_free(c->timer);
	watch_free(c->watch);
	close_fd(c->fd);
	buf_fini(&c->out);
}

const struct verb connect_verb = {
	.action = &connect_action,
	.start = connect_start,
	.data = connect_data,
	.eof = connect_eof,
	.drain = connect_drain,
	.drop = connect_drop,
};

const struct verb egress_take_verb = {
	.action = &egress_take_action,
	.start = take_start,
	.data = connect_data,
	.eof = connect_eof,
	.drain = connect_drain,
	.drop = connect_drop,
};

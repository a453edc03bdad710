/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A visitor is a connection that has not shown who it is: it says hello, is
 * answered, and has to prove that it knows the secret. Then it becomes a call, or the line. Nothing
 * that it says before costs more than a few hundred bytes. The descriptor of a visitor that became
 * a call belongs to the call.
 */
#include "executor/porter.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "base/num.h"
#include "executor/calls.h"
#include "executor/pod.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
	BACKLOG = 128,
	GONE_MS = 90000, /* what is sent on the line and not taken for so long */
};

struct visitor {
	struct list link; /* porter::visitors, the oldest first */
	struct porter *porter;
	int fd;
	struct watch *watch;
	struct timer *timer;
	struct door door;
	bool has_said_hello;
	char said[DOOR_HELLO_SIZE + DOOR_PROOF_SIZE];
	size_t n_said;
};

struct porter {
	struct executor *executor;
	int listen_fd;
	struct acceptor *acceptor;
	char secret[SHA256_HEX_SIZE];
	struct list visitors;
	size_t n_visitors;
	int line_fd; /* -1: there is no server */
	struct watch *line_watch;
	struct buf line; /* what it said and did not end yet */
	struct timer *lease;
	int64_t lease_ms;
};

/* ---- before anything else runs ---- */

int porter_take_secret(char ret[SHA256_HEX_SIZE], struct error *err)
{
	char *value = getenv(PORTER_SECRET);
	bool is_good = value && sha256_is_hex(str_from(value));
	if (is_good)
		memcpy(ret, value, SHA256_HEX_SIZE);
	if (value)
		explicit_bzero(value, strlen(value));
	unsetenv(PORTER_SECRET);
	return is_good ? 0 : error_set(err, ERROR_INVALID, PORTER_SECRET " is no secret");
}

/* What is left of connections to an executor before it, if any, is no reason not to. */
static int bind_fd(int fd, const void *address, socklen_t len)
{
	const int yes = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		return -1;
	return bind(fd, address, len);
}

static int open_four(const char *address, uint16_t port)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	if (address && inet_pton(AF_INET, address, &four.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return bind_fd(fd, &four, sizeof(four)) < 0 ? close_fd(fd) : fd;
}

/* Of both families where there are two. */
static int open_any(uint16_t port)
{
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const int no = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) == 0 &&
		bind_fd(fd, &six, sizeof(six)) == 0)
		return fd;
	bool is_taken = fd >= 0 && errno == EADDRINUSE;
	close_fd(fd);
	return is_taken ? -1 : open_four(NULL, port);
}

int porter_listen(struct str where, int *ret_fd, struct error *err)
{
	int64_t port;
	ptrdiff_t colon = str_find_char(where, ':');
	auto_free char *address = colon < 0 ? NULL : str_dup(str_first(where, (size_t)colon));
	if (num_parse_i64(str_skip(where, (size_t)(colon + 1)), 1, UINT16_MAX, &port, err) < 0)
		return -1;
	auto_fd int fd = address ? open_four(address, (uint16_t)port) : open_any((uint16_t)port);
	if (fd < 0 || listen(fd, BACKLOG) < 0)
		return error_sys(err, errno, "listen on %.*s", STR_ARG(str_first(where, 60)));
	*ret_fd = take_fd(&fd);
	return 0;
}

/* ---- the line ---- */

static void on_lease(void *arg)
{
	struct porter *p = arg;
	log_warn("executor.porter", "no server for %lld ms", (long long)p->lease_ms);
	loop_stop(p->executor->loop);
}

static void lose_line(struct porter *p)
{
	watch_free(take_ptr(p->line_watch));
	p->line_fd = close_fd(p->line_fd);
	buf_reset(&p->line);
	timer_set(p->lease, p->lease_ms);
}

/* It fits, or it is a server that does not read. */
static void say(struct porter *p, const struct buf *b)
{
	if (send(p->line_fd, b->ptr, b->len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)b->len)
		lose_line(p);
}

static void say_usage(struct porter *p)
{
	auto_buf struct buf b = BUF_INIT(DOOR_LINE_MAX);
	struct door_usage u;
	pod_usage(&u);
	buf_printf(&b, "U %lld %lld %lld %lld\n", (long long)u.memory_bytes,
		(long long)u.memory_peak_bytes, (long long)u.pids, (long long)u.cpu_us);
	say(p, &b);
}

static void hear(struct porter *p, struct str line)
{
	if (str_is(line, "Q"))
		loop_stop(p->executor->loop);
	else if (str_is(line, "U"))
		say_usage(p);
}

static void on_line(void *arg, int events)
{
	struct porter *p = arg;
	struct str rest, line;
	char *room = buf_room(&p->line, 512);
	ssize_t n = room ? recv(p->line_fd, room, 512, MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose_line(p);
		return;
	}
	buf_grown(&p->line, (size_t)n);
	while (p->line_fd >= 0) {
		rest = buf_str(&p->line);
		ptrdiff_t end = str_find_char(rest, '\n');
		if (end < 0)
			return;
		line = str_first(rest, (size_t)end);
		hear(p, line);
		if (p->line_fd >= 0)
			buf_drop_front(&p->line, (size_t)end + 1);
	}
}

static void take_line(struct porter *p, int fd)
{
	auto_buf struct buf b = BUF_INIT(DOOR_LINE_MAX);
	const int gone = GONE_MS;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone, sizeof(gone));
	if (p->line_fd >= 0)
		lose_line(p);
	p->line_fd = fd;
	p->line_watch = watch_new(p->executor->loop, fd, LOOP_READ, on_line, p);
	timer_clear(p->lease);
	buf_printf(&b, "R %u %u %s\n", getuid(), getgid(), p->executor->workdir);
	say(p, &b);
}

/* ---- who is at the door ---- */

static void visitor_free(struct visitor *v)
{
	list_remove(&v->link);
	v->porter->n_visitors--;
	watch_free(v->watch);
	timer_free(v->timer);
	close_fd(v->fd);
	free(v);
}

static void on_late(void *arg)
{
	visitor_free(arg);
}

static bool answer_hello(struct visitor *v)
{
	char answer[DOOR_NONCE_SIZE + SHA256_HEX_SIZE];
	char *nonce = v->door.executor_nonce;
	if (!door_take_hello(&v->door, str_from_len(v->said, DOOR_HELLO_SIZE)) ||
		getrandom(nonce, DOOR_NONCE_SIZE, 0) != DOOR_NONCE_SIZE)
		return false;
	memcpy(answer, nonce, DOOR_NONCE_SIZE);
	door_prove(&v->door, DOOR_EXECUTOR, str_from(v->porter->secret), answer + DOOR_NONCE_SIZE);
	v->has_said_hello = true;
	return send(v->fd, answer, DOOR_ANSWER_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL) ==
		DOOR_ANSWER_SIZE;
}

static void let_in(struct visitor *v)
{
	struct porter *p = v->porter;
	bool is_call = v->door.kind == DOOR_CALL;
	int fd = take_fd(&v->fd);
	watch_free(take_ptr(v->watch));
	visitor_free(v);
	if (!is_call) {
		take_line(p, fd);
		return;
	}
	p->executor->was_called = true;
	call_open(p->executor, fd, -1);
}

/* No byte more than is its own: what comes behind belongs to the call. */
static void on_said(void *arg, int events)
{
	struct visitor *v = arg;
	size_t whole = DOOR_HELLO_SIZE + (v->has_said_hello ? DOOR_PROOF_SIZE : 0);
	ssize_t n = recv(v->fd, v->said + v->n_said, whole - v->n_said, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		visitor_free(v);
		return;
	}
	v->n_said += (size_t)n;
	if (v->n_said < whole)
		return;
	if (!v->has_said_hello) {
		if (!answer_hello(v))
			visitor_free(v);
		return;
	}
	if (door_is_proof(&v->door, DOOR_SERVER, str_from(v->porter->secret),
		    str_from_len(v->said + DOOR_HELLO_SIZE, DOOR_PROOF_SIZE)))
		let_in(v);
	else
		visitor_free(v);
}

static void on_knock(void *arg, int fd)
{
	struct porter *p = arg;
	struct visitor *v = mem_new(struct visitor);
	const int yes = 1;
	fd_keep_alive(fd);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	v->porter = p;
	v->fd = fd;
	v->watch = watch_new(p->executor->loop, fd, LOOP_READ, on_said, v);
	v->timer = timer_new(p->executor->loop, on_late, v);
	timer_set(v->timer, PORTER_VISIT_MS);
	list_append(&p->visitors, &v->link);
	if (++p->n_visitors > PORTER_VISITORS_MAX)
		visitor_free(list_get_first(&p->visitors, struct visitor, link));
}

struct porter *porter_new(struct executor *e, int listen_fd, const char secret[SHA256_HEX_SIZE],
	int64_t lease_ms)
{
	struct porter *p = mem_new(struct porter);
	p->executor = e;
	p->listen_fd = listen_fd;
	p->line_fd = -1;
	p->lease_ms = lease_ms;
	memcpy(p->secret, secret, sizeof(p->secret));
	list_init(&p->visitors);
	buf_init(&p->line, DOOR_LINE_MAX);
	p->acceptor = acceptor_new(e->loop, listen_fd, on_knock, p);
	p->lease = timer_new(e->loop, on_lease, p);
	timer_set(p->lease, lease_ms);
	return p;
}

void porter_free(struct porter *p)
{
	if (!p)
		return;
	while (!list_is_empty(&p->visitors))
		visitor_free(list_get_first(&p->visitors, struct visitor, link));
	watch_free(p->line_watch);
	close_fd(p->line_fd);
	acceptor_free(p->acceptor);
	close_fd(p->listen_fd);
	timer_free(p->lease);
	buf_fini(&p->line);
	explicit_bzero(p->secret, sizeof(p->secret));
	free(p);
}

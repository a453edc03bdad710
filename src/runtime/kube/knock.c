/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/knock.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "event/loop.h"
#include "runtime/kube/forward.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>

struct knock {
	struct loop *loop;
	const struct knock_ops *ops;
	void *arg;
	int fd;
	struct watch *watch;
	struct timer *timer;
	struct door door;
	char secret[SHA256_HEX_SIZE];
	struct reach reach;
	struct forward *forward; /* until it is open */
	bool is_connected;
	char answer[DOOR_ANSWER_SIZE];
	size_t n_answer;
	struct error error; /* told in a turn of its own */
};

void knock_free(struct knock *k)
{
	if (!k)
		return;
	loop_undefer(k->loop, k);
	watch_free(k->watch);
	timer_free(k->timer);
	forward_drop(k->forward);
	close_fd(k->fd);
	explicit_bzero(k->secret, sizeof(k->secret));
	free(k);
}

static void fail(struct knock *k, const struct error *err)
{
	const struct knock_ops *ops = k->ops;
	void *arg = k->arg;
	struct error kept = *err;
	error_wrap(&kept, "executor at %s", k->reach.where);
	knock_free(k);
	ops->failed(arg, &kept);
}

static void fail_unreachable(struct knock *k, int sys, const char *what)
{
	struct error err;
	error_sys(&err, sys, "%s", what);
	err.code = ERROR_UNAVAILABLE;
	fail(k, &err);
}

static void on_late(void *arg)
{
	fail_unreachable(arg, ETIMEDOUT, "no answer in time");
}

static void open_up(struct knock *k)
{
	char proof[SHA256_HEX_SIZE];
	door_prove(&k->door, DOOR_SERVER, str_from(k->secret), proof);
	if (send(k->fd, proof, DOOR_PROOF_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL) != DOOR_PROOF_SIZE) {
		fail_unreachable(k, errno, "send");
		return;
	}
	const struct knock_ops *ops = k->ops;
	void *arg = k->arg;
	int fd = take_fd(&k->fd);
	watch_free(take_ptr(k->watch));
	knock_free(k);
	ops->opened(arg, fd);
}

static void judge(struct knock *k)
{
	struct error err;
	memcpy(k->door.executor_nonce, k->answer, DOOR_NONCE_SIZE);
	if (door_is_proof(&k->door, DOOR_EXECUTOR, str_from(k->secret),
		    str_from_len(k->answer + DOOR_NONCE_SIZE, DOOR_PROOF_SIZE))) {
		open_up(k);
		return;
	}
	error_set(&err, ERROR_UNAUTHORIZED, "it does not know this sandbox's secret");
	fail(k, &err);
}

static void hear(struct knock *k)
{
	ssize_t n = recv(k->fd, k->answer + k->n_answer, sizeof(k->answer) - k->n_answer,
		MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail_unreachable(k, n < 0 ? errno : ECONNRESET, "it hung up");
		return;
	}
	k->n_answer += (size_t)n;
	if (k->n_answer == sizeof(k->answer))
		judge(k);
}

static void greet(struct knock *k)
{
	char hello[DOOR_HELLO_SIZE];
	int sys = 0;
	socklen_t size = sizeof(sys);
	if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &sys, &size) < 0 || sys != 0) {
		fail_unreachable(k, sys ?: errno, "connect");
		return;
	}
	k->is_connected = true;
	door_put_hello(&k->door, hello);
	if (send(k->fd, hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(hello)) {
		fail_unreachable(k, errno, "send");
		return;
	}
	watch_set(k->watch, LOOP_READ);
}

static void on_ready(void *arg, int events)
{
	struct knock *k = arg;
	if (k->is_connected)
		hear(k);
	else
		greet(k);
}

static void on_failed_at_once(void *arg)
{
	struct knock *k = arg;
	struct error err = k->error;
	fail(k, &err);
}

/* ---- the way there ---- */

static int connect_to(struct knock *k, uint16_t port, struct error *err)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int yes = 1;
	bool is_four = inet_pton(AF_INET, k->reach.where, &four.sin_addr) == 1;
	if (!is_four && inet_pton(AF_INET6, k->reach.where, &six.sin6_addr) != 1)
		return error_set(err, ERROR_PROTOCOL, "it is no address");
	k->fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->fd < 0)
		return error_sys(err, errno, "make a socket");
	fd_keep_alive(k->fd);
	setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	int r = is_four ? connect(k->fd, (const struct sockaddr *)&four, sizeof(four))
			: connect(k->fd, (const struct sockaddr *)&six, sizeof(six));
	if (r < 0 && errno != EINPROGRESS) {
		error_sys(err, errno, "connect");
		err->code = ERROR_UNAVAILABLE;
		return -1;
	}
	k->watch = watch_new(k->loop, k->fd, LOOP_WRITE, on_ready, k);
	return 0;
}

static void on_forwarded(void *arg, int fd)
{
	struct knock *k = arg;
	k->forward = NULL;
	k->fd = fd;
	k->watch = watch_new(k->loop, fd, LOOP_WRITE, on_ready, k);
}

static void on_not_forwarded(void *arg, const struct error *err)
{
	struct knock *k = arg;
	k->forward = NULL;
	fail(k, err);
}

static int begin(struct knock *k, struct error *err)
{
	static const struct forward_ops ops = { on_forwarded, on_not_forwarded };
	if (getrandom(k->door.server_nonce, DOOR_NONCE_SIZE, 0) != DOOR_NONCE_SIZE)
		return error_sys(err, errno, "make a nonce");
	timer_set(k->timer, KNOCK_MS);
	if (!k->reach.forwards)
		return connect_to(k, DOOR_PORT, err);
	k->forward = forward_new(k->reach.forwards, k->reach.where, DOOR_PORT, &ops, k);
	return 0;
}

struct knock *knock_new(struct loop *loop, const struct reach *reach, enum door_kind kind,
	const char *secret, const struct knock_ops *ops, void *arg)
{
	struct knock *k = mem_new(struct knock);
	*k = (struct knock){ .loop = loop, .reach = *reach, .ops = ops, .arg = arg, .fd = -1 };
	k->door.kind = (char)kind;
	snprintf(k->secret, sizeof(k->secret), "%s", secret);
	k->timer = timer_new(loop, on_late, k);
	if (begin(k, &k->error) < 0)
		loop_defer(loop, on_failed_at_once, k);
	return k;
}

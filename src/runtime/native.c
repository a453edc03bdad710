/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Requests go to the supervisor over one SOCK_SEQPACKET socket, each with a
 * serial; its reply, which may come in any order, is found by that serial. A request is some 36
 * KiB, so the socket takes a few at a time: the rest waits in `asks`, in order, and is sent as the
 * socket drains.
 *
 * For each living sandbox one control socket is held. A call sends one end of a fresh socketpair
 * over it; the supervisor is not involved.
 */
#include "runtime/backend.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/list.h"
#include "base/map.h"
#include "event/loop.h"
#include "runtime/handover.h"

#include <sys/socket.h>

enum {
	ASKS_MAX = 16384, /* requests without a reply */
	REPLIES_PER_TURN = 32,
};

struct ask {
	struct list link; /* native::asks, in the order of their serials */
	uint64_t serial;
	struct monitor_request *request; /* NULL once it is sent */
	enum monitor_op op;
	char id[ID_SIZE];
	backend_fn *done;
	void *arg;
	struct error error; /* of one that could not even be asked */
	struct native *native;
};

struct native {
	struct backend base;
	struct loop *loop;
	int fd;
	struct watch *watch;
	uint64_t last_serial;
	struct list asks;
	size_t n_asks;
	struct ask *unsent; /* the first that was not sent; NULL: all were */
	struct map living;  /* id → struct living */
	/* While starting: */
	backend_fn *started;
	void *started_arg;
	uint32_t n_adopted, n_to_adopt;
	bool is_lost;
};

struct living {
	int control_fd;
	struct handover handover;
};

static const struct backend_ops native_ops;

static struct native *native_from(struct backend *b)
{
	BUG_IF(b->ops != &native_ops, "a backend that is not the native one");
	return container_of(b, struct native, base);
}

/* The living. */

static void living_free(struct living *l)
{
	handover_fini(&l->handover);
	close_fd(l->control_fd);
	free(l);
}

static void forget_living(struct native *n, const char *id)
{
	struct living *l = map_remove(&n->living, str_from(id));
	if (!l)
		return;
	living_free(l);
}

static void keep_living(struct native *n, const char *id, int control_fd)
{
	forget_living(n, id);
	struct living *l = mem_new(struct living);
	l->control_fd = control_fd;
	handover_init(&l->handover, n->loop);
	fd_set_nonblock(control_fd, NULL);
	map_put(&n->living, str_from(id), l);
}

static int native_open_call_with(struct backend *b, const char *id, int stream_fd, int *ret_fd,
	struct error *err)
{
	struct native *n = native_from(b);
	struct living *l = map_find(&n->living, str_from(id));
	if (!l)
		return error_set(err, ERROR_GONE, "sandbox %s has no executor any more", id);
	if (handover_call(&l->handover, l->control_fd, stream_fd, ret_fd, err) < 0)
		return error_wrap(err, "start a call in sandbox %s", id);
	return 0;
}

static int native_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err)
{
	return native_open_call_with(b, id, -1, ret_fd, err);
}

/* Asking. */

static void ask_free(struct ask *ask)
{
	struct native *n = ask->native;
	if (n->unsent == ask)
		n->unsent = ask->link.next == &n->asks
			? NULL
			: list_entry(ask->link.next, struct ask, link);
	list_remove(&ask->link);
	n->n_asks--;
	loop_undefer(n->loop, ask);
	free(ask->request);
	free(ask);
}

static void answer(struct ask *ask, const struct backend_reply *reply)
{
	backend_fn *done = ask->done;
	void *arg = ask->arg;
	ask_free(ask);
	if (done)
		done(arg, reply);
}

static void answer_error(void *arg)
{
	struct ask *ask = arg;
	struct backend_reply reply = { .error = ask->error, .fd = -1, .end_fd = -1 };
	answer(ask, &reply);
}

static void send_unsent(struct native *n)
{
	while (n->unsent) {
		struct ask *ask = n->unsent;
		ssize_t r = send(n->fd, ask->request, sizeof(*ask->request),
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			break; /* EAGAIN: wait; anything else shows when reading */
		free(take_ptr(ask->request));
		n->unsent = ask->link.next == &n->asks
			? NULL
			: list_entry(ask->link.next, struct ask, link);
	}
	watch_set(n->watch, LOOP_READ | (n->unsent && !n->is_lost ? LOOP_WRITE : 0));
}

static struct ask *ask_new(struct native *n, enum monitor_op op, const char *id, backend_fn *done,
	void *arg)
{
	struct ask *ask = mem_new(struct ask);
	ask->native = n;
	ask->serial = ++n->last_serial;
	ask->op = op;
	ask->done = done;
	ask->arg = arg;
	snprintf(ask->id, sizeof(ask->id), "%s", id ? id : "");
	ask->request = mem_new(struct monitor_request);
	ask->request->version = MONITOR_VERSION;
	ask->request->op = op;
	ask->request->serial = ask->serial;
	memcpy(ask->request->id, ask->id, sizeof(ask->id));
	list_append(&n->asks, &ask->link);
	n->n_asks++;
	return ask;
}

/* Once its request is filled in. */
static void ask_send(struct ask *ask)
{
	struct native *n = ask->native;
	if (n->is_lost)
		error_set(&ask->error, ERROR_UNAVAILABLE, "the supervisor is gone");
	else if (n->n_asks > ASKS_MAX)
		error_set(&ask->error, ERROR_LIMIT, "%d requests wait for the supervisor",
			ASKS_MAX);
	if (ask->error.code != ERROR_OK) {
		free(take_ptr(ask->request));
		loop_defer(n->loop, answer_error, ask);
		return;
	}
	if (!n->unsent)
		n->unsent = ask;
	send_unsent(n);
}

static void native_create(struct backend *b, const struct sandbox *s, const struct spec *spec,
	backend_fn *done, void *arg)
{
	struct ask *ask = ask_new(native_from(b), MONITOR_CREATE, spec->id, done, arg);
	ask->request->spec = *spec;
	ask_send(ask);
}

static void native_destroy(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	ask_send(ask_new(native_from(b), MONITOR_DESTROY, id, done, arg));
}

static void native_freeze(struct backend *b, const char *id, bool is_frozen, backend_fn *done,
	void *arg)
{
	struct ask *ask = ask_new(native_from(b), MONITOR_FREEZE, id, done, arg);
	ask->request->flag = is_frozen;
	ask_send(ask);
}

static void native_usage(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	ask_send(ask_new(native_from(b), MONITOR_USAGE, id, done, arg));
}

static void native_boundary(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	ask_send(ask_new(native_from(b), MONITOR_BOUNDARY, id, done, arg));
}

static void native_decisions(struct backend *b, const char *id, backend_fn *done, void *arg)
{
	ask_send(ask_new(native_from(b), MONITOR_DECISIONS, id, done, arg));
}

/*
 * Starting: HELLO, then ADOPT for each that lives, then HOST; their replies come back to
 * on_start_reply.
 */

static void finish_start(struct native *n, const struct backend_reply *reply)
{
	backend_fn *started = n->started;
	n->started = NULL;
	if (started)
		started(n->started_arg, reply);
}

static void on_host(void *arg, const struct backend_reply *reply)
{
	finish_start(arg, reply);
}

static void ask_host_when_all_adopted(struct native *n)
{
	if (n->n_adopted == n->n_to_adopt)
		ask_send(ask_new(n, MONITOR_HOST, NULL, on_host, n));
}

static void on_adopted(void *arg, const struct backend_reply *reply)
{
	struct native *n = arg;
	n->n_adopted++;
	if (reply->error.code == ERROR_OK)
		n->base.events->adopt(n->base.events_arg, reply);
	else if (reply->error.code != ERROR_NOT_FOUND) /* that one ended meanwhile */
		finish_start(n, reply);
	ask_host_when_all_adopted(n);
}

static void on_hello(struct native *n, const struct monitor_reply *m)
{
	n->n_to_adopt = m->count;
	for (uint32_t i = 0; i < m->count; i++) {
		struct ask *ask = ask_new(n, MONITOR_ADOPT, NULL, on_adopted, n);
		ask->request->index = i;
		ask_send(ask);
	}
	ask_host_when_all_adopted(n);
}

static void native_start(struct backend *b, backend_fn *done, void *arg)
{
	struct native *n = native_from(b);
	n->started = done;
	n->started_arg = arg;
	ask_send(ask_new(n, MONITOR_HELLO, NULL, on_host, n));
}

/* Replies. */

static struct ask *find_ask(struct native *n, uint64_t serial)
{
	struct ask *ask;
	list_for_each(ask, &n->asks, link)
		if (ask->serial == serial)
			return ask;
	return NULL;
}

static void lose(struct native *n, const struct error *reason)
{
	if (n->is_lost)
		return;
	n->is_lost = true;
	watch_free(take_ptr(n->watch));
	struct ask *ask, *next;
	list_for_each_safe(ask, next, &n->asks, link) {
		if (ask->error.code != ERROR_OK)
			continue; /* its answer is under way */
		ask->error = *reason;
		loop_defer(n->loop, answer_error, ask);
	}
	n->base.events->lost(n->base.events_arg, reason);
}

/* fds: those that came with it, or -1; what is kept is taken. */
static void take_reply(struct native *n, const struct monitor_reply *m, int fds[FD_PASS_MAX])
{
	if (m->op == MONITOR_ENDED) {
		forget_living(n, m->id);
		n->base.events->ended(n->base.events_arg, m->id, (enum end_reason)m->end_reason);
		return;
	}
	struct ask *ask = find_ask(n, m->serial);
	if (!ask || ask->op != m->op || ask->request) {
		struct error err;
		error_set(&err, ERROR_PROTOCOL, "the supervisor answered what was not asked");
		lose(n, &err);
		return;
	}
	bool is_ok = m->error.code == ERROR_OK;
	if (is_ok && (m->op == MONITOR_CREATE || m->op == MONITOR_ADOPT))
		keep_living(n, m->id, take_fd(&fds[0]));
	if (m->op == MONITOR_DESTROY && (is_ok || m->error.code == ERROR_NOT_FOUND))
		forget_living(n, ask->id);
	if (is_ok && m->op == MONITOR_HELLO) {
		ask_free(ask);
		on_hello(n, m);
		return;
	}
	struct backend_reply reply = {
		.error = m->error,
		.init_pid = m->init_pid,
		.enforced = m->enforced,
		.usage = m->usage,
		.fd = take_fd(&fds[m->op == MONITOR_ADOPT]),
		.end_fd = m->op == MONITOR_DECISIONS ? fds[1] : -1,
		.is_paused = m->op == MONITOR_FREEZE && m->count,
	};
	memcpy(reply.id, m->id, sizeof(reply.id));
	answer(ask, &reply);
	close_fd(reply.fd);
}

/* The supervisor is trusted, a message cut in half is not. */
static bool is_whole(const struct monitor_reply *m, ssize_t size)
{
	return size == sizeof(*m) && m->version == MONITOR_VERSION &&
		memchr(m->id, '\0', sizeof(m->id)) &&
		memchr(m->error.text, '\0', sizeof(m->error.text)) && m->error.code < ERROR_MAX;
}

/* False when there is nothing more to read now. */
static bool receive_one(struct native *n)
{
	struct monitor_reply m;
	int fds[FD_PASS_MAX], n_fds = FD_PASS_MAX;
	struct error err;
	ssize_t size = fd_recv(n->fd, &m, sizeof(m), fds, &n_fds, &err);
	if (size < 0 && (err.sys == EAGAIN || err.sys == EINTR))
		return false;
	if (size <= 0 || !is_whole(&m, size)) {
		if (size >= 0)
			error_set(&err, ERROR_UNAVAILABLE,
				size ? "the supervisor speaks another version"
				     : "the supervisor is gone");
		lose(n, &err);
		return false;
	}
	for (int i = n_fds; i < FD_PASS_MAX; i++)
		fds[i] = -1;
	take_reply(n, &m, fds);
	for (int i = 0; i < FD_PASS_MAX; i++)
		close_fd(fds[i]);
	return !n->is_lost;
}

static void on_ready(void *arg, int events)
{
	struct native *n = arg;
	if (events & LOOP_READ)
		for (int i = 0; i < REPLIES_PER_TURN && receive_one(n); i++)
			;
	if (!n->is_lost)
		send_unsent(n);
}

static void native_free(struct backend *b)
{
	struct native *n = native_from(b);
	watch_free(n->watch);
	while (!list_is_empty(&n->asks))
		ask_free(list_get_first(&n->asks, struct ask, link));
	size_t i = 0;
	struct living *l;
	while ((l = map_next(&n->living, &i, NULL)))
		living_free(l);
	map_fini(&n->living);
	close_fd(n->fd);
	free(n);
}

static const struct backend_ops native_ops = {
	.name = "native",
	.gives_layers = true,
	.start = native_start,
	.create = native_create,
	.destroy = native_destroy,
	.freeze = native_freeze,
	.usage = native_usage,
	.boundary = native_boundary,
	.decisions = native_decisions,
	.open_call = native_open_call,
	.open_call_with = native_open_call_with,
	.free = native_free,
};

struct backend *native_backend_new(struct loop *loop, int monitor_fd)
{
	struct native *n = mem_new(struct native);
	n->base.ops = &native_ops;
	n->loop = loop;
	n->fd = monitor_fd;
	list_init(&n->asks);
	fd_set_nonblock(monitor_fd, NULL);
	n->watch = watch_new(loop, monitor_fd, LOOP_READ, on_ready, n);
	return &n->base;
}

static void tell(int monitor_fd, enum monitor_op op)
{
	auto_free struct monitor_request *request = mem_new(struct monitor_request);
	request->version = MONITOR_VERSION;
	request->op = op;
	request->serial = 1;
	/* Whoever is not there to hear it has ended, and so will this process. */
	send(monitor_fd, request, sizeof(*request), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void native_greet(int monitor_fd)
{
	tell(monitor_fd, MONITOR_HELLO);
}

void native_tell_ready(int monitor_fd)
{
	tell(monitor_fd, MONITOR_READY);
}

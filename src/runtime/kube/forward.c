/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A forward waits for its turn, is opened by a worker, and then copies: what
 * can be read from its socket goes out in messages, unless the WebSocket is full; what comes in
 * messages goes into the socket, and what that does not take pauses the WebSocket.
 *
 * A forward that is dropped while its worker runs leaves the opening behind, whose end frees that.
 */
#include "runtime/kube/forward.h"

#include "base/auto.h"
#include "base/bug.h"
#include "event/loop.h"
#include "http/client.h"

#include <poll.h>
#include <sys/socket.h>

#define PROTOCOL "v4.channel.k8s.io"

enum { CHANNEL_BYTES, CHANNEL_ERROR, CHANNELS, PORT_SIZE = 2, PIECE = 8 * 1024 };

/* What a worker works with is its own: the cluster may be gone before it has ended. */
struct opening {
	struct list link;          /* forwards::openings */
	struct forwards *forwards; /* NULL: they are gone */
	struct forward *forward;   /* NULL: it was dropped */
	struct forward *callee;    /* the same, for the WebSocket's callbacks */
	char *url, *token, *path;
	char *authorities, *certificate, *key;
	struct fetch_tls tls;
	struct http_client *client;
	struct http_ws *ws;
	struct error error;
};

struct forward {
	struct list link; /* forwards::waiting, or open */
	struct forwards *forwards;
	char *path;
	const struct forward_ops *ops;
	void *arg;
	struct opening *opening;
	struct http_client *client;
	struct http_ws *ws;
	struct watch *far, *near;
	int fd;                     /* our end of the socket */
	struct buf in;              /* for the socket */
	size_t port_left[CHANNELS]; /* bytes to come that say the port */
	bool is_over;               /* of the pod's end nothing more comes */
};

static void start_waiting(struct forwards *forwards);

static char *copy(const char *text)
{
	return text ? mem_strdup(text) : NULL;
}

static void forget(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void opening_free(struct opening *o)
{
	if (o->forwards) {
		list_remove(&o->link);
		o->forwards->n_openings--;
	}
	http_ws_free(o->ws);
	http_client_free(o->client);
	free(o->url);
	forget(o->token);
	free(o->path);
	free(o->authorities);
	free(o->certificate);
	forget(o->key);
	free(o);
}

void forward_drop(struct forward *f)
{
	if (!f)
		return;
	list_remove(&f->link);
	if (f->opening)
		f->opening->forward = NULL;
	watch_free(f->far);
	watch_free(f->near);
	http_ws_free(f->ws);
	http_client_free(f->client);
	close_fd(f->fd);
	buf_fini(&f->in);
	free(f->path);
	free(f);
}

void forwards_init(struct forwards *forwards, struct cluster *cluster)
{
	*forwards = (struct forwards){ .cluster = cluster };
	list_init(&forwards->waiting);
	list_init(&forwards->openings);
	list_init(&forwards->open);
}

void forwards_fini(struct forwards *forwards)
{
	struct opening *o;
	while (!list_is_empty(&forwards->waiting))
		forward_drop(list_get_first(&forwards->waiting, struct forward, link));
	while (!list_is_empty(&forwards->open))
		forward_drop(list_get_first(&forwards->open, struct forward, link));
	list_for_each(o, &forwards->openings, link)
		o->forwards = NULL;
}

/* ---- copying ---- */

/* False: the socket's other end is gone. */
static bool send_on(struct forward *f)
{
	char message[1 + PIECE] = { CHANNEL_BYTES };
	while (!f->is_over && !http_ws_is_full(f->ws)) {
		ssize_t n = recv(f->fd, message + 1, PIECE, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		http_ws_send_binary(f->ws, str_from_len(message, 1 + (size_t)n));
	}
	return true;
}

static bool give(struct forward *f)
{
	size_t sent = 0;
	ssize_t n = 1;
	while (n > 0 && sent < f->in.len) {
		n = send(f->fd, f->in.ptr + sent, f->in.len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	bool is_good = n > 0 || errno == EAGAIN || errno == EINTR;
	buf_drop_front(&f->in, sent);
	return is_good;
}

/* False: the socket's other end is gone. *ret_again: there may be more that no event tells of. */
static bool take(struct forward *f, bool *ret_again)
{
	if (!give(f))
		return false;
	http_ws_pause(f->ws, f->in.len >= FORWARD_BYTES);
	if (!f->is_over && http_ws_turn(f->ws, NULL) < 0)
		f->is_over = true;
	bool was_full = f->in.len >= FORWARD_BYTES;
	bool is_good = give(f);
	*ret_again = was_full && f->in.len < FORWARD_BYTES;
	return is_good;
}

static void turn(struct forward *f)
{
	bool again = false;
	if (!send_on(f) || !take(f, &again) || (f->is_over && !f->in.len)) {
		forward_drop(f);
		return;
	}
	bool writes = again || http_ws_poll_events(f->ws) & POLLOUT;
	bool reads = f->in.len < FORWARD_BYTES;
	watch_set(f->far, f->is_over ? 0 : (reads ? LOOP_READ : 0) | (writes ? LOOP_WRITE : 0));
	watch_set(f->near,
		(f->is_over || http_ws_is_full(f->ws) ? 0 : LOOP_READ) |
			(f->in.len ? LOOP_WRITE : 0));
}

static void on_ready(void *arg, int events)
{
	turn(arg);
}

static void on_text(void *arg, struct str text)
{
}

static void on_binary(void *arg, struct str message)
{
	struct forward *f = arg;
	uint8_t channel = message.len ? (uint8_t)message.ptr[0] : CHANNELS;
	if (f->is_over || channel >= CHANNELS)
		return;
	struct str bytes = str_skip(message, 1);
	size_t port = MIN(bytes.len, f->port_left[channel]);
	f->port_left[channel] -= port;
	bytes = str_skip(bytes, port);
	if (channel == CHANNEL_ERROR)
		f->is_over = bytes.len > 0;
	else if (buf_put(&f->in, bytes) < 0)
		f->is_over = true;
	http_ws_pause(f->ws, f->in.len >= FORWARD_BYTES);
}

static void on_close(void *arg, int code)
{
	struct forward *f = arg;
	f->is_over = true;
}

static const struct http_ws_ops ws_ops = { on_text, on_binary, on_close };

/* ---- opening ---- */

static void open_in_worker(void *arg)
{
	struct opening *o = arg;
	if (http_client_new(o->url, o->token, &o->client, &o->error) < 0)
		return;
	http_client_set_tls(o->client, &o->tls);
	http_ws_open(o->client, o->path, PROTOCOL, &ws_ops, o->callee, &o->ws, &o->error);
	http_client_set_tls(o->client, NULL); /* it stays longer than that */
}

static void fail(struct forward *f, const struct error *err)
{
	const struct forward_ops *ops = f->ops;
	void *arg = f->arg;
	struct error own = *err;
	if (own.code != ERROR_FORBIDDEN)
		own.code = ERROR_UNAVAILABLE;
	cluster_doubt_token(f->forwards->cluster);
	error_wrap(&own, "port forwarding of %s", f->forwards->cluster->access.server);
	forward_drop(f);
	ops->failed(arg, &own);
}

static void begin(struct forward *f)
{
	struct loop *loop = f->forwards->cluster->loop;
	struct error err;
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		error_sys(&err, errno, "make a socket");
		fail(f, &err);
		return;
	}
	f->fd = ends[0];
	f->far = watch_new(loop, http_ws_fd(f->ws), LOOP_READ, on_ready, f);
	f->near = watch_new(loop, f->fd, LOOP_READ, on_ready, f);
	/* What came behind the handshake is no event of the socket's. */
	watch_set(f->far, LOOP_READ | LOOP_WRITE);
	f->ops->opened(f->arg, ends[1]);
}

static void on_opened(void *arg)
{
	struct opening *o = arg;
	struct forwards *forwards = o->forwards;
	struct forward *f = o->forward;
	struct error err = o->error;
	if (f) {
		f->opening = NULL;
		f->client = take_ptr(o->client);
		f->ws = take_ptr(o->ws);
	}
	opening_free(o);
	if (forwards)
		start_waiting(forwards);
	if (f && f->ws)
		begin(f);
	else if (f)
		fail(f, &err);
}

static void start(struct forward *f)
{
	struct cluster *c = f->forwards->cluster;
	struct opening *o = mem_new(struct opening);
	const char *token = cluster_token(c);
	*o = (struct opening){ .forwards = f->forwards, .forward = f, .callee = f };
	o->url = mem_strdup(c->access.server);
	o->token = copy(token);
	o->path = mem_strdup(f->path);
	o->authorities = copy(c->tls.authorities);
	o->certificate = copy(c->tls.certificate);
	o->key = copy(c->tls.key);
	o->tls = (struct fetch_tls){ o->authorities, o->certificate, o->key,
		c->tls.believes_anybody };
	f->opening = o;
	list_remove(&f->link);
	list_append(&f->forwards->open, &f->link);
	list_append(&f->forwards->openings, &o->link);
	f->forwards->n_openings++;
	loop_work(c->loop, open_in_worker, on_opened, o);
}

static void start_waiting(struct forwards *forwards)
{
	while (forwards->n_openings < FORWARD_OPENING_MAX && !list_is_empty(&forwards->waiting))
		start(list_get_first(&forwards->waiting, struct forward, link));
}

struct forward *forward_new(struct forwards *forwards, const char *pod, uint16_t port,
	const struct forward_ops *ops, void *arg)
{
	struct forward *f = mem_new(struct forward);
	*f = (struct forward){
		.forwards = forwards,
		.path = mem_printf("%s/portforward?ports=%u", pod, port),
		.ops = ops,
		.arg = arg,
		.fd = -1,
		.port_left = { PORT_SIZE, PORT_SIZE },
	};
	buf_init(&f->in, FORWARD_BYTES + FORWARD_MESSAGE_MAX);
	list_append(&forwards->waiting, &f->link);
	start_waiting(forwards);
	return f;
}

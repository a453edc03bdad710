/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening, counting, and time. Deadlines cost no timer each: for every kind there is a list
 * sorted by the time of setting, and one timer of the loop is set to the earliest end among their
 * heads. It may fire too early, when what it was set for was taken off meanwhile; then it is set
 * anew.
 *
 * Where no place is left, and none is given up (places.c), the listeners rest until a connection
 * ends.
 */
#include "http/conn.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "http/places.h"
#include "http/turns.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
	ACCEPTS_PER_TURN = 64,
	CONNECTIONS_MAX = 16384,
	DISCARD_MS = 2000,
	PING_MS = 15000,
	REST_MS = 100,
};

struct listener {
	struct http_server *server;
	struct watch *watch;
	int fd;
	bool is_unix;
};

static void on_timer(void *arg)
{
	struct http_server *s = arg;
	int64_t now = clock_mono_ms(), next = 0;
	s->timer_at_ms = 0;
	for (enum deadline kind = DEADLINE_HEAD; kind < DEADLINE_MAX; kind++) {
		struct http_conn *c;
		while ((c = list_first(&s->deadlines[kind], struct http_conn, link)) &&
			c->since_ms + s->deadline_ms[kind] <= now) {
			list_remove(&c->link);
			c->deadline = DEADLINE_NONE;
			conn_expire(c, kind);
		}
		if (c && (!next || c->since_ms + s->deadline_ms[kind] < next))
			next = c->since_ms + s->deadline_ms[kind];
	}
	if (next && (!s->timer_at_ms || next < s->timer_at_ms)) {
		s->timer_at_ms = next;
		timer_set(s->timer, next - now);
	}
}

void server_deadline(struct http_conn *c, enum deadline kind, bool is_restarted)
{
	struct http_server *s = c->server;
	if (c->deadline == kind && !is_restarted)
		return;
	list_remove(&c->link);
	c->deadline = kind;
	if (kind == DEADLINE_NONE)
		return;
	c->since_ms = clock_mono_ms();
	list_append(&s->deadlines[kind], &c->link);
	int64_t at = c->since_ms + s->deadline_ms[kind];
	if (!s->timer_at_ms || at < s->timer_at_ms) {
		s->timer_at_ms = at;
		timer_set(s->timer, s->deadline_ms[kind]);
	}
}

static void listen_again(void *arg)
{
	struct http_server *s = arg;
	s->is_resting = false;
	for (int i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].watch)
			watch_set(s->listeners[i].watch, LOOP_READ);
}

void server_forget(struct http_conn *c)
{
	struct http_server *s = c->server;
	list_remove(&c->link);
	list_remove(&c->all);
	places_give_back(c);
	s->n_conns--;
	if (s->is_resting)
		listen_again(s);
}

/* Accepting failed for want of something: tries again when a connection ends, or after a while. */
static void rest(struct http_server *s)
{
	s->is_resting = true;
	for (int i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].watch)
			watch_set(s->listeners[i].watch, 0);
	timer_set(s->rest_timer, REST_MS);
}

static void take_connection(struct listener *l, int fd, const struct sockaddr_storage *address)
{
	struct peer *peer = l->is_unix ? NULL : places_take(l->server, address);
	if (!l->is_unix && !peer)
		close(fd);
	else
		conn_new(l->server, fd, peer);
}

static void on_listener(void *arg, int events)
{
	struct listener *l = arg;
	for (int i = 0; i < ACCEPTS_PER_TURN && l->watch; i++) {
		if (!places_make_room(l->server)) {
			rest(l->server);
			return;
		}
		struct sockaddr_storage address = { 0 };
		socklen_t len = sizeof(address);
		int fd = accept4(l->fd, (struct sockaddr *)&address, &len,
			SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN)
				rest(l->server);
			return;
		}
		take_connection(l, fd, &address);
	}
}

const struct http_face *server_face_of_host(const struct http_server *s, struct str host)
{
	struct str label = names_label(&s->names, host);
	for (int i = 0; i < s->n_faces && label.ptr; i++)
		if (s->faces[i]->takes_label && s->faces[i]->takes_label(s->faces[i], label))
			return s->faces[i];
	return NULL;
}

static int listener_init(struct http_server *s, struct listener *l, int fd, struct error *err)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = sizeof(address);
	int on = 1, is_listening = 0;
	socklen_t int_len = sizeof(is_listening);
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &int_len) < 0)
		return error_sys(err, errno, "listening socket %d", fd);
	if (!is_listening)
		return error_set(err, ERROR_INVALID, "descriptor %d is no listening socket", fd);
	if (fd_set_nonblock(fd, err) < 0)
		return -1;
	l->server = s;
	l->fd = fd;
	l->is_unix = address.ss_family == AF_UNIX;
	if (!l->is_unix) {
		/* Accepted sockets inherit both. */
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		names_add_address(&s->names, &s->config, &address);
	}
	l->watch = watch_new(s->loop, fd, LOOP_READ, on_listener, l);
	return 0;
}

static int or_standard(int value, int standard)
{
	return value > 0 ? value : standard;
}

/* Of who is not the owner: what all of them may hold does not grow with the places. */
static void set_shares(struct http_config *c)
{
	int all = c->max_connections;
	c->max_per_peer = or_standard(c->max_per_peer, MAX(all / 2, 1));
	c->max_strangers = or_standard(c->max_strangers, MIN(all, 4096));
	c->max_per_guest = or_standard(c->max_per_guest, MAX(MIN(all / 8, 512), 1));
	c->max_guests = or_standard(c->max_guests, MAX(MIN(all * 3 / 8, 1536), 1));
}

static void set_config(struct http_server *s, const struct http_config *config)
{
	struct rlimit files = { 1024, 1024 };
	getrlimit(RLIMIT_NOFILE, &files);
	int places = files.rlim_cur / 2 < CONNECTIONS_MAX ? (int)(files.rlim_cur / 2)
							  : CONNECTIONS_MAX;
	s->config = *config;
	s->config.max_connections = or_standard(config->max_connections, places);
	set_shares(&s->config);
	s->config.head_ms = or_standard(config->head_ms, 5000);
	s->deadline_ms[DEADLINE_HEAD] = s->config.head_ms;
	s->deadline_ms[DEADLINE_IDLE] = or_standard(config->idle_ms, 75000);
	s->deadline_ms[DEADLINE_STALL] = or_standard(config->stall_ms, 30000);
	s->deadline_ms[DEADLINE_DISCARD] = DISCARD_MS;
	s->deadline_ms[DEADLINE_PING] = PING_MS;
	s->token = config->token ? mem_strdup(config->token) : NULL;
	names_init(&s->names, config);
}

int http_server_new(struct loop *loop, const struct http_config *config, struct http_server **ret,
	struct error *err)
{
	if (config->token && !*config->token)
		return error_set(err, ERROR_INVALID, "an empty token would let everybody in");
	struct http_server *s = mem_new(struct http_server);
	s->loop = loop;
	s->router = router_new();
	s->scratch = mem_alloc(CONN_READ_SIZE);
	s->timer = timer_new(loop, on_timer, s);
	s->rest_timer = timer_new(loop, listen_again, s);
	list_init(&s->conns);
	list_init(&s->strangers);
	list_init(&s->exchanges);
	list_init(&s->over);
	turns_init(s);
	for (int i = 0; i < DEADLINE_MAX; i++)
		list_init(&s->deadlines[i]);
	set_config(s, config);
	s->listeners = mem_new_n(struct listener, (size_t)MAX(config->n_listen_fds, 1));
	for (int i = 0; i < config->n_listen_fds; i++) {
		if (listener_init(s, &s->listeners[i], config->listen_fds[i], err) < 0) {
			http_server_free(s);
			return -1;
		}
		s->n_listeners++;
	}
	*ret = s;
	return 0;
}

void http_server_add_face(struct http_server *s, const struct http_face *face)
{
	BUG_IF(s->n_faces == (int)ARRAY_LEN(s->faces), "too many faces");
	s->faces[s->n_faces++] = face;
	router_add(s->router, face, face->routes);
}

void http_server_stop(struct http_server *s)
{
	s->is_stopping = true;
	for (int i = 0; i < s->n_listeners; i++) {
		watch_free(take_ptr(s->listeners[i].watch));
		s->listeners[i].fd = close_fd(s->listeners[i].fd);
	}
	struct http_conn *c, *tmp;
	list_for_each_safe(c, tmp, &s->conns, all)
		if (c->input == INPUT_HEAD && c->in.len == 0)
			conn_free(c);
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	http_server_stop(s);
	struct exchange *x;
	struct http_conn *c;
	while ((c = list_first(&s->conns, struct http_conn, all)))
		conn_free(c);
	while ((x = list_first(&s->exchanges, struct exchange, link))) {
		loop_undefer(s->loop, x);
		list_remove(&x->link);
		places_forget(x);
		x->server = NULL;
		x->r.server = NULL;
	}
	loop_undefer(s->loop, &s->over);
	exchanges_release(&s->over);
	timer_free(s->timer);
	timer_free(s->rest_timer);
	turns_fini(s);
	router_free(s->router);
	names_fini(&s->names);
	map_fini(&s->peers);
	map_fini(&s->guests);
	free(s->listeners);
	free(s->scratch);
	free(s->token);
	free(s);
}

struct http_server_stats http_server_stats(const struct http_server *s)
{
	return (struct http_server_stats){ s->n_conns, s->n_requests, s->requests_total };
}

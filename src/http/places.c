/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has how many places. What one connection makes us hold is bounded (conn.h); this file bounds
 * the connections:
 *
 *	all together        max_connections
 *	one address         max_per_peer; on a Unix socket there is none
 *	strangers           max_strangers, and half as many from one address
 *	one guest           max_per_guest connections with a request that is not answered yet, or an upgrade
 *	all guests          max_guests of those
 *
 * and the memory that guests have the server hold, in bodies that come and answers that wait to be
 * taken: HTTP_GUEST_BYTES for one, HTTP_GUESTS_BYTES for all. Beyond a quarter of it streams count
 * as full at once; beyond it bodies are refused and connections whose answers would have to wait
 * are cut, unless nothing else is held for that guest.
 *
 * A guest is who was let in by something else than the server's own token: a token, key or ticket
 * of one sandbox, or a preview that is open to everybody. What is counted is the sandbox. So
 * whoever holds such a token, and connections for as long as he likes, takes places from himself,
 * and never the last ones from the server's owner.
 *
 * What lets a guest in may end: then his request ends, too, an upgrade and a stream that go on as
 * well.
 *
 * A stranger is who has not been let in on this connection yet. Where a place is wanted and there
 * is none, the stranger who came first makes room, whatever he is in the middle of; then the
 * connection that has been idle longest. Who comes honestly shows a token in his first bytes, and
 * is no stranger by the time that thousands have come after him.
 */
#include "http/places.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/id.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* Who is connected from one address. */
struct peer {
	int n_conns;
	int n_strangers;
	socklen_t key_len;
	char key[16];
};

struct guest {
	int n_conns; /* requests whose client has gone, too, until they are answered */
	size_t bytes;
	char sandbox[ID_SIZE]; /* "": what belongs to none */
};

/* ---- making room ---- */

static struct http_conn *find_stranger(const struct http_server *s, const struct peer *peer)
{
	struct http_conn *c;
	list_for_each(c, &s->strangers, strange)
		if (!peer || c->peer == peer)
			return c;
	return NULL;
}

static struct http_conn *find_idle(const struct http_server *s, const struct peer *peer)
{
	struct http_conn *c;
	list_for_each(c, &s->deadlines[DEADLINE_IDLE], link)
		if (!peer || c->peer == peer)
			return c;
	return NULL;
}

/* One connection ends: of this address, or NULL, of anybody. False: all are in use. */
static bool evict(const struct http_server *s, const struct peer *peer)
{
	struct http_conn *c = find_stranger(s, peer);
	int before = s->n_conns;
	if (!c)
		c = find_idle(s, peer);
	if (c)
		conn_free(c);
	return s->n_conns < before;
}

static void cut_stranger(const struct http_server *s, const struct peer *peer)
{
	struct http_conn *c = find_stranger(s, peer);
	if (c)
		conn_free(c);
}

bool places_make_room(struct http_server *s)
{
	if (s->n_strangers >= s->config.max_strangers)
		cut_stranger(s, NULL);
	return s->n_conns < s->config.max_connections || evict(s, NULL);
}

/* ---- addresses ---- */

static struct peer *get_peer(struct http_server *s, const struct peer *key)
{
	struct str text = str_from_len(key->key, key->key_len);
	struct peer *peer = map_find(&s->peers, text);
	if (peer)
		return peer;
	peer = mem_new(struct peer);
	*peer = *key;
	map_put(&s->peers, text, peer);
	return peer;
}

struct peer *places_take(struct http_server *s, const struct sockaddr_storage *a)
{
	struct peer key = { .key_len = 4 };
	if (a->ss_family == AF_INET6) {
		key.key_len = 16;
		memcpy(key.key, &((const struct sockaddr_in6 *)a)->sin6_addr, 16);
	} else {
		memcpy(key.key, &((const struct sockaddr_in *)a)->sin_addr, 4);
	}
	struct peer *peer = get_peer(s, &key);
	if (peer->n_strangers > 0 && peer->n_strangers >= s->config.max_strangers / 2) {
		cut_stranger(s, peer);
		peer = get_peer(s, &key); /* it may have gone with that one */
	}
	if (peer->n_conns >= s->config.max_per_peer) {
		if (!evict(s, peer))
			return NULL;
		peer = get_peer(s, &key);
	}
	peer->n_conns++;
	return peer;
}

void server_put_peer(const struct http_conn *c, struct buf *b)
{
	char text[INET6_ADDRSTRLEN];
	if (c->peer &&
		inet_ntop(c->peer->key_len == 4 ? AF_INET : AF_INET6, c->peer->key, text,
			sizeof(text)))
		buf_puts(b, text);
}

/* ---- guests ---- */

static struct guest *get_guest(struct http_server *s, const char *sandbox)
{
	struct guest *guest = map_find(&s->guests, str_from(sandbox));
	if (guest)
		return guest;
	guest = mem_new(struct guest);
	snprintf(guest->sandbox, sizeof(guest->sandbox), "%s", sandbox);
	map_put(&s->guests, str_from(sandbox), guest);
	return guest;
}

/*
 * Those that belong to no sandbox have their own share: who approves comes so, and he is to get
 * through.
 */
static int count_guest(struct http_server *s, const char *sandbox, struct guest **ret,
	struct error *err)
{
	const struct guest *known = map_find(&s->guests, str_from(sandbox));
	if (known && known->n_conns >= s->config.max_per_guest)
		return error_set(err, ERROR_LIMIT, "%d requests for this sandbox are under way",
			known->n_conns);
	if (sandbox[0] && s->n_guests >= s->config.max_guests)
		return error_set(err, ERROR_LIMIT, "%d requests for sandboxes are under way",
			s->n_guests);
	*ret = get_guest(s, sandbox);
	(*ret)->n_conns++;
	s->n_guests += sandbox[0] != 0;
	return 0;
}

void places_greet(struct http_conn *c)
{
	list_append(&c->server->strangers, &c->strange);
	c->server->n_strangers++;
	if (c->peer)
		c->peer->n_strangers++;
}

static void let_in(struct http_conn *c)
{
	if (list_is_empty(&c->strange))
		return;
	list_remove(&c->strange);
	c->server->n_strangers--;
	if (c->peer)
		c->peer->n_strangers--;
}

static void on_end(void *arg)
{
	conn_break(arg);
}

int places_admit(struct exchange *x, struct error *err)
{
	struct http_conn *c = x->conn;
	const struct http_face *face = x->r.face;
	let_in(c);
	if (x->is_own || !x->server->token)
		return 0;
	const struct grant *grant = &x->r.grant;
	const char *sandbox = grant->role != ROLE_ADMIN ? grant->sandbox.ptr
		: face && face->sandbox_of              ? face->sandbox_of(&x->r)
							: NULL;
	if (count_guest(x->server, sandbox ? sandbox : "", &c->guest, err) < 0)
		return -1;
	if (x->until_s) {
		c->end = timer_new(x->server->loop, on_end, c);
		timer_set(c->end, MAX(x->until_s * 1000 - clock_wall_ms(), 1));
	}
	return 0;
}

static void drop_guest(struct http_server *s, struct guest *guest)
{
	if (!guest)
		return;
	s->n_guests -= guest->sandbox[0] != 0;
	if (--guest->n_conns > 0)
		return;
	map_remove(&s->guests, str_from(guest->sandbox));
	free(guest);
}

static void hold(struct http_server *s, struct guest *guest, size_t *held, size_t now)
{
	if (!guest)
		return;
	guest->bytes += now - *held;
	s->guest_bytes += now - *held;
	*held = now;
}

void places_answered(struct http_conn *c)
{
	timer_free(take_ptr(c->end));
	hold(c->server, c->guest, &c->held, 0);
	drop_guest(c->server, take_ptr(c->guest));
}

/* Who leaves before the answer keeps his place for as long as the work goes on. */
void places_abandon(struct http_conn *c, struct exchange *x)
{
	hold(c->server, c->guest, &c->held, x->body.len);
	x->guest = take_ptr(c->guest);
	x->held = c->held;
	c->held = 0;
}

void places_forget(struct exchange *x)
{
	hold(x->server, x->guest, &x->held, 0);
	drop_guest(x->server, take_ptr(x->guest));
}

/* ---- what they have us hold ---- */

void places_count(struct http_conn *c)
{
	if (c->guest)
		hold(c->server, c->guest, &c->held,
			conn_waiting(c) + c->taken + (c->current ? c->current->body.len : 0));
}

bool places_is_high(const struct http_conn *c)
{
	return c->guest && conn_waiting(c) > 0 &&
		(c->guest->bytes > HTTP_GUEST_BYTES / 4 ||
			c->server->guest_bytes > HTTP_GUESTS_BYTES / 4);
}

bool places_is_over(const struct http_conn *c)
{
	return c->guest &&
		(c->guest->bytes - c->held > HTTP_GUEST_BYTES ||
			c->server->guest_bytes - c->held > HTTP_GUESTS_BYTES);
}

const struct guest *places_guest_of(const struct exchange *x)
{
	return x->conn ? x->conn->guest : x->guest;
}

void places_give_back(struct http_conn *c)
{
	struct http_server *s = c->server;
	places_answered(c);
	let_in(c);
	if (c->peer && --c->peer->n_conns == 0) {
		map_remove(&s->peers, str_from_len(c->peer->key, c->peer->key_len));
		free(c->peer);
	}
}

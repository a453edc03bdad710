/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One call of `egress` per sandbox tells of connections; each becomes a relay:
 *
 *	RESOLVING (a worker thread) ──▶ CONNECTING (address after address) ──▶ OPEN (egress_take)
 *
 * A relay that cannot go on tells the executor why (drop), which tells the program in its own
 * terms. What the executor says of a connection is believed as far as its name goes: names that may
 * not be connected to are refused here as well, so an executor that was taken over reaches what the
 * agent could have reached anyway.
 *
 * The worker threads are shared with the other sandboxes: lookup.h.
 */
#include "runtime/egress.h"

#include "action/network_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "runtime/internal.h"
#include "runtime/lookup.h"
#include "runtime/secrets.h"
#include "wire/allow.h"
#include "wire/frame.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
	CONNECT_MS = 10000, /* for all addresses together */
	READ_BYTES = 64 * 1024,
	READS_PER_TURN = 4,
	OUT_HIGH = 256 * 1024, /* bytes for the outside at which the sandbox waits */
	OUT_MAX = OUT_HIGH + 2 * FRAME_PAYLOAD_MAX,
	UNSENT_BYTES = 128 * 1024, /* that the kernel holds for an outside that takes nothing */
	REASON_SIZE = 200,
};

struct egress {
	struct sandbox *sandbox;
	struct allow allow;
	struct runtime_call *call; /* NULL: it has ended, and nothing is told any more */
	struct list relays;        /* relay::link */
	int n_relays;
	struct lookup_share *share;
};

struct relay {
	struct list link;
	struct egress *egress;
	int64_t id;               /* the executor's */
	char name[DNS_NAME_SIZE]; /* or the text of an address */
	bool is_name;
	int port;
	struct lookup *lookup; /* of its name, until it is found */
	struct addrinfo *found, *next;
	struct netaddr address; /* that is tried or connected to */
	int fd;
	struct watch *watch;
	struct timer *timer;
	struct runtime_call *call; /* egress_take */
	struct buf out;            /* for the outside; the first `sent` bytes are gone */
	size_t sent;
	bool is_open, is_full;
	bool in_ended, out_eof, out_ended;
};

/* ---- what is told ---- */

static void audit(struct egress *g, const char *decision, const char *name, const char *address,
	int port, const char *reason)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "decision", str_from(decision));
	if (name && *name)
		jsonw_key_str(&w, "name", str_from(name));
	if (address && *address)
		jsonw_key_str(&w, "address", str_from(address));
	if (port)
		jsonw_key_int(&w, "port", port);
	if (reason)
		jsonw_key_str(&w, "reason", str_from(reason));
	jsonw_close(&w);
	audit_network(g->sandbox, &b);
}

static void relay_free(struct relay *r)
{
	list_remove(&r->link);
	r->egress->n_relays--;
	lookup_drop(r->lookup);
	if (r->found)
		freeaddrinfo(r->found);
	if (r->call)
		runtime_call_cancel(r->call);
	watch_free(r->watch);
	timer_free(r->timer);
	close_fd(r->fd);
	buf_fini(&r->out);
	free(r);
}

/* Before it is open: the program is told why, and so is the log. */
static void refuse(struct relay *r, const char *reason)
{
	struct egress *g = r->egress;
	auto_buf struct buf b = BUF_INIT(1024);
	struct jsonw w = JSONW(&b);
	audit(g, "denied", r->is_name ? r->name : NULL, r->is_name ? NULL : r->name, r->port,
		reason);
	jsonw_open(&w);
	jsonw_key_int(&w, "drop", r->id);
	jsonw_key_str(&w, "reason", str_from(reason));
	jsonw_close(&w);
	if (g->call)
		runtime_call_control(g->call, buf_str(&b));
	relay_free(r);
}

/* ---- an open connection ---- */

static void await(struct relay *r)
{
	int events = 0;
	if (r->sent < r->out.len || !r->is_open)
		events |= LOOP_WRITE;
	if (r->is_open && !r->is_full && !r->in_ended)
		events |= LOOP_READ;
	watch_set(r->watch, events);
	if (r->call)
		runtime_call_pause(r->call, r->out.len - r->sent > OUT_HIGH);
}

static void flush(struct relay *r)
{
	while (r->sent < r->out.len && !r->out_ended) {
		ssize_t n = send(r->fd, r->out.ptr + r->sent, r->out.len - r->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			r->out_ended = true; /* what it has sent before may still be read */
		else
			r->sent += (size_t)n;
	}
	if (r->sent == r->out.len || r->out_ended) {
		buf_reset(&r->out);
		r->sent = 0;
	} else if (r->sent > OUT_HIGH) {
		buf_drop_front(&r->out, r->sent);
		r->sent = 0;
	}
	if (r->out_eof && !r->out_ended && r->out.len == 0) {
		shutdown(r->fd, SHUT_WR);
		r->out_ended = true;
	}
}

/* False: it is over. */
static bool take(struct relay *r)
{
	static char bytes[READ_BYTES]; /* one thread */
	for (int i = 0; i < READS_PER_TURN && !r->is_full && !r->in_ended; i++) {
		ssize_t n = recv(r->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0)
			return false;
		r->in_ended = n == 0;
		if (n == 0)
			runtime_call_eof(r->call, 0);
		else
			runtime_call_send(r->call, 0, str_from_len(bytes, (size_t)n));
		r->is_full = runtime_call_is_full(r->call);
		if (n < (ssize_t)sizeof(bytes))
			break;
	}
	return true;
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct relay *r = arg;
	if (r->out_ended)
		return;
	buf_put(&r->out, bytes);
	flush(r);
	await(r);
}

static void on_taken_event(void *arg, struct str json)
{
	struct relay *r = arg;
	auto_json struct json *event = NULL;
	if (json_parse(json, &event, NULL) < 0 ||
		!str_is(json_str(json_find(event, "event")), "eof"))
		return;
	r->out_eof = true;
	flush(r);
	await(r);
}

static void on_drain(void *arg)
{
	struct relay *r = arg;
	r->is_full = false;
	await(r);
}

static void on_taken_result(void *arg, struct str json)
{
	struct relay *r = arg;
	r->call = NULL;
	relay_free(r);
}

static void on_taken_error(void *arg, const struct error *err)
{
	on_taken_result(arg, STR_NONE);
}

static void on_connecting(void *arg, int events);

/* Where a secret may be swapped in, the other end is not the server any more but who does that. */
static int pass_boundary(struct relay *r, struct error *err)
{
	struct sandbox *s = r->egress->sandbox;
	if (!r->is_name || !secrets_want(s, r->name, r->port))
		return 0;
	watch_free(take_ptr(r->watch));
	if (secrets_pass(s, r->name, r->port, &r->fd, err) < 0)
		return -1;
	r->watch = watch_new(s->runtime->loop, r->fd, 0, on_connecting, r);
	return 0;
}

static void open_relay(struct relay *r)
{
	static const struct call_sink sink = { on_data, on_taken_event, on_drain, on_taken_result,
		on_taken_error };
	char params[48], address[NETADDR_TEXT_MAX];
	struct error err;
	if (pass_boundary(r, &err) < 0) {
		refuse(r, err.text);
		return;
	}
	r->is_open = true;
	timer_clear(r->timer);
	freeaddrinfo(take_ptr(r->found));
	netaddr_text(&r->address, address);
	audit(r->egress, "allowed", r->is_name ? r->name : NULL, address, r->port, NULL);
	snprintf(params, sizeof(params), "{\"id\":%lld}", (long long)r->id);
	r->call = call_perform_quietly(r->egress->sandbox, &egress_take_action, str_from(params),
		&sink, r);
	await(r);
}

/* ---- on the way to it ---- */

/* What a name leads to: a public address, or one that is in the list itself. */
static const char *why_not(const struct relay *r, const struct netaddr *address)
{
#ifdef WEAKEN_FENCE /* for the escape tests, which must see the difference */
	return NULL;
#endif
	if (netaddr_is_metadata(address))
		return "it leads to a metadata service";
	if (netaddr_is_private(address) && !allow_has_address(&r->egress->allow, address, r->port))
		return "it leads to a private address, which is not allowed by itself";
	return NULL;
}

/* The next address; true if one is being connected to. */
static bool try_next(struct relay *r, char *reason)
{
	watch_free(take_ptr(r->watch));
	r->fd = close_fd(r->fd);
	for (; r->next; r->next = r->next->ai_next) {
		const struct addrinfo *a = r->next;
		const char *why = netaddr_from(a->ai_addr, &r->address, NULL) < 0
			? "it leads to no internet address"
			: why_not(r, &r->address);
		if (why) {
			snprintf(reason, REASON_SIZE, "%s", why);
			continue;
		}
		int on = 1, unsent = UNSENT_BYTES;
		r->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (r->fd >= 0 &&
			(connect(r->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS)) {
			setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
			setsockopt(r->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
			r->next = a->ai_next;
			r->watch = watch_new(r->egress->sandbox->runtime->loop, r->fd, LOOP_WRITE,
				on_connecting, r);
			return true;
		}
		snprintf(reason, REASON_SIZE, "connect: %s", strerror(errno));
		r->fd = close_fd(r->fd);
	}
	return false;
}

static void on_connecting(void *arg, int events)
{
	struct relay *r = arg;
	char reason[REASON_SIZE];
	int sys = 0;
	socklen_t len = sizeof(sys);
	if (r->is_open) {
		flush(r);
		if ((events & LOOP_READ) && r->call && !take(r))
			relay_free(r);
		else
			await(r);
		return;
	}
	getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &sys, &len);
	if (sys == 0) {
		open_relay(r);
		return;
	}
	snprintf(reason, sizeof(reason), "connect: %s", strerror(sys));
	if (!try_next(r, reason))
		refuse(r, reason);
}

static void on_late(void *arg)
{
	refuse(arg, "it did not answer in time");
}

static void on_looked_up(void *arg, struct addrinfo *found, int failure)
{
	struct relay *r = arg;
	char reason[REASON_SIZE] = "it has no address";
	r->lookup = NULL;
	r->found = r->next = found;
	if (failure)
		snprintf(reason, sizeof(reason), "%s", gai_strerror(failure));
	if (!try_next(r, reason))
		refuse(r, reason);
}

static void relay_begin(struct egress *g, int64_t id, struct str target, bool is_name, int port)
{
	struct relay *r = mem_new(struct relay);
	struct netaddr address;
	*r = (struct relay){ .egress = g, .id = id, .fd = -1, .port = port, .is_name = is_name };
	snprintf(r->name, sizeof(r->name), "%.*s", STR_ARG(str_first(target, DNS_NAME_SIZE - 1)));
	buf_init(&r->out, OUT_MAX);
	r->timer = timer_new(g->sandbox->runtime->loop, on_late, r);
	list_append(&g->relays, &r->link);
	g->n_relays++;
	bool is_allowed = is_name ? allow_has_name(&g->allow, r->name, port)
				  : netaddr_parse(str_from(r->name), &address, NULL) == 0 &&
			allow_has_address(&g->allow, &address, port);
	if (!is_allowed || g->n_relays > EGRESS_RELAYS_MAX) {
		refuse(r, is_allowed ? "too many connections at once" : "it is not allowed");
		return;
	}
	timer_set(r->timer, CONNECT_MS);
	r->lookup = lookup_begin(g->share, r->name, port, on_looked_up, r);
}

/* ---- the call that tells ---- */

static void on_event(void *arg, struct str json)
{
	struct egress *g = arg;
	auto_json struct json *event = NULL;
	if (json_parse(json, &event, NULL) < 0)
		return;
	struct str kind = json_str(json_find(event, "event"));
	struct str name = json_str(json_find(event, "name")),
		   address = json_str(json_find(event, "address"));
	int port = (int)json_int(json_find(event, "port"));
	if (str_is(kind, "connection")) {
		relay_begin(g, json_int(json_find(event, "id")), name.len ? name : address,
			name.len > 0, port);
	} else if (str_is(kind, "refused")) {
		auto_free char *n = str_dup(str_first(name, DNS_NAME_SIZE));
		auto_free char *a = str_dup(str_first(address, NETADDR_TEXT_MAX));
		auto_free char *why = str_dup(
			str_first(json_str(json_find(event, "reason")), 2 * DNS_NAME_SIZE));
		audit(g, "denied", n, a, port, why);
	}
}

/* As it should be when the sandbox ends; else nothing is let out any more, which is to be told. */
static void tell_end(struct egress *g, const char *why)
{
	g->call = NULL;
	if (!sandbox_is_usable(g->sandbox))
		return;
	log_warn("egress.ended", "id=%s error=%s", g->sandbox->id, why);
	audit_network_closed(g->sandbox, "nobody listens to it any more: nothing is let out");
}

static void on_end(void *arg, const struct error *err)
{
	tell_end(arg, err->text);
}

static void on_result(void *arg, struct str json)
{
	tell_end(arg, "it was to go on");
}

/*
 * From what was asked for, which is what a restarted server knows as well. False: it is not for us.
 */
static bool read_allow(const struct sandbox *s, struct allow *ret, struct buf *params)
{
	auto_json struct json *spec = NULL;
	struct jsonw w = JSONW(params);
	if (json_parse(str_from(s->spec_json), &spec, NULL) < 0 ||
		!str_is(json_str(json_find(spec, "network")), "proxy"))
		return false;
	const struct json *list = json_find(spec, "allow");
	jsonw_open(&w);
	jsonw_key(&w, "allow");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(list); i++) {
		struct str rule = json_str(json_at(list, i));
		if (allow_add(ret, rule, NULL) == 0)
			jsonw_str(&w, rule);
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
	return true;
}

void egress_open(struct sandbox *s)
{
	static const struct call_sink sink = { .event = on_event,
		.result = on_result,
		.error = on_end };
	auto_buf struct buf params = BUF_INIT(ALLOW_RULES_MAX * (DNS_NAME_SIZE + 16));
	struct allow allow = { 0 };
	if (s->egress || !read_allow(s, &allow, &params))
		return;
	struct egress *g = mem_new(struct egress);
	*g = (struct egress){ .sandbox = s, .allow = allow };
	g->share = lookup_share_new(s->runtime->lookups);
	list_init(&g->relays);
	s->egress = g;
	g->call = call_perform_quietly(s, &egress_action, buf_str(&params), &sink, g);
}

void egress_close(struct sandbox *s)
{
	struct egress *g = take_ptr(s->egress);
	if (!g)
		return;
	while (!list_is_empty(&g->relays))
		relay_free(list_get_first(&g->relays, struct relay, link));
	if (g->call)
		runtime_call_cancel(g->call);
	lookup_share_free(g->share);
	allow_fini(&g->allow);
	free(g);
}

int runtime_set_allow(struct sandbox *s, const struct field_strings *list, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(ALLOW_RULES_MAX * (6 * DNS_NAME_SIZE + 16)),
			    event = BUF_INIT(b.limit + 64);
	struct jsonw w = JSONW(&b);
	struct allow allow = { 0 };
	int r = 0;
	if (!s->egress)
		return error_set(err, ERROR_CONFLICT, "the network of sandbox %s is no proxy",
			s->id);
	jsonw_open_array(&w);
	for (size_t i = 0; i < list->n && r == 0; i++) {
		r = allow_add(&allow, list->items[i], err);
		jsonw_str(&w, list->items[i]);
	}
	jsonw_close_array(&w);
	allow_fini(&allow);
	if (r < 0 || b.is_full)
		return r < 0 ? r : error_set(err, ERROR_TOO_LARGE, "the rules are too long");
	buf_printf(&event, "{\"decision\":\"changed\",\"allow\":%s}", b.ptr);
	audit_add(s, "network", 0, &event);
	sandbox_set_spec_json(s, "allow", buf_str(&b));
	store_put(s->runtime->store, s);
	egress_close(s);
	egress_open(s);
	return 0;
}

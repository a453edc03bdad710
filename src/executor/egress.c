/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A connection that was accepted is `caught`: where it wants to go is what the
 * address stands for that it was begun to, and on the ports of the web what its first bytes say as
 * well; both have to agree. Then the server is told, and either takes it (egress_take) or has it
 * refused. Whatever is not taken in TAKE_MS is let go of.
 *
 *	accept ──▶ LISTENING (web ports: first bytes) ──▶ TOLD ──▶ taken
 *	                     └──────────▶ refused ◀─────────┘
 *
 * The listeners outlive the call of the server: while there is none (it is being started again),
 * connections wait to be accepted.
 */
#include "executor/egress.h"

#include "action/network_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "executor/egress_names.h"
#include "executor/executor.h"
#include "wire/allow.h"
#include "wire/http1.h"
#include "wire/tls_hello.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
	FIRST_MS = 10000, /* for a client to say whom it wants */
	TAKE_MS = 30000,
	CAUGHT_MAX = 256,
	BACKLOG = 128,
	SOCKET_BYTES = 128 * 1024, /* which the kernel doubles */
	PACKETS_PER_TURN = 32,
	ANSWER_TTL = 60, /* seconds */
	PORT_DNS = 53,
	PORT_HTTP = 80,
	PORT_HTTPS = 443,
	RECORD_HANDSHAKE = 22,
	REFUSED_KEPT = 16,
};

struct listener {
	struct egress *egress;
	int fd;
	uint16_t port;
	struct acceptor *acceptor;
};

struct egress {
	struct executor *executor;
	struct call *call; /* who is told; NULL: nobody now */
	struct allow allow;
	struct egress_names names;
	int dns_fd;
	struct watch *dns_watch;
	struct listener listeners[ALLOW_PORTS_MAX];
	size_t n_listeners;
	struct list caught; /* caught::link */
	int n_caught;
	int64_t next_id;
	char refused[REFUSED_KEPT][DNS_NAME_SIZE]; /* names whose refusal was told last */
	unsigned next_refused;
};

struct caught {
	struct list link;
	struct egress *egress;
	int64_t id; /* 0: nobody was told yet */
	int fd;
	struct watch *watch;
	struct timer *timer;
	struct buf first;
	size_t scanned; /* of a head of HTTP */
	uint32_t address;
	uint16_t port;
};

/* ---- what is told ---- */

static void put_target(struct jsonw *w, const char *name, uint32_t address, int port)
{
	char text[NETADDR_TEXT_MAX];
	struct netaddr a = netaddr_v4(address);
	netaddr_text(&a, text);
	if (name)
		jsonw_key_str(w, "name", str_from(name));
	else
		jsonw_key_str(w, "address", str_from(text));
	jsonw_key_int(w, "port", port);
}

static void tell_refused(struct egress *g, const char *name, uint32_t address, int port,
	const char *reason)
{
	auto_buf struct buf b = BUF_INIT(2048);
	struct jsonw w = JSONW(&b);
	if (!g->call || channel_is_full(g->call->channel))
		return;
	jsonw_open(&w);
	jsonw_key_str(&w, "event", STR("refused"));
	put_target(&w, name, address, port);
	jsonw_key_str(&w, "reason", str_from(reason));
	jsonw_close(&w);
	call_event(g->call, buf_str(&b));
}

/* A program that asks for the same name over and over is told of once. */
static bool is_news(struct egress *g, const char *name)
{
	for (int i = 0; i < REFUSED_KEPT; i++)
		if (strcmp(g->refused[i], name) == 0)
			return false;
	snprintf(g->refused[g->next_refused++ % REFUSED_KEPT], DNS_NAME_SIZE, "%s", name);
	return true;
}

/* ---- names ---- */

static void answer(struct egress *g, struct str packet, const struct sockaddr_in *from)
{
	auto_buf struct buf reply = BUF_INIT(2 * DNS_PACKET_MAX);
	struct dns_question q;
	struct error err;
	enum dns_code code = DNS_OK;
	uint32_t address = 0;
	if (dns_parse(packet, &q, &err) < 0)
		code = DNS_BAD_FORMAT;
	else if (!allow_has_name(&g->allow, q.name, 0))
		code = DNS_NO_SUCH_NAME;
	else if (!(address = egress_names_address(&g->names, q.name)))
		code = DNS_FAILED;
	dns_put_reply(packet, &q, code, address, ANSWER_TTL, &reply);
	sendto(g->dns_fd, reply.ptr, reply.len, MSG_DONTWAIT, (const struct sockaddr *)from,
		sizeof(*from));
	if (code == DNS_NO_SUCH_NAME && is_news(g, q.name))
		tell_refused(g, q.name, 0, 0, "the name is not allowed");
}

static void on_question(void *arg, int events)
{
	struct egress *g = arg;
	char packet[DNS_PACKET_MAX];
	for (int i = 0; i < PACKETS_PER_TURN; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(g->dns_fd, packet, sizeof(packet), MSG_DONTWAIT,
			(struct sockaddr *)&from, &len);
		if (n < 0)
			return;
		if (n >= 12) /* a header, to answer to */
			answer(g, str_from_len(packet, (size_t)n), &from);
	}
}

/* ---- connections ---- */

static void let_go(struct caught *c)
{
	list_remove(&c->link);
	c->egress->n_caught--;
	watch_free(c->watch);
	timer_free(c->timer);
	close_fd(c->fd);
	buf_fini(&c->first);
	free(c);
}

/* In the client's own terms where it has any, so that its user reads why. */
static void say_no(struct caught *c, const char *reason)
{
	static const char alert[] = { 21, 3, 3, 0, 2, 2, 49 }; /* fatal, access_denied */
	struct linger reset = { 1, 0 };
	char body[512], head[160];
	if (c->first.len && c->first.ptr[0] == RECORD_HANDSHAKE) {
		send(c->fd, alert, sizeof(alert), MSG_NOSIGNAL | MSG_DONTWAIT);
	} else if (c->port == PORT_HTTP) {
		int n = snprintf(body, sizeof(body),
			"cay: this connection is not let out of the sandbox: %s\n", reason);
		int m = snprintf(head, sizeof(head),
			"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n"
			"Content-Length: %d\r\n\r\n",
			n);
		send(c->fd, head, (size_t)m, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE);
		send(c->fd, body, (size_t)MIN(n, (int)sizeof(body) - 1),
			MSG_NOSIGNAL | MSG_DONTWAIT);
	} else {
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
}

static void refuse(struct caught *c, const char *name, const char *reason)
{
	tell_refused(c->egress, name, c->address, c->port, reason);
	say_no(c, reason);
	let_go(c);
}

static void on_late(void *arg)
{
	struct caught *c = arg;
	if (!c->id)
		tell_refused(c->egress, egress_names_find(&c->egress->names, c->address),
			c->address, c->port, "it did not say whom it wants");
	let_go(c);
}

static void tell(struct caught *c, const char *name)
{
	struct egress *g = c->egress;
	auto_buf struct buf b = BUF_INIT(1024);
	struct jsonw w = JSONW(&b);
	watch_free(take_ptr(c->watch));
	if (!g->call || channel_is_full(g->call->channel)) {
		let_go(c);
		return;
	}
	c->id = ++g->next_id;
	timer_set(c->timer, TAKE_MS);
	jsonw_open(&w);
	jsonw_key_str(&w, "event", STR("connection"));
	jsonw_key_int(&w, "id", c->id);
	put_target(&w, name, c->address, c->port);
	jsonw_close(&w);
	call_event(g->call, buf_str(&b));
}

/* `said`: whom the first bytes name; NULL: they are not of a kind that does. */
static void decide(struct caught *c, const char *said)
{
	const struct allow *allow = &c->egress->allow;
	const char *name = egress_names_find(&c->egress->names, c->address);
	struct netaddr address = netaddr_v4(c->address);
	char reason[2 * DNS_NAME_SIZE + 64];
	if (name && said && strcmp(name, said) != 0) {
		snprintf(reason, sizeof(reason), "it is begun to %s and asks for %s", name,
			*said ? said : "nobody by name");
		refuse(c, name, reason);
		return;
	}
	if (!name && said && allow_has_name(allow, said, c->port))
		name = said; /* it resolved the name itself; whom it wants is what counts */
	if (name ? allow_has_name(allow, name, c->port)
		 : allow_has_address(allow, &address, c->port))
		tell(c, name);
	else
		refuse(c, name,
			name ? "the name is not allowed on this port"
			     : "the address is not allowed");
}

/* "example.org:8080" without the port; "" for an address in brackets. */
static int read_host(struct str host, char *ret, struct error *err)
{
	ptrdiff_t colon = str_find_char(host, ':');
	ret[0] = '\0';
	if (str_starts(host, STR("[")))
		return 0;
	if (host.len == 0)
		return error_set(err, ERROR_INVALID, "it names no host");
	return dns_name(colon < 0 ? host : str_first(host, (size_t)colon), ret, err);
}

/* 1: *ret_name is whom it wants; 0: more is needed; -1: it cannot be told. */
static int read_first(struct caught *c, char *ret_name, struct error *err)
{
	struct http1_head head;
	if (c->first.ptr[0] == RECORD_HANDSHAKE)
		return tls_hello_name(buf_str(&c->first), ret_name, err);
	ssize_t n = http1_head_end(buf_str(&c->first), &c->scanned, err);
	if (n <= 0)
		return (int)n;
	if (http1_parse_request(str_first(buf_str(&c->first), (size_t)n), &head, err) < 0)
		return -1;
	return read_host(http1_find(&head, "Host"), ret_name, err) < 0 ? -1 : 1;
}

static void on_first(void *arg, int events)
{
	struct caught *c = arg;
	char name[DNS_NAME_SIZE], bytes[4096];
	struct error err;
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		let_go(c);
		return;
	}
	if (buf_add(&c->first, bytes, (size_t)n) < 0) {
		refuse(c, NULL, "it does not say whom it wants");
		return;
	}
	int r = read_first(c, name, &err);
	if (r < 0)
		refuse(c, egress_names_find(&c->egress->names, c->address), err.text);
	else if (r > 0)
		decide(c, name);
}

static void on_connection(void *arg, int fd)
{
	struct listener *l = arg;
	struct egress *g = l->egress;
	struct sockaddr_in to = { 0 };
	socklen_t len = sizeof(to);
	int on = 1;
	if (g->n_caught == CAUGHT_MAX || getsockname(fd, (struct sockaddr *)&to, &len) < 0) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	struct caught *c = mem_new(struct caught);
	*c = (struct caught){ .egress = g, .fd = fd, .port = l->port };
	c->address = ntohl(to.sin_addr.s_addr);
	buf_init(&c->first, EGRESS_FIRST_MAX);
	c->timer = timer_new(g->executor->loop, on_late, c);
	list_append(&g->caught, &c->link);
	g->n_caught++;
	if (l->port != PORT_HTTP && l->port != PORT_HTTPS) {
		decide(c, NULL);
		return;
	}
	timer_set(c->timer, FIRST_MS);
	c->watch = watch_new(g->executor->loop, fd, LOOP_READ, on_first, c);
}

static struct caught *find(struct egress *g, int64_t id)
{
	struct caught *c;
	if (g && id > 0)
		list_for_each(c, &g->caught, link)
			if (c->id == id)
				return c;
	return NULL;
}

int egress_claim(struct executor *e, int64_t id, int *ret_fd, struct buf *ret_first,
	struct error *err)
{
	struct caught *c = find(e->egress, id);
	if (!c)
		return error_set(err, ERROR_NOT_FOUND, "connection %lld is not there any more",
			(long long)id);
	buf_put(ret_first, buf_str(&c->first));
	*ret_fd = take_fd(&c->fd);
	let_go(c);
	return 0;
}

/* ---- sockets ---- */

/*
 * What the kernel keeps of a connection, either way, for as long as its other side takes nothing:
 * megabytes if it may choose, and it is counted for us and not for the sandbox. Through a loopback
 * so much is plenty.
 */
static void bound_buffers(int fd)
{
	int bytes = SOCKET_BYTES;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int bind_to(int kind, uint16_t port, int *ret_fd, struct error *err)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1;
	auto_fd int fd = socket(AF_INET, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_sys(err, errno, "egress: socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	bound_buffers(fd); /* of what will be accepted, too */
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0 ||
		(kind == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return error_sys(err, errno, "egress: listen on port %d", port);
	*ret_fd = take_fd(&fd);
	return 0;
}

static bool listens(const struct egress *g, uint16_t port)
{
	for (size_t i = 0; i < g->n_listeners; i++)
		if (g->listeners[i].port == port)
			return true;
	return false;
}

static int open_sockets(struct egress *g, struct error *err)
{
	if (g->dns_fd < 0 && bind_to(SOCK_DGRAM, PORT_DNS, &g->dns_fd, err) < 0)
		return -1;
	if (!g->dns_watch)
		g->dns_watch = watch_new(g->executor->loop, g->dns_fd, LOOP_READ, on_question, g);
	for (size_t i = 0; i < g->allow.n_ports; i++) {
		if (listens(g, g->allow.ports[i]) || g->n_listeners == ALLOW_PORTS_MAX)
			continue;
		struct listener *l = &g->listeners[g->n_listeners];
		*l = (struct listener){ .egress = g, .fd = -1, .port = g->allow.ports[i] };
		if (bind_to(SOCK_STREAM, l->port, &l->fd, err) < 0)
			return -1;
		l->acceptor = acceptor_new(g->executor->loop, l->fd, on_connection, l);
		acceptor_pause(l->acceptor, true);
		g->n_listeners++;
	}
	return 0;
}

static void set_accepting(struct egress *g, bool is_accepting)
{
	for (size_t i = 0; i < g->n_listeners; i++)
		acceptor_pause(g->listeners[i].acceptor, !is_accepting);
}

/* ---- the verb ---- */

static struct egress *egress_of(struct executor *e)
{
	if (e->egress)
		return e->egress;
	struct egress *g = mem_new(struct egress);
	g->executor = e;
	g->dns_fd = -1;
	list_init(&g->caught);
	e->egress = g;
	return g;
}

static int begin(struct egress *g, const struct egress_params *p, struct error *err)
{
	struct allow allow = { 0 };
	for (size_t i = 0; i < p->allow.n; i++) {
		if (allow_add(&allow, p->allow.items[i], err) < 0) {
			allow_fini(&allow);
			return -1;
		}
	}
	allow_fini(&g->allow);
	g->allow = allow;
	return open_sockets(g, err);
}

static void start(struct call *call, const void *params)
{
	struct egress *g = egress_of(call->executor);
	struct error err;
	if (g->call) {
		struct call *old = g->call;
		error_set(&err, ERROR_CANCELLED, "egress: somebody else is told now");
		g->call = NULL;
		call_fail(old, &err);
	}
	if (begin(g, params, &err) < 0) {
		call_fail(call, &err);
		return;
	}
	g->call = call;
	set_accepting(g, true);
	call_event(call, STR("{\"event\":\"ready\"}"));
}

static void control(struct call *call, const struct json *control)
{
	char reason[256];
	struct caught *c = find(call->executor->egress, json_int(json_find(control, "drop")));
	struct str text = str_first(json_str(json_find(control, "reason")), sizeof(reason) - 1);
	snprintf(reason, sizeof(reason), "%.*s", STR_ARG(text));
	if (!c)
		return;
	say_no(c, reason);
	let_go(c);
}

static void drop(struct call *call)
{
	struct egress *g = call->executor->egress;
	if (!g || g->call != call)
		return;
	g->call = NULL;
	set_accepting(g, false);
}

const struct verb egress_verb = {
	.action = &egress_action,
	.start = start,
	.control = control,
	.drop = drop,
};

void egress_free(struct executor *e)
{
	struct egress *g = take_ptr(e->egress);
	if (!g)
		return;
	while (!list_is_empty(&g->caught))
		let_go(list_get_first(&g->caught, struct caught, link));
	for (size_t i = 0; i < g->n_listeners; i++) {
		acceptor_free(g->listeners[i].acceptor);
		close_fd(g->listeners[i].fd);
	}
	watch_free(g->dns_watch);
	close_fd(g->dns_fd);
	egress_names_fini(&g->names);
	allow_fini(&g->allow);
	free(g);
}

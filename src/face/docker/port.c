/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports. A sandbox never takes a port of the host; where a client insists on one (its
 * program will connect to localhost:PORT), the server listens there while the container runs, and
 * carries each connection into the sandbox as a call of the action connect. The address is
 * 127.0.0.1 unless the request names another.
 */
#include "face/docker/state.h"

#include "action/network_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { PORTS_MAX = 64, RELAYS_MAX = 256, BACKLOG = 128, CHUNK = 64 * 1024, HIGH = 256 * 1024 };

struct port {
	struct list link; /* container::ports */
	struct container *container;
	int fd;
	struct acceptor *acceptor;
	int inside, outside;
	char address[INET_ADDRSTRLEN];
	struct list relays; /* relay::link */
	int n_relays;
};

/* One connection. */
struct relay {
	struct list link; /* port::relays */
	struct port *port;
	int fd;
	struct watch *watch;
	struct runtime_call *call;
	struct buf out; /* for the client */
	bool is_paused; /* the sandbox takes no more for now */
	bool is_eof;    /* the client sends no more */
	bool is_over;   /* the sandbox has said everything */
};

/* ---- one connection ---- */

static void relay_free(struct relay *l)
{
	if (l->call)
		runtime_call_cancel(l->call);
	watch_free(l->watch);
	close_fd(l->fd);
	list_remove(&l->link);
	l->port->n_relays--;
	buf_fini(&l->out);
	free(l);
}

static void relay_await(struct relay *l)
{
	bool reads = !l->is_paused && !l->is_eof && l->call;
	watch_set(l->watch, (reads ? LOOP_READ : 0) | (l->out.len ? LOOP_WRITE : 0));
}

/* False: it is gone. */
static bool relay_flush(struct relay *l)
{
	while (l->out.len) {
		ssize_t n = send(l->fd, l->out.ptr, l->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			relay_free(l);
			return false;
		}
		buf_drop_front(&l->out, (size_t)n);
	}
	if (l->is_over && !l->out.len) {
		relay_free(l);
		return false;
	}
	if (l->call && l->out.len < HIGH)
		runtime_call_pause(l->call, false);
	return true;
}

static void relay_receive(struct relay *l)
{
	static char bytes[CHUNK];
	ssize_t n = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		runtime_call_send(l->call, 0, str_from_len(bytes, (size_t)n));
		l->is_paused = runtime_call_is_full(l->call);
		return;
	}
	l->is_eof = true;
	runtime_call_eof(l->call, 0);
}

static void relay_ready(void *arg, int events)
{
	struct relay *l = arg;
	if (events & LOOP_READ && l->call && !l->is_eof)
		relay_receive(l);
	if (relay_flush(l))
		relay_await(l);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct relay *l = arg;
	buf_put(&l->out, bytes);
	if (!relay_flush(l))
		return;
	if (l->out.len >= HIGH)
		runtime_call_pause(l->call, true);
	relay_await(l);
}

static void on_event(void *arg, struct str text)
{
	struct relay *l = arg;
	if (str_find(text, STR("\"eof\"")) >= 0 && !l->out.len)
		shutdown(l->fd, SHUT_WR);
}

static void on_drain(void *arg)
{
	struct relay *l = arg;
	l->is_paused = false;
	relay_await(l);
}

static void over(struct relay *l)
{
	l->call = NULL;
	l->is_over = true;
	if (relay_flush(l))
		relay_await(l);
}

static void on_result(void *arg, struct str text)
{
	over(arg);
}

static void on_error(void *arg, const struct error *err)
{
	over(arg);
}

static void relay_new(struct port *p, int fd, struct sandbox *s)
{
	static const struct call_sink sink = { on_data, on_event, on_drain, on_result, on_error };
	struct relay *l = mem_new(struct relay);
	auto_buf struct buf params = BUF_INIT(64);
	l->port = p;
	l->fd = fd;
	buf_init(&l->out, 32 * 1024 * 1024);
	list_append(&p->relays, &l->link);
	p->n_relays++;
	l->watch = watch_new(p->container->docker->loop, fd, LOOP_READ, relay_ready, l);
	buf_printf(&params, "{\"port\":%d}", p->inside);
	l->call = runtime_perform(s, &connect_action, buf_str(&params), &sink, l);
}

/* ---- one port ---- */

static void on_connection(void *arg, int fd)
{
	struct port *p = arg;
	struct sandbox *s = container_sandbox(p->container);
	if (s && p->n_relays < RELAYS_MAX && s->state != SANDBOX_PAUSED)
		relay_new(p, fd, s);
	else
		close(fd);
}

static void port_free(struct port *p)
{
	while (!list_is_empty(&p->relays))
		relay_free(list_get_first(&p->relays, struct relay, link));
	acceptor_free(p->acceptor);
	close_fd(p->fd);
	list_remove(&p->link);
	free(p);
}

static int port_listen(struct port *p, struct error *err)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)p->outside) };
	socklen_t len = sizeof(a);
	int on = 1;
	if (inet_pton(AF_INET, p->address, &a.sin_addr) != 1)
		return error_set(err, ERROR_INVALID, "publish a port: '%s' is no IPv4 address",
			p->address);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0 || setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return error_sys(err, errno, "publish a port");
	if (bind(p->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(p->fd, BACKLOG) < 0) {
		int sys = errno;
		return error_set(err, sys == EADDRINUSE ? ERROR_INTERNAL : ERROR_INVALID,
			"Bind for %s:%d failed: %s", p->address, p->outside,
			sys == EADDRINUSE ? "port is already allocated" : strerror(sys));
	}
	if (getsockname(p->fd, (struct sockaddr *)&a, &len) < 0)
		return error_sys(err, errno, "publish a port");
	p->outside = ntohs(a.sin_port);
	p->acceptor = acceptor_new(p->container->docker->loop, p->fd, on_connection, p);
	return 0;
}

/* key: "8000/tcp" */
static int port_open(struct container *c, struct str key, const struct json *binding,
	struct error *err)
{
	struct str rest = key, number = STR_NONE,
		   host_port = json_str(json_find(binding, "HostPort"));
	struct str address = json_str(json_find(binding, "HostIp"));
	int64_t inside = 0, outside = 0;
	str_split(&rest, '/', &number);
	if (rest.len && !str_is(rest, "tcp"))
		return error_set(err, ERROR_INVALID,
			"publish a port: %.*s is not offered, only tcp", STR_ARG(key));
	if (num_parse_i64(number, 1, 65535, &inside, err) < 0 ||
		(host_port.len && num_parse_i64(host_port, 0, 65535, &outside, err) < 0))
		return error_wrap(err, "publish a port");
	struct port *p = mem_new(struct port);
	p->container = c;
	p->fd = -1;
	p->inside = (int)inside;
	p->outside = (int)outside;
	list_init(&p->relays);
	list_append(&c->ports, &p->link);
	snprintf(p->address, sizeof(p->address), "%.*s",
		STR_ARG(address.len && !str_is(address, "::") ? address : STR("127.0.0.1")));
	return port_listen(p, err);
}

static int open_bindings(struct container *c, struct error *err)
{
	const struct json *list, *bindings = json_find(c->host, "PortBindings");
	struct str key;
	void *it = NULL;
	if (json_len(bindings) > PORTS_MAX)
		return error_set(err, ERROR_INVALID, "more than %d published ports", PORTS_MAX);
	while ((list = json_next(bindings, &it, &key)))
		for (size_t i = 0; i < json_len(list); i++)
			if (port_open(c, key, json_at(list, i), err) < 0)
				return -1;
	return 0;
}

static int open_exposed(struct container *c, struct error *err)
{
	const struct json *exposed = json_find(c->config, "ExposedPorts");
	struct str key;
	void *it = NULL;
	if (!json_bool(json_find(c->host, "PublishAllPorts")))
		return 0;
	while (json_next(exposed, &it, &key))
		if (port_open(c, key, NULL, err) < 0)
			return -1;
	return 0;
}

int ports_open(struct container *c, struct error *err)
{
	struct str mode = json_str(json_find(c->host, "NetworkMode"));
	if (str_is(mode, "host") || str_is(mode, "none") || !list_is_empty(&c->ports))
		return 0; /* on the host's own network there is nothing to carry */
	if (open_bindings(c, err) == 0 && open_exposed(c, err) == 0)
		return 0;
	ports_close(c);
	return -1;
}

void ports_close(struct container *c)
{
	while (!list_is_empty(&c->ports))
		port_free(list_get_first(&c->ports, struct port, link));
}

static struct port *port_at(const struct container *c, int inside)
{
	struct port *p;
	list_for_each(p, &c->ports, link)
		if (p->inside == inside)
			return p;
	return NULL;
}

static void put_bindings(const struct container *c, int inside, struct jsonw *w)
{
	struct port *p;
	jsonw_open_array(w);
	list_for_each(p, &c->ports, link) {
		if (p->inside != inside)
			continue;
		auto_free char *number = mem_printf("%d", p->outside);
		jsonw_open(w);
		jsonw_key_str(w, "HostIp", str_from(p->address));
		jsonw_key_str(w, "HostPort", str_from(number));
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

void ports_put(const struct container *c, struct jsonw *w)
{
	struct port *p;
	jsonw_open(w);
	list_for_each(p, &c->ports, link) {
		if (port_at(c, p->inside) != p)
			continue;
		auto_free char *key = mem_printf("%d/tcp", p->inside);
		jsonw_key_dyn(w, str_from(key));
		put_bindings(c, p->inside, w);
	}
	jsonw_close(w);
}

void ports_put_list(const struct container *c, struct jsonw *w)
{
	struct port *p;
	jsonw_open_array(w);
	list_for_each(p, &c->ports, link) {
		jsonw_open(w);
		jsonw_key_str(w, "IP", str_from(p->address));
		jsonw_key_int(w, "PrivatePort", p->inside);
		jsonw_key_int(w, "PublicPort", p->outside);
		jsonw_key_str(w, "Type", STR("tcp"));
		jsonw_close(w);
	}
	jsonw_close_array(w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The supervisor has a socket for each such sandbox on which the kernel says
 * of every packet that begins something what became of it. A duplicate is ours to read; the next
 * server gets one as well, with what was not read yet. What is on it is a frame of the kernel's
 * around a packet of the sandbox's. Of pasta there is a pidfd: a sandbox that lost it is told of as
 * one whose network is closed, which it is.
 */
#include "runtime/decisions.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "runtime/internal.h"
#include "wire/nflog.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { READS_PER_TURN = 16, DATAGRAM_MAX = 8192 };

struct decisions {
	struct sandbox *sandbox;
	int fd;     /* -1: it was asked for */
	int end_fd; /* a pidfd; -1: the kernel needs nobody for its network */
	struct watch *watch, *end_watch;
};

static const char *protocol_name(int protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	default:
		return NULL;
	}
}

static void audit_packet(struct decisions *d, const struct nflog_packet *p)
{
	auto_buf struct buf b = BUF_INIT(1024);
	struct jsonw w = JSONW(&b);
	char address[NETADDR_TEXT_MAX];
	bool is_allowed = str_is(p->prefix, "allowed");
	const char *protocol = protocol_name(p->protocol);
	netaddr_text(&p->to, address);
	jsonw_open(&w);
	jsonw_key_str(&w, "decision", is_allowed ? STR("allowed") : STR("denied"));
	jsonw_key_str(&w, "address", str_from(address));
	if (p->port)
		jsonw_key_int(&w, "port", p->port);
	if (protocol)
		jsonw_key_str(&w, "protocol", str_from(protocol));
	else
		jsonw_key_int(&w, "protocol", p->protocol);
	if (!is_allowed)
		jsonw_key_str(&w, "reason", STR("it is not allowed"));
	jsonw_close(&w);
	audit_network(d->sandbox, &b);
}

static void on_ready(void *arg, int events)
{
	static char bytes[DATAGRAM_MAX]; /* one thread */
	struct decisions *d = arg;
	struct nflog_packet p;
	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = recv(d->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS) {
			audit_network_lost(d->sandbox); /* we were too slow */
			continue;
		}
		if (n <= 0)
			return;
		struct str rest = str_from_len(bytes, (size_t)n);
		while (nflog_next(&rest, &p))
			audit_packet(d, &p);
	}
}

static void on_end(void *arg, int events)
{
	struct decisions *d = arg;
	watch_free(take_ptr(d->end_watch));
	d->end_fd = close_fd(d->end_fd);
	audit_network_closed(d->sandbox, "pasta has ended: nothing leads out any more");
}

/* The socket and the pidfd of a reply are duplicated. */
static void watch_both(struct decisions *d, const struct backend_reply *reply)
{
	struct loop *loop = d->sandbox->runtime->loop;
	d->fd = fcntl(reply->fd, F_DUPFD_CLOEXEC, 3);
	d->end_fd = reply->end_fd < 0 ? -1 : fcntl(reply->end_fd, F_DUPFD_CLOEXEC, 3);
	if (d->fd >= 0)
		d->watch = watch_new(loop, d->fd, LOOP_READ, on_ready, d);
	if (d->end_fd >= 0)
		d->end_watch = watch_new(loop, d->end_fd, LOOP_READ, on_end, d);
}

static void on_socket(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	struct decisions *d = s ? s->decisions : NULL;
	step_free(step);
	if (!d || d->fd >= 0)
		return;
	if (reply->error.code == ERROR_OK)
		watch_both(d, reply);
	if (d->fd < 0)
		log_warn("decisions.none", "id=%s error=%s", s->id,
			reply->error.code == ERROR_OK ? strerror(errno) : reply->error.text);
}

static bool is_wanted(const struct sandbox *s)
{
	auto_json struct json *spec = NULL;
	if (json_parse(str_from(s->spec_json), &spec, NULL) < 0)
		return false;
	struct str network = json_str(json_find(spec, "network"));
	return str_is(network, "bridge") || str_is(network, "pasta");
}

void decisions_open(struct sandbox *s)
{
	struct backend *b = s->runtime->backend;
	if (s->decisions || !b->ops->decisions || !is_wanted(s))
		return;
	s->decisions = mem_new(struct decisions);
	*s->decisions = (struct decisions){ .sandbox = s, .fd = -1, .end_fd = -1 };
	b->ops->decisions(b, s->backend_id, on_socket, step_new(s->runtime, s, NULL));
}

void decisions_close(struct sandbox *s)
{
	struct decisions *d = take_ptr(s->decisions);
	if (!d)
		return;
	watch_free(d->watch);
	watch_free(d->end_watch);
	close_fd(d->fd);
	close_fd(d->end_fd);
	free(d);
}

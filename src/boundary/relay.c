/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each side has a descriptor, TLS unless the connection is in the clear, and
 * bytes that wait to be sent. What comes from one side is decrypted, goes through the swap, is
 * encrypted for the other side and waits there; while too much waits, nothing more is read from
 * where it comes from.
 *
 *	inside ──▶ tls (we are the server) ──▶ swap_request ──▶ tls (we are the client) ──▶ outside
 *	inside ◀── tls                     ◀── swap_reply   ◀── tls                     ◀── outside
 *
 * The server has to prove its name before a byte of a request leaves: what is said before waits in
 * its TLS. What is wrong is told to the program as a reply of HTTP, and nothing is taken from the
 * server any more then. The relay ends when all is said, or AFTER_MS later.
 */
#include "boundary/relay.h"

#include "base/auto.h"
#include "base/bug.h"

#include <sys/socket.h>

enum {
	READ_BYTES = 32 * 1024,
	OUT_HIGH = 64 * 1024, /* bytes that wait for one side, at which the other is not read */
	OUT_MAX = 16 * OUT_HIGH,
	PLAIN_MAX = 256 * 1024,
	SHAKE_MS = 20000, /* for both sides to agree */
	HELD_MS = 50,     /* for the rest of what may be a secret */
	AFTER_MS = 10000,
	LINGER_MS = 60000, /* for the server to end what the program has ended */
};

struct side {
	int fd;
	struct watch *watch;
	struct tls *tls; /* NULL: in the clear */
	struct buf out;  /* the first `sent` bytes are gone */
	size_t sent;
	bool in_ended, wants_shut, is_shut;
};

struct relay {
	struct list link;
	struct relay_owner *owner;
	char name[256];
	int port;
	struct swap swap;
	uint32_t told; /* bits of swap.used */
	struct side inside, outside;
	struct timer *timer;
	bool is_over; /* nothing is taken from anybody any more */
	bool is_open; /* both sides agreed */
};

static void side_fini(struct side *s)
{
	watch_free(s->watch);
	close_fd(s->fd);
	tls_free(s->tls);
	buf_fini(&s->out);
}

static void relay_free(struct relay *r)
{
	list_remove(&r->link);
	r->owner->n_relays--;
	timer_free(r->timer);
	side_fini(&r->inside);
	side_fini(&r->outside);
	swap_fini(&r->swap);
	free(r);
}

/* ---- sending ---- */

static size_t waiting(const struct side *s)
{
	return s->out.len - s->sent + (s->tls ? tls_early(s->tls) : 0);
}

/* False: nobody takes it. */
static bool flush(struct side *s)
{
	while (s->sent < s->out.len) {
		ssize_t n = send(s->fd, s->out.ptr + s->sent, s->out.len - s->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			break;
		s->sent += (size_t)n;
	}
	if (s->sent == s->out.len) {
		buf_reset(&s->out);
		s->sent = 0;
	} else if (s->sent > OUT_HIGH) {
		buf_drop_front(&s->out, s->sent);
		s->sent = 0;
	}
	if (s->wants_shut && !s->is_shut && waiting(s) == 0) {
		shutdown(s->fd, SHUT_WR);
		s->is_shut = true;
	}
	return true;
}

/* What is to be said on a side, in its own way. */
static int say(struct side *s, struct str plain, struct error *err)
{
	if (s->tls)
		return tls_write(s->tls, plain, &s->out, err);
	return buf_put(&s->out, plain) < 0
		? error_set(err, ERROR_TOO_LARGE, "more at once than is taken")
		: 0;
}

static void end_saying(struct side *s)
{
	if (s->wants_shut)
		return;
	s->wants_shut = true;
	if (s->tls)
		tls_shut(s->tls, &s->out);
}

/* ---- when something is wrong ---- */

static int status_of(enum error_code code)
{
	switch (code) {
	case ERROR_INVALID:
	case ERROR_UNSUPPORTED:
	case ERROR_LIMIT:
	case ERROR_TOO_LARGE:
		return 400;
	case ERROR_FORBIDDEN:
		return 403;
	default:
		return 502;
	}
}

/* The program is told, if it can still be told; the server hears no more. */
static void refuse(struct relay *r, const struct error *err)
{
	char text[400], head[200];
	struct error ignored;
	if (r->is_over)
		return;
	r->is_over = true;
	r->owner->refused(r->owner, r->name, r->port, err->text);
	watch_free(take_ptr(r->outside.watch));
	r->outside.fd = close_fd(r->outside.fd);
	int n = snprintf(text, sizeof(text),
		"cay: this request is not let out of the sandbox: %s\n", err->text);
	snprintf(head, sizeof(head),
		"HTTP/1.1 %d Refused\r\nContent-Type: text/plain\r\nConnection: close\r\n"
		"Content-Length: %d\r\n\r\n",
		status_of(err->code), n);
	say(&r->inside, str_from(head), &ignored);
	say(&r->inside, str_from(text), &ignored);
	if (!r->inside.tls || tls_is_open(r->inside.tls))
		end_saying(&r->inside);
	timer_set(r->timer, AFTER_MS);
}

/* ---- both ways ---- */

static void tell_used(struct relay *r)
{
	uint32_t news = r->swap.used & ~r->told;
	r->told |= news;
	if (news)
		r->owner->used(r->owner, r->name, r->port, news);
}

static int request(struct relay *r, struct str plain, struct error *err)
{
	struct buf out = BUF_INIT(PLAIN_MAX + SWAP_HEAD_OUT_MAX);
	int result = 0;
	while (result == 0 && plain.len) {
		struct str piece = str_first(plain, SWAP_IN_MAX);
		result = swap_request(&r->swap, piece, &out, err);
		plain = str_skip(plain, piece.len);
	}
	if (result == 0)
		result = say(&r->outside, buf_str(&out), err);
	if (out.cap)
		explicit_bzero(out.ptr, out.len);
	buf_fini(&out);
	tell_used(r);
	return result;
}

static int reply(struct relay *r, struct str plain, bool is_end, struct error *err)
{
	auto_buf struct buf out = BUF_INIT(PLAIN_MAX + SWAP_VALUE_MAX);
	bool was_upgrading = r->swap.state == SWAP_UPGRADING;
	while (plain.len) {
		struct str piece = str_first(plain, SWAP_IN_MAX);
		swap_reply(&r->swap, piece, &out);
		plain = str_skip(plain, piece.len);
	}
	if (is_end)
		swap_reply_end(&r->swap, &out);
	if (was_upgrading && r->swap.state == SWAP_TUNNEL && request(r, STR(""), err) < 0)
		return -1;
	if (r->swap.reply.len && !r->is_over)
		timer_set(r->timer, HELD_MS);
	else if (is_end && r->inside.in_ended && !r->is_over)
		timer_set(r->timer, LINGER_MS); /* it was used for what was held */
	return say(&r->inside, buf_str(&out), err);
}

/* What came over the wire of one side, as the other side shall have it. */
static int pass(struct relay *r, struct side *from, struct str bytes, struct error *err)
{
	auto_buf struct buf plain = BUF_INIT(PLAIN_MAX);
	if (from->tls && tls_feed(from->tls, bytes, &plain, &from->out, err) < 0)
		return -1;
	struct str text = from->tls ? buf_str(&plain) : bytes;
	if (from->tls && tls_has_ended(from->tls))
		from->in_ended = true;
	if (r->is_over)
		return 0; /* it was only the handshake, to be able to say why */
	return from == &r->inside ? request(r, text, err) : reply(r, text, from->in_ended, err);
}

static int take(struct relay *r, struct side *from, struct error *err)
{
	static char bytes[READ_BYTES]; /* one thread */
	ssize_t n = recv(from->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return error_sys(err, errno, "%s", r->name);
	if (n == 0) {
		from->in_ended = true;
		if (from == &r->inside && !r->is_over && r->is_open)
			timer_set(r->timer, LINGER_MS);
		return r->is_over || from == &r->inside ? 0 : reply(r, STR_NONE, true, err);
	}
	return pass(r, from, str_from_len(bytes, (size_t)n), err);
}

static void on_ready(struct relay *r, struct side *side, int events);

static void on_inside(void *arg, int events)
{
	struct relay *r = arg;
	on_ready(r, &r->inside, events);
}

static void on_outside(void *arg, int events)
{
	struct relay *r = arg;
	on_ready(r, &r->outside, events);
}

static void await(struct side *s, bool reads)
{
	if (s->watch)
		watch_set(s->watch,
			(reads && !s->in_ended ? LOOP_READ : 0) |
				(s->sent < s->out.len ? LOOP_WRITE : 0));
}

static bool agreed(const struct side *s)
{
	return !s->tls || tls_is_open(s->tls);
}

/* After anything that happened: the end, or on with it. */
static void settle(struct relay *r)
{
	struct side *in = &r->inside, *out = &r->outside;
	if (!r->is_open && agreed(in) && agreed(out)) {
		r->is_open = true;
		if (!r->is_over)
			timer_clear(r->timer);
	}
	if (r->is_over && agreed(in))
		end_saying(in);
	if (in->in_ended && out->fd >= 0 && agreed(out))
		end_saying(out); /* after what it was to hear */
	if (out->in_ended && agreed(in))
		end_saying(in);
	bool is_said = flush(in);
	if (out->fd >= 0 && !flush(out) && !r->is_over)
		out->in_ended = true; /* what it has said before has been read */
	if (!is_said || in->is_shut || (in->in_ended && r->is_over)) {
		relay_free(r);
		return;
	}
	await(in, waiting(out) < OUT_HIGH);
	await(out, waiting(in) < OUT_HIGH);
}

static void on_ready(struct relay *r, struct side *side, int events)
{
	struct error err;
	if ((events & LOOP_READ) && take(r, side, &err) < 0) {
		if (r->is_over || side->fd < 0 || err.sys) {
			relay_free(r);
			return;
		}
		refuse(r, &err);
	}
	settle(r);
}

static void on_time(void *arg)
{
	struct relay *r = arg;
	struct error err;
	if (r->is_over || (r->inside.in_ended && !r->swap.reply.len)) {
		relay_free(r);
		return;
	}
	if (r->is_open) { /* what looked like a secret is none */
		if (reply(r, STR_NONE, true, &err) < 0)
			refuse(r, &err);
	} else {
		error_set(&err, ERROR_TIMEOUT, "%s did not agree on TLS in time", r->name);
		refuse(r, &err);
	}
	settle(r);
}

static int begin(struct relay *r, bool is_plain, struct error *err)
{
	auto_buf struct buf none = BUF_INIT(1);
	if (is_plain)
		return 0;
	if (tls_accept(r->owner->ca, r->name, &r->inside.tls, err) < 0 ||
		tls_connect(r->owner->trust, r->name, &r->outside.tls, err) < 0)
		return -1;
	return tls_feed(r->outside.tls, STR_NONE, &none, &r->outside.out, err);
}

static void side_init(struct relay *r, struct side *s, int fd, watch_fn *fn)
{
	s->fd = fd;
	buf_init(&s->out, OUT_MAX);
	s->watch = watch_new(r->owner->loop, fd, LOOP_READ, fn, r);
}

void relay_start(struct relay_owner *o, const char *name, int port, bool is_plain, uint32_t allowed,
	int inside_fd, int outside_fd)
{
	struct error err;
	struct relay *r = mem_new(struct relay);
	r->owner = o;
	r->port = port;
	snprintf(r->name, sizeof(r->name), "%s", name);
	swap_init(&r->swap, r->name, port, o->rules, o->n_rules, allowed);
	r->timer = timer_new(o->loop, on_time, r);
	timer_set(r->timer, SHAKE_MS);
	side_init(r, &r->inside, inside_fd, on_inside);
	side_init(r, &r->outside, outside_fd, on_outside);
	list_append(&o->relays, &r->link);
	o->n_relays++;
	if (begin(r, is_plain, &err) < 0)
		refuse(r, &err);
	settle(r);
}

void relay_end_all(struct relay_owner *o)
{
	while (!list_is_empty(&o->relays))
		relay_free(list_get_first(&o->relays, struct relay, link));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "boundary/swap.h"

#include "base/auto.h"
#include "wire/base64.h"

enum { STATUS_BYTES = 12 /* "HTTP/1.1 101" */ };

void swap_init(struct swap *s, const char *host, int port, const struct swap_rule *rules,
	size_t n_rules, uint32_t allowed)
{
	*s = (struct swap){ .host = host,
		.port = port,
		.rules = rules,
		.n_rules = n_rules,
		.allowed = allowed };
	buf_init(&s->head, SWAP_HEAD_MAX);
	buf_init(&s->reply, SWAP_IN_MAX + SWAP_VALUE_MAX);
}

/* There are secrets in these. */
static void wipe(struct buf *b)
{
	explicit_bzero(b->ptr, b->cap ? b->len : 0);
	buf_fini(b);
}

void swap_fini(struct swap *s)
{
	wipe(&s->head);
	wipe(&s->reply);
}

/* ---- requests ---- */

static bool put_replaced(struct swap *s, size_t i, struct str text, struct buf *out)
{
	const struct swap_rule *r = &s->rules[i];
	ptrdiff_t at;
	bool is_found = false;
	while ((at = str_find(text, r->placeholder)) >= 0) {
		buf_put(out, str_first(text, (size_t)at));
		buf_put(out, r->value);
		text = str_skip(text, (size_t)at + r->placeholder.len);
		is_found = true;
		s->used |= 1U << i;
	}
	buf_put(out, text);
	return is_found;
}

/* "Basic dXNlcjpwYXNz": the placeholder is a password, as git has it. */
static bool put_basic(struct swap *s, size_t i, struct str value, struct buf *out)
{
	static const struct str basic = { "Basic ", 6 };
	auto_buf struct buf plain = BUF_INIT(SWAP_HEAD_MAX);
	auto_buf struct buf changed = BUF_INIT(SWAP_HEAD_OUT_MAX);
	if (!str_eq_nocase(str_first(value, basic.len), basic) ||
		base64_decode(str_skip(value, basic.len), &plain, NULL) < 0)
		return false;
	bool is_found = put_replaced(s, i, buf_str(&plain), &changed);
	if (is_found) {
		buf_put(out, basic);
		base64_encode(buf_str(&changed), out);
		out->is_full |= changed.is_full;
	}
	explicit_bzero(changed.ptr, changed.cap ? changed.len : 0);
	return is_found;
}

static void put_value(struct swap *s, const struct http1_header *h, struct buf *out)
{
	auto_buf struct buf value = BUF_INIT(SWAP_HEAD_OUT_MAX), next = BUF_INIT(SWAP_HEAD_OUT_MAX);
	buf_put(&value, h->value);
	for (size_t i = 0; i < s->n_rules; i++) {
		if (!(s->allowed & 1U << i) || !str_eq_nocase(h->name, s->rules[i].header))
			continue;
		buf_reset(&next);
		if (!put_basic(s, i, buf_str(&value), &next))
			put_replaced(s, i, buf_str(&value), &next);
		struct buf swapped = value;
		value = next;
		next = swapped;
	}
	buf_put(out, buf_str(&value));
	out->is_full |= value.is_full;
	explicit_bzero(value.ptr, value.cap ? value.len : 0);
	explicit_bzero(next.ptr, next.cap ? next.len : 0);
}

/* What comes back shall be readable here; another protocol is not what was asked for. */
static bool is_left_out(const struct swap *s, const struct http1_header *h)
{
	return str_eq_nocase(h->name, STR("Accept-Encoding")) ||
		(s->state != SWAP_UPGRADING &&
			(str_eq_nocase(h->name, STR("Upgrade")) ||
				str_eq_nocase(h->name, STR("HTTP2-Settings"))));
}

static int put_head(struct swap *s, struct str raw, const struct http1_head *head, struct buf *out,
	struct error *err)
{
	auto_buf struct buf b = BUF_INIT(SWAP_HEAD_OUT_MAX);
	struct str line;
	str_split(&raw, '\n', &line);
	buf_put(&b, line);
	buf_puts(&b, "\n");
	for (size_t i = 0; i < head->n_headers; i++) {
		const struct http1_header *h = &head->headers[i];
		if (is_left_out(s, h))
			continue;
		buf_put(&b, h->name);
		buf_puts(&b, ": ");
		put_value(s, h, &b);
		buf_puts(&b, "\r\n");
	}
	buf_puts(&b, "Accept-Encoding: identity\r\n\r\n");
	int r = b.is_full || buf_put(out, buf_str(&b)) < 0
		? error_set(err, ERROR_TOO_LARGE, "a request head of over %d bytes",
			  SWAP_HEAD_OUT_MAX)
		: 0;
	explicit_bzero(b.ptr, b.cap ? b.len : 0);
	return r;
}

/* The one host that it is for, and no other; with its port, or without. */
static int check_host(const struct swap *s, const struct http1_head *head, struct error *err)
{
	struct str host = http1_find(head, "Host");
	char with_port[512];
	int n = 0;
	for (size_t i = 0; i < head->n_headers; i++)
		n += str_eq_nocase(head->headers[i].name, STR("Host"));
	snprintf(with_port, sizeof(with_port), "%s:%d", s->host, s->port);
	if (n != 1 ||
		!(str_eq_nocase(host, str_from(s->host)) ||
			str_eq_nocase(host, str_from(with_port))))
		return error_set(err, ERROR_FORBIDDEN, "the request is for %.*s; this is %s",
			STR_ARG(n == 1 && host.len ? str_first(host, 80) : STR("no one host")),
			s->host);
	return 0;
}

static bool asks_for_websocket(const struct http1_head *head)
{
	return str_eq_nocase(http1_find(head, "Upgrade"), STR("websocket")) &&
		http1_has_token(http1_find(head, "Connection"), "upgrade");
}

static int take_head(struct swap *s, struct str raw, struct buf *out, struct error *err)
{
	struct http1_head head;
	if (http1_parse_request(raw, &head, err) < 0 || check_host(s, &head, err) < 0)
		return -1;
	bool upgrades = asks_for_websocket(&head);
	bool has_body = head.is_chunked || head.content_length > 0;
	if (str_is(head.method, "CONNECT") || (upgrades && (has_body || s->n_requests > 0)))
		return error_set(err, ERROR_INVALID,
			"a change of protocol, and not with the first request");
	s->n_requests++;
	s->left = head.content_length;
	s->chunks = (struct http1_chunks){ 0 };
	s->state = upgrades       ? SWAP_UPGRADING
		: head.is_chunked ? SWAP_CHUNKS
		: s->left > 0     ? SWAP_BODY
				  : SWAP_HEAD;
	return put_head(s, raw, &head, out, err);
}

static int too_long(struct error *err)
{
	return error_set(err, ERROR_TOO_LARGE, "a request head of over %d bytes", SWAP_HEAD_MAX);
}

/* How many bytes of `in` belong to the head that is being read; -1: it is none. */
static ssize_t head_step(struct swap *s, struct str in, struct buf *out, struct error *err)
{
	size_t before = s->head.len;
	if (buf_put(&s->head, str_first(in, SWAP_HEAD_MAX - before)) < 0)
		return too_long(err);
	ssize_t n = http1_head_end(buf_str(&s->head), &s->scanned, err);
	if (n < 0)
		return -1;
	if (n == 0)
		return s->head.len == SWAP_HEAD_MAX ? too_long(err) : (ssize_t)in.len;
	int r = take_head(s, str_first(buf_str(&s->head), (size_t)n), out, err);
	buf_reset(&s->head);
	s->scanned = 0;
	return r < 0 ? -1 : n - (ssize_t)before;
}

/* A chunked body goes on as it came: it was read only to know where it ends. */
static ssize_t chunks_step(struct swap *s, struct str in, struct buf *out, struct error *err)
{
	struct str piece;
	ssize_t n = http1_dechunk(&s->chunks, in, &piece, err);
	if (n > 0)
		buf_put(out, str_first(in, (size_t)n));
	if (s->chunks.state == CHUNK_DONE)
		s->state = SWAP_HEAD;
	return n;
}

static ssize_t body_step(struct swap *s, struct str in, struct buf *out)
{
	size_t n = s->left < (int64_t)in.len ? (size_t)s->left : in.len;
	buf_put(out, str_first(in, n));
	s->left -= (int64_t)n;
	if (s->left == 0)
		s->state = SWAP_HEAD;
	return (ssize_t)n;
}

static ssize_t early_step(struct swap *s, struct str in, struct error *err)
{
	return buf_put(&s->head, in) < 0
		? error_set(err, ERROR_TOO_LARGE, "too much before the server agreed")
		: (ssize_t)in.len;
}

static ssize_t step(struct swap *s, struct str in, struct buf *out, struct error *err)
{
	switch (s->state) {
	case SWAP_HEAD:
		return head_step(s, in, out, err);
	case SWAP_BODY:
		return body_step(s, in, out);
	case SWAP_CHUNKS:
		return chunks_step(s, in, out, err);
	case SWAP_UPGRADING:
		return early_step(s, in, err);
	case SWAP_TUNNEL:
		buf_put(out, in);
		return (ssize_t)in.len;
	default:
		return (ssize_t)in.len; /* SHUT: nobody listens */
	}
}

int swap_request(struct swap *s, struct str in, struct buf *out, struct error *err)
{
	if (s->state == SWAP_TUNNEL && s->head.len) {
		buf_put(out, buf_str(&s->head));
		buf_reset(&s->head);
	}
	while (in.len) {
		ssize_t n = step(s, in, out, err);
		if (n < 0)
			return -1;
		in = str_skip(in, (size_t)n);
	}
	return out->is_full ? error_set(err, ERROR_TOO_LARGE, "more at once than the server takes")
			    : 0;
}

/* ---- replies ---- */

/* How many bytes at the end may be the beginning of a secret. */
static size_t held_bytes(const struct swap *s, struct str text)
{
	size_t held = 0;
	for (size_t i = 0; i < s->n_rules; i++) {
		struct str value = s->rules[i].value;
		for (size_t n = MIN(value.len - 1, text.len); n > held; n--)
			if (memcmp(text.ptr + text.len - n, value.ptr, n) == 0) {
				held = n;
				break;
			}
	}
	return held;
}

static void mask(const struct swap *s, struct buf *b)
{
	for (size_t i = 0; i < s->n_rules; i++) {
		struct str value = s->rules[i].value;
		char *at = b->ptr;
		while (b->cap &&
			(at = memmem(at, b->len - (size_t)(at - b->ptr), value.ptr, value.len))) {
			memset(at, '*', value.len);
			at += value.len;
		}
	}
}

/* The first reply decides, where a change of protocol was asked for. */
static void read_status(struct swap *s)
{
	struct str first = str_first(buf_str(&s->reply), STATUS_BYTES);
	if (first.len < STATUS_BYTES)
		return;
	s->has_status = true;
	if (s->state == SWAP_UPGRADING)
		s->state = str_is(first, "HTTP/1.1 101") ? SWAP_TUNNEL : SWAP_SHUT;
}

static void let_go(struct swap *s, size_t n, struct buf *out)
{
	buf_put(out, str_first(buf_str(&s->reply), n));
	buf_drop_front(&s->reply, n);
}

void swap_reply(struct swap *s, struct str in, struct buf *out)
{
	buf_put(&s->reply, in);
	if (!s->has_status)
		read_status(s);
	if (!s->has_status)
		return;
	mask(s, &s->reply);
	let_go(s, s->reply.len - held_bytes(s, buf_str(&s->reply)), out);
}

void swap_reply_end(struct swap *s, struct buf *out)
{
	let_go(s, s->reply.len, out);
}

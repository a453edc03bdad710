/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer of many messages, as Connect frames them: HTTP 200 whatever happens, envelopes, and
 * a last one that says how it went. A message is sent whenever nothing else was for as long as
 * the client asked. What a client does not take is not read from the sandbox either.
 */
#include "face/e2b/rpc.h"

#include "base/auto.h"
#include "base/num.h"
#include "wire/envelope.h"

enum { KEEPALIVE_S = 90, ANSWER_MAX = 16 * 1024 * 1024 };

#define TYPE "application/connect+json"

struct json *e2b_stream_request(struct http_request *r)
{
	struct envelope e = { .flags = 0 };
	struct json *body = NULL;
	struct error err;
	if (!str_eq_nocase(str_first(http_header(r, "Content-Type"), sizeof(TYPE) - 1),
		    STR(TYPE))) {
		http_reply_header(r, "Accept-Post", TYPE);
		e2b_fail(r, 415, "a stream is asked for as " TYPE);
		return NULL;
	}
	ssize_t n = envelope_parse(r->body, E2B_BODY_MAX, &e, &err);
	if (n == 0)
		error_set(&err, ERROR_INVALID, "the request is no whole message");
	if (n <= 0 || json_parse(e.payload.len ? e.payload : STR("{}"), &body, &err) < 0) {
		struct e2b_stream s;
		e2b_stream_init(&s, r, e2b_of(r)->loop);
		e2b_stream_end(&s, &err);
		return NULL;
	}
	return body;
}

static void finish(struct e2b_stream *s)
{
	s->r = NULL;
	timer_free(take_ptr(s->timer));
	timer_free(take_ptr(s->deadline));
}

static void on_keepalive(void *arg)
{
	struct e2b_stream *s = arg;
	if (!e2b_stream_is_full(s) && s->is_begun)
		e2b_stream_send(s, str_from(s->keepalive));
	timer_set(s->timer, s->keepalive_ms);
}

static void on_drain(void *arg)
{
	struct e2b_stream *s = arg;
	if (s->on_drain)
		s->on_drain(s->arg);
}

static void on_closed(void *arg)
{
	struct e2b_stream *s = arg;
	e2b_stream_cut(s);
	if (s->on_closed)
		s->on_closed(s->arg);
}

void e2b_stream_init(struct e2b_stream *s, struct http_request *r, struct loop *loop)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	int64_t seconds = KEEPALIVE_S;
	struct str asked = http_header(r, "Keepalive-Ping-Interval");
	if (asked.len)
		num_parse_i64(asked, 1, 3600, &seconds, NULL);
	*s = (struct e2b_stream){ .r = r,
		.keepalive_ms = seconds * 1000,
		.keepalive = "{\"event\":{\"keepalive\":{}}}" };
	s->timer = timer_new(loop, on_keepalive, s);
	timer_set(s->timer, s->keepalive_ms);
	http_listen(r, &ops, s);
}

int64_t e2b_stream_timeout_ms(const struct http_request *r)
{
	int64_t ms = 0;
	struct str asked = http_header(r, "Connect-Timeout-Ms");
	if (asked.len)
		num_parse_i64(asked, 0, (int64_t)E2B_TIMEOUT_MAX_S * 1000, &ms, NULL);
	return ms;
}

static void on_deadline(void *arg)
{
	struct e2b_stream *s = arg;
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "the time for the call is over");
	e2b_stream_end(s, &err);
	if (s->on_closed)
		s->on_closed(s->arg);
}

void e2b_stream_set_deadline(struct e2b_stream *s, struct loop *loop, int64_t timeout_ms)
{
	if (!timeout_ms)
		return;
	s->deadline = timer_new(loop, on_deadline, s);
	timer_set(s->deadline, timeout_ms);
}

static void send(struct e2b_stream *s, uint8_t flags, struct str json)
{
	auto_buf struct buf b = BUF_INIT(ENVELOPE_HEAD + ANSWER_MAX);
	if (!s->is_begun)
		http_stream_begin(s->r, 200, TYPE, -1);
	s->is_begun = true;
	envelope_put(&b, flags, json);
	http_stream_write(s->r, buf_str(&b));
}

void e2b_stream_send(struct e2b_stream *s, struct str json)
{
	if (!s->r)
		return;
	send(s, 0, json);
	timer_set(s->timer, s->keepalive_ms);
}

bool e2b_stream_is_full(const struct e2b_stream *s)
{
	return s->r && s->is_begun && http_stream_is_full(s->r);
}

void e2b_stream_end(struct e2b_stream *s, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	if (!s->r)
		return;
	buf_puts(&b, "{");
	if (err) {
		buf_puts(&b, "\"error\":");
		e2b_rpc_put_error(&b, err);
	}
	buf_puts(&b, "}");
	send(s, ENVELOPE_END, buf_str(&b));
	http_stream_end(s->r, true);
	finish(s);
}

void e2b_stream_cut(struct e2b_stream *s)
{
	if (!s->r)
		return;
	if (!s->is_begun)
		http_stream_begin(s->r, 200, TYPE, -1);
	http_stream_end(s->r, false);
	finish(s);
}

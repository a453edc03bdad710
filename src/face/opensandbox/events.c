/* SPDX-License-Identifier: Apache-2.0 */
#include "face/opensandbox/events.h"

#include "base/auto.h"
#include "base/clock.h"

enum { PING_MS = 3000, EVENT_MAX = 32 * 1024 * 1024 };

static void on_ping(void *arg)
{
	struct osb_events *e = arg;
	if (e->is_begun && !osb_events_are_full(e))
		osb_events_text(e, "ping", STR("pong"));
	timer_set(e->ping, PING_MS);
}

static void on_drain(void *arg)
{
	struct osb_events *e = arg;
	e->drain(e->arg);
}

static void finish(struct osb_events *e)
{
	e->r = NULL;
	timer_free(take_ptr(e->ping));
}

static void on_closed(void *arg)
{
	struct osb_events *e = arg;
	struct error err;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	osb_events_fail(e, &err);
	e->gone(e->arg);
}

void osb_events_init(struct osb_events *e, struct http_request *r, struct loop *loop)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	e->r = r;
	e->started_ms = clock_mono_ms();
	osb_lines_init(&e->lines[0]);
	osb_lines_init(&e->lines[1]);
	buf_init(&e->batch, EVENT_MAX);
	e->ping = timer_new(loop, on_ping, e);
	timer_set(e->ping, PING_MS);
	http_listen(r, &ops, e);
}

void osb_events_fini(struct osb_events *e)
{
	osb_lines_fini(&e->lines[0]);
	osb_lines_fini(&e->lines[1]);
	buf_fini(&e->batch);
	timer_free(take_ptr(e->ping));
}

static void begin(struct osb_events *e)
{
	if (e->is_begun)
		return;
	e->is_begun = true;
	http_reply_header(e->r, "Cache-Control", "no-cache");
	http_reply_header(e->r, "X-Accel-Buffering", "no");
	http_stream_begin(e->r, 200, "text/event-stream", -1);
}

static void open(struct jsonw *w, const char *type)
{
	jsonw_open(w);
	jsonw_key_str(w, "type", str_from(type));
}

static void write_out(struct osb_events *e, const struct buf *b)
{
	if (!e->r || b->is_full || !b->len)
		return;
	begin(e);
	http_stream_write(e->r, buf_str(b));
}

static void send(struct osb_events *e, struct jsonw *w)
{
	jsonw_key_int(w, "timestamp", clock_wall_ms());
	jsonw_close(w);
	buf_puts(w->b, "\n\n");
	write_out(e, w->b);
}

void osb_events_text(struct osb_events *e, const char *type, struct str text)
{
	auto_buf struct buf b = BUF_INIT(6 * text.len + 256);
	struct jsonw w = JSONW(&b);
	open(&w, type);
	jsonw_key_str(&w, "text", text);
	send(e, &w);
}

void osb_events_int(struct osb_events *e, const char *type, const char *key, int64_t n)
{
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	open(&w, type);
	jsonw_key_int(&w, key, n);
	send(e, &w);
}

void osb_events_json(struct osb_events *e, const char *type, const char *key, struct str json)
{
	auto_buf struct buf b = BUF_INIT(EVENT_MAX);
	struct jsonw w = JSONW(&b);
	open(&w, type);
	jsonw_key(&w, key);
	jsonw_raw(&w, json);
	send(e, &w);
}

/*
 * A frame may be 64 thousand empty lines, and each becomes an event of sixty times its size. What
 * they have in common is made once, and they leave together: written one by one they cost a system
 * call each, and a client that is no faster than that would be taken for one that does not read.
 */
struct gathering {
	struct buf *batch;
	struct buf head, tail; /* of each event */
};

static void add_line(void *arg, struct str line)
{
	const struct gathering *g = arg;
	struct jsonw w = JSONW(g->batch);
	buf_put(g->batch, buf_str(&g->head));
	jsonw_str(&w, line);
	buf_put(g->batch, buf_str(&g->tail));
}

/* bytes: STR_NONE: there are no more of them. */
static void gather(struct osb_events *e, int stream, struct str bytes)
{
	struct gathering g = { &e->batch, BUF_INIT(64), BUF_INIT(64) };
	if (!e->r)
		return;
	buf_printf(&g.head, "{\"type\":\"%s\",\"text\":", stream ? "stderr" : "stdout");
	buf_printf(&g.tail, ",\"timestamp\":%lld}\n\n", (long long)clock_wall_ms());
	if (bytes.ptr)
		osb_lines_feed(&e->lines[stream], bytes, add_line, &g);
	else
		osb_lines_end(&e->lines[stream], add_line, &g);
	buf_fini(&g.head);
	buf_fini(&g.tail);
	write_out(e, &e->batch);
	buf_reset(&e->batch);
}

void osb_events_output(struct osb_events *e, uint8_t channel, struct str bytes)
{
	if ((channel == 1 || channel == 2) && bytes.len)
		gather(e, channel - 1, bytes);
}

static void flush(struct osb_events *e)
{
	gather(e, 0, STR_NONE);
	gather(e, 1, STR_NONE);
}

void osb_events_error(struct osb_events *e, const char *name, struct str value,
	const struct json *traceback)
{
	auto_buf struct buf b = BUF_INIT(EVENT_MAX);
	struct jsonw w = JSONW(&b);
	flush(e);
	jsonw_open(&w);
	jsonw_key_str(&w, "ename", str_from(name));
	jsonw_key_str(&w, "evalue", value);
	jsonw_key(&w, "traceback");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(traceback); i++)
		jsonw_str(&w, json_str(json_at(traceback, i)));
	jsonw_close_array(&w);
	jsonw_close(&w);
	if (!b.is_full)
		osb_events_json(e, "error", "error", buf_str(&b));
}

bool osb_events_are_full(const struct osb_events *e)
{
	return e->r && e->is_begun && http_stream_is_full(e->r);
}

void osb_events_end(struct osb_events *e, bool is_good)
{
	flush(e);
	if (!e->r)
		return;
	if (is_good)
		osb_events_int(e, "execution_complete", "execution_time",
			clock_mono_ms() - e->started_ms);
	begin(e);
	http_stream_end(e->r, true);
	finish(e);
}

void osb_events_fail(struct osb_events *e, const struct error *err)
{
	if (!e->r)
		return;
	if (e->is_begun)
		http_stream_end(e->r, false);
	else
		osb_execd_error(e->r, err);
	finish(e);
}

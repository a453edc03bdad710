/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/events and …/{id}/events: an array of up to `limit` events after a number, fewer if they
 * are large; an empty one says that there are no more. Or, with follow, an event stream that does
 * not end, each with its number as id, so that a client that reconnects (Last-Event-ID) misses
 * nothing.
 */
#include "face/rest/handlers.h"

#include "base/num.h"
#include "face/rest/sse.h"

enum { LIMIT_MAX = 1000, ARRAY_BYTES = 4 * 1024 * 1024, EVENT_ROOM = EVENT_DATA_MAX + 1024 };

struct events_params {
	int64_t after, limit;
	bool follow;
	struct str sandbox;
};

#define AT(member) FIELD_AT(struct events_params, member)
/* clang-format off */
#define COMMON \
	{ "after", FIELD_INT, AT(after), .min = 0, .max = INT64_MAX, .help = "only events with a higher seq" }, \
	{ "limit", FIELD_INT, AT(limit), .min = 1, .max = LIMIT_MAX, .standard = "1000", .help = "most events in an array" }, \
	{ "follow", FIELD_BOOL, AT(follow), .help = "an event stream: these events and all that come" }

const struct field events_of_query[] = { COMMON, { 0 } };
const struct field events_query[] = {
	COMMON,
	{ "sandbox", FIELD_STRING, AT(sandbox), .help = "only of the sandbox with this whole id, also if it is forgotten" },
	{ 0 },
};
/* clang-format on */

struct array {
	struct buf *b;
	struct jsonw w;
};

static void put_event(void *arg, const struct event *event)
{
	struct array *array = arg;
	if (array->b->len < ARRAY_BYTES)
		event_write(event, &array->w);
}

static void reply_array(struct http_request *r, const struct events_params *p, const char *id)
{
	auto_buf struct buf b = BUF_INIT(ARRAY_BYTES + 2 * EVENT_ROOM);
	struct array array = { &b, JSONW(&b) };
	struct error err;
	jsonw_open_array(&array.w);
	int r_ = event_read(rest_of(r)->runtime, id, p->after, (int)p->limit, put_event, &array,
		&err);
	jsonw_close_array(&array.w);
	if (r_ < 0)
		http_reply_error(r, &err);
	else
		http_reply_json(r, 200, &b);
}

struct following {
	struct sse sse;
	struct follower *follower;
};

static void on_event(void *arg, const struct event *event)
{
	struct following *f = arg;
	auto_buf struct buf b = BUF_INIT(EVENT_ROOM);
	struct jsonw w = JSONW(&b);
	event_write(event, &w);
	sse_send(&f->sse, event->seq, event->kind.ptr, buf_str(&b));
	if (http_stream_is_full(f->sse.r))
		event_follow_pause(f->follower, true);
}

static void on_drain(void *arg)
{
	struct following *f = arg;
	event_follow_pause(f->follower, false);
}

static void on_closed(void *arg)
{
	struct following *f = arg;
	event_follow_stop(f->follower);
	http_stream_end(f->sse.r, false);
}

static void follow(struct http_request *r, const struct events_params *p, const char *id)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	int64_t after = p->after, last;
	struct str last_id = http_header(r, "Last-Event-ID");
	if (last_id.ptr && num_parse_i64(last_id, 0, INT64_MAX, &last, NULL) == 0)
		after = last;
	struct following *f = arena_new(&r->arena, struct following);
	sse_begin(&f->sse, r);
	f->follower = event_follow(rest_of(r)->runtime, id, after, on_event, f);
	http_listen(r, &ops, f);
}

static void reply(struct http_request *r, const struct events_params *p, const char *id)
{
	if (p->follow)
		follow(r, p, id);
	else
		reply_array(r, p, id);
}

void events_get(struct http_request *r)
{
	void *params;
	if (rest_query(r, events_query, sizeof(struct events_params), &params) < 0)
		return;
	const struct events_params *p = params;
	reply(r, p, p->sandbox.len ? arena_str(&r->arena, p->sandbox) : NULL);
}

void events_of_sandbox(struct http_request *r)
{
	void *params;
	struct sandbox *s = rest_sandbox(r);
	if (!s || rest_query(r, events_of_query, sizeof(struct events_params), &params) < 0)
		return;
	reply(r, params, s->id);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "face/chore.h"

#include "base/auto.h"

enum { PATH_PARAMS_MAX = 128 * 1024 };

void chore_drop(struct chore *e)
{
	void (*drop)(struct chore *) = take_ptr(e->drop);
	if (e->call)
		runtime_call_cancel(take_ptr(e->call));
	if (drop)
		drop(e);
}

void chore_fail(struct chore *e, const struct error *err)
{
	struct error kept = *err; /* it may be what is dropped */
	chore_drop(e);
	if (http_stream_has_begun(e->r))
		http_stream_end(e->r, false);
	else
		e->fail(e->r, &kept);
}

static void on_closed(void *arg)
{
	struct chore *e = arg;
	struct error err;
	if (!e->call && !http_stream_has_begun(e->r))
		return;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	chore_fail(e, &err);
}

static void on_drain(void *arg)
{
	struct chore *e = arg;
	if (e->call)
		runtime_call_pause(e->call, false);
	if (e->drain)
		e->drain(e);
}

struct chore *chore_new(struct http_request *r, struct runtime *rt, const char *id,
	chore_fail_fn *fail)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	struct chore *e = arena_new(&r->arena, struct chore);
	e->r = r;
	e->rt = rt;
	e->fail = fail;
	snprintf(e->id, sizeof(e->id), "%s", id);
	http_listen(r, &ops, e);
	return e;
}

/* ---- what comes of an action ---- */

static void end_call(struct chore *e)
{
	e->call = NULL;
	if (e->used)
		e->used(e);
}

static void tell_failure(struct chore *e, const struct error *err)
{
	if (e->failed && !(e->flow && e->has_flown))
		e->failed(e, err);
	else
		chore_fail(e, err);
}

static void on_error(void *arg, const struct error *err)
{
	struct chore *e = arg;
	end_call(e);
	tell_failure(e, err);
}

static void on_result(void *arg, struct str text)
{
	struct chore *e = arg;
	auto_json struct json *result = NULL;
	struct error err;
	end_call(e);
	if (json_parse(text, &result, &err) < 0)
		tell_failure(e, &err);
	else
		e->then(e, result);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct chore *e = arg;
	if (e->data)
		e->data(e, channel, bytes);
}

static void on_event(void *arg, struct str json)
{
	struct chore *e = arg;
	if (e->event)
		e->event(e, json);
}

struct sandbox *chore_sandbox(struct chore *e)
{
	struct error err;
	struct sandbox *s = runtime_find(e->rt, str_from(e->id), &err);
	if (!s)
		chore_fail(e, &err);
	return s;
}

static const struct call_sink sink = {
	.data = on_data,
	.event = on_event,
	.result = on_result,
	.error = on_error,
};

static struct runtime_call *begin(struct chore *e, const struct action *action,
	const struct buf *params, const struct call_sink *to)
{
	struct error err;
	struct sandbox *s = chore_sandbox(e);
	if (!s)
		return NULL;
	if (params->is_full) {
		error_set(&err, ERROR_TOO_LARGE, "the request is too large");
		chore_fail(e, &err);
		return NULL;
	}
	e->call = runtime_perform(s, action, buf_str(params), to, e);
	return e->call;
}

struct runtime_call *chore_perform(struct chore *e, const struct action *action,
	const struct buf *params, chore_fn *then)
{
	e->flow = NULL;
	e->then = then;
	return begin(e, action, params, &sink);
}

struct runtime_call *chore_perform_path(struct chore *e, const struct action *action,
	struct str path, const char *more, chore_fn *then)
{
	auto_buf struct buf params = BUF_INIT(PATH_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	buf_puts(&params, more);
	jsonw_close(&w);
	return chore_perform(e, action, &params, then);
}

void chore_send(struct chore *e, struct str input)
{
	if (!e->call || runtime_call_is_over(e->call))
		return;
	runtime_call_send(e->call, 0, input);
	runtime_call_eof(e->call, 0);
}

/* ---- the request's body ---- */

static void on_body(void *arg, struct str piece)
{
	struct chore *e = arg;
	if (!e->call || runtime_call_is_over(e->call))
		return;
	runtime_call_send(e->call, 0, piece);
	if (runtime_call_is_full(e->call))
		http_pause_body(e->r, true);
}

static void on_body_end(void *arg)
{
	struct chore *e = arg;
	if (e->call && !runtime_call_is_over(e->call))
		runtime_call_eof(e->call, 0);
}

static void on_taken(void *arg)
{
	struct chore *e = arg;
	http_pause_body(e->r, false);
}

void chore_feed(struct chore *e, const struct action *action, const struct buf *params,
	chore_fn *then)
{
	static const struct http_ops ops = {
		.on_body = on_body,
		.on_body_end = on_body_end,
		.on_drain = on_drain,
		.on_closed = on_closed,
	};
	static const struct call_sink feed_sink = {
		.data = on_data,
		.event = on_event,
		.drain = on_taken,
		.result = on_result,
		.error = on_error,
	};
	e->flow = NULL;
	e->then = then;
	if (begin(e, action, params, &feed_sink))
		http_listen(e->r, &ops, e);
}

/* ---- bytes that are the answer ---- */

int64_t chore_flow_size(const struct json *head)
{
	const struct json *size = json_find(head, "size");
	return json_kind(size) == JSON_KIND_INT ? json_int(size) : -1;
}

static void flow_begin(struct chore *e, const struct json *head)
{
	if (e->has_flown)
		return;
	e->has_flown = true;
	e->flow->begin(e, head);
}

/* The first event says what comes. */
static void on_flow_head(void *arg, struct str text)
{
	auto_json struct json *head = NULL;
	if (json_parse(text, &head, NULL) == 0)
		flow_begin(arg, head);
}

static void on_flow_data(void *arg, uint8_t channel, struct str bytes)
{
	struct chore *e = arg;
	if (channel == 2 && !e->flow->has_stderr)
		return;
	flow_begin(e, NULL);
	http_stream_write(e->r, bytes);
	if (http_stream_is_full(e->r))
		runtime_call_pause(e->call, true);
}

static int check_whole(struct chore *e, const struct json *result, struct error *err)
{
	if (!json_bool(json_find(result, "truncated")))
		return 0;
	return error_set(err, ERROR_CONFLICT, "it ended before its announced length");
}

static void on_flow_result(struct chore *e, const struct json *result)
{
	int (*check)(struct chore *, const struct json *, struct error *) = e->flow->check
		?: check_whole;
	struct error err;
	if (check(e, result, &err) < 0) {
		tell_failure(e, &err);
		return;
	}
	flow_begin(e, NULL);
	if (e->flow->end)
		e->flow->end(e);
	else
		http_stream_end(e->r, true);
}

void chore_flow(struct chore *e, const struct action *action, const struct buf *params,
	const struct chore_flow *flow)
{
	static const struct call_sink flow_sink = {
		.data = on_flow_data,
		.event = on_flow_head,
		.result = on_result,
		.error = on_error,
	};
	e->flow = flow;
	e->has_flown = false;
	e->then = on_flow_result;
	begin(e, action, params, &flow_sink);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST …/actions/{action}: the body is the action's parameters, the answer its result; or an event
 * stream if the client accepts one. There is no input: whoever has some uses …/stream or …/files.
 */
#include "face/rest/handlers.h"

#include "face/rest/sse.h"
#include "wire/frame.h"

/* In the request's arena: it lives as long as the request. */
struct act {
	struct http_request *r;
	struct runtime_call *call; /* NULL: it is over */
	struct sse sse;
};

static void on_closed(void *arg)
{
	struct act *act = arg;
	struct error err;
	if (!act->call)
		return;
	runtime_call_cancel(act->call);
	act->call = NULL;
	if (act->sse.r) {
		http_stream_end(act->r, false);
		return;
	}
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(act->r, &err);
}

/* As one JSON answer. */

static void on_result(void *arg, struct str json)
{
	struct act *act = arg;
	act->call = NULL;
	http_reply(act->r, 200, "application/json", json);
}

static void on_error(void *arg, const struct error *err)
{
	struct act *act = arg;
	act->call = NULL;
	http_reply_error(act->r, err);
}

static const struct call_sink whole_sink = { .result = on_result, .error = on_error };

/* As an event stream. */

static void pause_if_full(struct act *act)
{
	if (http_stream_is_full(act->r))
		runtime_call_pause(act->call, true);
}

static void on_stream_drain(void *arg)
{
	struct act *act = arg;
	if (act->call)
		runtime_call_pause(act->call, false);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct act *act = arg;
	sse_send_data(&act->sse, channel, bytes);
	pause_if_full(act);
}

static void on_event(void *arg, struct str json)
{
	struct act *act = arg;
	sse_send(&act->sse, 0, "event", json);
	pause_if_full(act);
}

static void end_stream(struct act *act, const char *event, struct str json)
{
	act->call = NULL;
	sse_flush(&act->sse);
	sse_send(&act->sse, 0, event, json);
	http_stream_end(act->r, true);
}

static void on_stream_result(void *arg, struct str json)
{
	end_stream(arg, "result", json);
}

static void on_stream_error(void *arg, const struct error *err)
{
	struct act *act = arg;
	if (!act->sse.r) { /* refused before it began: that is no stream */
		on_error(act, err);
		return;
	}
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	jsonw_error(&w, err);
	end_stream(arg, "error", buf_str(&b));
}

static const struct call_sink stream_sink = {
	.data = on_data,
	.event = on_event,
	.result = on_stream_result,
	.error = on_stream_error,
};

static int prepare_whole(struct http_request *r, const struct action *action, struct buf *params,
	struct error *err)
{
	if (!action_can_be_whole(action))
		return error_set(err, ERROR_INVALID,
			"%s answers with a stream: send 'Accept: text/event-stream'", action->name);
	/* What needs no word more is taken as it came. */
	return action->flags & ACTION_STREAMS_OUT ? action_put_whole(action, r->body, params, err)
						  : 0;
}

static const struct action *find_action(struct http_request *r, struct error *err)
{
	struct str name = http_param(r, "action");
	const struct action *action = action_find(name);
	if (!action)
		error_set(err, ERROR_NOT_FOUND, "no such action: '%.*s'",
			STR_ARG(str_first(name, 64)));
	return action;
}

void actions_perform(struct http_request *r)
{
	static const struct http_ops ops = { .on_drain = on_stream_drain, .on_closed = on_closed };
	struct sandbox *s = rest_sandbox(r);
	if (!s)
		return;
	struct error err;
	const struct action *action = find_action(r, &err);
	bool is_stream = http_accepts(r, "text/event-stream");
	auto_buf struct buf params = BUF_INIT(2 * FRAME_PAYLOAD_MAX);
	if (!action || (!is_stream && prepare_whole(r, action, &params, &err) < 0)) {
		http_reply_error(r, &err);
		return;
	}
	struct act *act = arena_new(&r->arena, struct act);
	act->r = r;
	act->call = runtime_perform(s, action, params.len ? buf_str(&params) : r->body,
		is_stream ? &stream_sink : &whole_sink, act);
	if (is_stream && !runtime_call_is_over(act->call))
		sse_begin(&act->sse, r);
	http_listen(r, &ops, act);
	if (action->flags & ACTION_STREAMS_IN)
		runtime_call_eof(act->call, 0);
}

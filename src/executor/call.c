/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/call.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/calls.h"
#include "executor/cover.h"
#include "executor/executor.h"

enum { CALL_ARENA_MAX = 64 * 1024 * 1024 };

static void end_action(struct call *call)
{
	if (call->verb && call->verb->drop)
		call->verb->drop(call);
	cover_drop(call);
	json_free(call->request);
	json_free(call->inner);
	arena_fini(&call->arena);
	call->stream_fd = close_fd(call->stream_fd);
	call->request = call->inner = NULL;
	call->wrap = NULL;
	call->verb = NULL;
	call->state = NULL;
}

static void drop(struct call *call)
{
	end_action(call);
	list_remove(&call->link);
	call->executor->n_calls--;
	free(call);
}

void call_finish(struct call *call, struct str result_json)
{
	auto_buf struct buf covered = BUF_INIT(SIZE_MAX / 2), wrapped = BUF_INIT(SIZE_MAX / 2);
	cover_flush(call);
	result_json = cover_json(call, result_json, &covered);
	if (call->wrap) {
		call->wrap(call, result_json, &wrapped);
		result_json = buf_str(&wrapped);
	}
	if (result_json.len > FRAME_PAYLOAD_MAX) {
		struct error err;
		error_set(&err, ERROR_TOO_LARGE, "a result of %zu bytes", result_json.len);
		call_fail(call, &err);
		return;
	}
	channel_send(call->channel, FRAME_RESULT, 0, result_json);
	end_action(call);
	call->is_used = true;
	channel_pause(call->channel, false);
}

/* What was begun is taken back before anybody hears of it. */
void call_fail(struct call *call, const struct error *err)
{
	struct channel *channel = call->channel;
	struct error kept = *err; /* it may be what is dropped */
	drop(call);
	channel_send_error(channel, &kept);
	channel_close(channel);
}

void call_send(struct call *call, uint8_t channel, struct str bytes)
{
	if (call->wrap)
		return;
	if (cover_wants(call))
		cover_data(call, channel, bytes);
	else
		call_send_bare(call, channel, bytes);
}

void call_send_bare(struct call *call, uint8_t channel, struct str bytes)
{
	while (bytes.len) {
		struct str piece = str_first(bytes, FRAME_DATA_MAX);
		channel_send(call->channel, FRAME_DATA, channel, piece);
		bytes = str_skip(bytes, piece.len);
	}
}

void call_event(struct call *call, struct str event_json)
{
	if (call->wrap)
		return;
	auto_buf struct buf covered = BUF_INIT(SIZE_MAX / 2);
	cover_flush(call);
	channel_send(call->channel, FRAME_EVENT, 0, cover_json(call, event_json, &covered));
}

static const struct verb *find_verb(struct str name)
{
	for (const struct verb *const *v = verb_table; *v; v++)
		if (str_is(name, (*v)->action->name))
			return *v;
	return NULL;
}

static int start(struct call *call, struct str request, struct error *err)
{
	if (json_parse(request, &call->request, err) < 0)
		return -1;
	struct str name = json_str(json_find(call->request, "action"));
	const struct verb *verb = find_verb(name);
	if (!name.ptr || !verb)
		return error_set(err, ERROR_NOT_FOUND, "no action '%.*s'",
			STR_ARG(str_first(name, 60)));
	if (call->executor->is_stateless && verb->action->flags & ACTION_KEEPS)
		return error_set(err, ERROR_UNSUPPORTED,
			"%s: a sandbox of the backend cli keeps nothing between actions",
			verb->action->name);
	void *params;
	if (action_decode(verb->action, json_find(call->request, "params"), &call->arena, &params,
		    err) < 0)
		return -1;
	call->verb = verb;
	call->executor->last_call_ms = clock_mono_ms();
	verb->start(call, params);
	return 0;
}

static int become(struct call *call, const struct action *action, struct str params_json,
	struct error *err)
{
	const struct verb *verb = find_verb(str_from(action->name));
	void *params;
	if (!verb)
		return error_set(err, ERROR_UNSUPPORTED, "%s is not performed here", action->name);
	if (json_parse(params_json, &call->inner, err) < 0 ||
		action_decode(action, call->inner, &call->arena, &params, err) < 0)
		return -1;
	call->verb = verb;
	call->state = NULL;
	verb->start(call, params);
	return 0;
}

void call_become(struct call *call, const struct action *action, struct str params_json,
	call_wrap_fn *wrap)
{
	struct error err;
	call->wrap = wrap;
	if (become(call, action, params_json, &err) < 0)
		call_fail(call, &err);
}

static int control(struct call *call, struct str payload, struct error *err)
{
	auto_json struct json *json = NULL;
	if (json_parse(payload, &json, err) < 0)
		return -1;
	if (call->verb->control)
		call->verb->control(call, json);
	return 0;
}

/* Hands a frame on. -1: it has no place here, and the call, still there, fails with *err. */
static int dispatch(struct call *call, const struct frame *frame, struct error *err)
{
	const struct verb *verb = call->verb;
	if (!verb && call->is_refused)
		return error_set(err, ERROR_LIMIT, "the sandbox has %d calls at once",
			EXECUTOR_CALLS_MAX);
	if (!verb && call->is_used && frame->kind != FRAME_REQUEST)
		return 0;
	if (!verb)
		return frame->kind == FRAME_REQUEST
			? start(call, frame->payload, err)
			: error_set(err, ERROR_PROTOCOL, "a call began with a frame of kind %d",
				  frame->kind);
	switch (frame->kind) {
	case FRAME_DATA:
		if (verb->data)
			verb->data(call, frame->channel, frame->payload);
		return 0;
	case FRAME_EOF:
		if (verb->eof)
			verb->eof(call, frame->channel);
		return 0;
	case FRAME_CONTROL:
		return control(call, frame->payload, err);
	default:
		return error_set(err, ERROR_PROTOCOL, "a frame of kind %d within a call",
			frame->kind);
	}
}

static void on_frame(void *arg, const struct frame *frame)
{
	struct error err;
	if (dispatch(arg, frame, &err) < 0)
		call_fail(arg, &err);
}

static void on_end(void *arg, const struct error *reason)
{
	struct call *call = arg;
	struct channel *channel = call->channel;
	drop(call);
	channel_free(channel);
}

static void on_drain(void *arg)
{
	struct call *call = arg;
	if (call->verb && call->verb->drain)
		call->verb->drain(call);
}

static const struct channel_ops ops = { .on_frame = on_frame,
	.on_end = on_end,
	.on_drain = on_drain };

/* A call too many is told so when it has sent its request; far too many are not listened to. */
void call_open(struct executor *e, int fd, int stream_fd)
{
	if (e->n_calls >= 2 * EXECUTOR_CALLS_MAX) {
		close_fd(fd);
		close_fd(stream_fd);
		return;
	}
	struct call *call = mem_new(struct call);
	call->executor = e;
	call->stream_fd = stream_fd;
	call->arena = ARENA_INIT(CALL_ARENA_MAX);
	call->channel = channel_new(e->loop, fd, &ops, call);
	list_append(&e->calls, &call->link);
	e->n_calls++;
	call->is_refused = e->n_calls > EXECUTOR_CALLS_MAX;
}

void call_lose(struct call *call)
{
	on_end(call, NULL);
}

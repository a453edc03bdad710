/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/call_internal.h"

#include "action/tool_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "wire/trim.h"

/* In a result: as a tree each costs a hundred bytes and more. A page of a long list has 150,000. */
enum { RESULT_VALUES_MAX = 2000000 };

void call_deliver(void *arg)
{
	struct runtime_call *call = arg;
	if (call->is_paused) {
		call->phase = SETTLED;
		return;
	}
	const struct call_sink *sink = call->sink;
	if (call->error.code == ERROR_OK)
		sink->result(call->arg, buf_str(&call->result));
	else
		sink->error(call->arg, &call->error);
	call_free(call);
}

static void on_settled(void *arg, const struct error *err)
{
	struct runtime_call *call = arg;
	if (err) {
		call->error = *err;
		error_wrap(&call->error,
			"%s was performed, but what came of it could not be recorded",
			call->action->name);
	}
	call_deliver(call);
}

void call_leave_sandbox(struct runtime_call *call)
{
	struct sandbox *s = call->sandbox;
	call->sandbox = NULL;
	call->rt->calls_under_way--;
	s->n_calls--;
	list_remove(&call->link);
	list_append(&call->rt->settling, &call->link);
	life_touch(s);
	if (call->has_events && --s->n_busy == 0)
		life_apply(s, LIFE_IDLE);
}

/* Ends the call with call->result, or with call->error; `data` is its observation. */
static void settle(struct runtime_call *call, const struct buf *data)
{
	struct sandbox *s = call->sandbox;
	bool has_observation = call->seq != 0;
	channel_free(call->channel);
	outside_drop(take_ptr(call->outside));
	call->channel = NULL;
	call->phase = SETTLING;
	call_drop_check(call);
	store_forget(&call->wait);
	loop_undefer(call->rt->loop, call);
	if (has_observation)
		audit_add(s, "observation", call->seq, data);
	call_leave_sandbox(call);
	if (!has_observation) {
		loop_defer(call->rt->loop, call_deliver, call);
		return;
	}
	call->wait.fn = on_settled;
	call->wait.arg = call;
	store_after(call->rt->store, &call->wait);
}

void call_end_failed(struct runtime_call *call, const struct error *err)
{
	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
	call->error = *err;
	audit_error(call->action, clock_mono_us() - call->started_us, err, &data);
	if (err->code == ERROR_DISCONNECTED)
		life_tell(call->sandbox, STATUS_ERROR_RUNTIME_DISCONNECTED, err->text);
	settle(call, &data);
}

/*
 * What is told of a sandbox is told in one line: in a protocol of lines its second one would be a
 * message of its own. In JSON only what stands between two tokens can be the end of a line.
 */
static struct str in_one_line(struct str json, struct buf *kept)
{
	if (str_find_char(json, '\n') < 0 && str_find_char(json, '\r') < 0)
		return json;
	buf_put(kept, json);
	for (size_t i = 0; i < kept->len; i++)
		if (kept->ptr[i] == '\n' || kept->ptr[i] == '\r')
			kept->ptr[i] = ' ';
	return buf_str(kept);
}

static void finish(struct runtime_call *call, struct str json)
{
	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX), kept = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct str result = in_one_line(json, &kept);
	struct error err;
	if (json_check_values(result, RESULT_VALUES_MAX, &err) < 0 ||
		audit_result(call->action, clock_mono_us() - call->started_us, result, &data,
			&err) < 0) {
		call_end_failed(call, &err);
		return;
	}
	if (call->seq || call->is_paused) {
		buf_put(&call->result, result);
		settle(call, &data);
		return;
	}
	/* It only read: nothing to store, so the answer need not be copied. */
	const struct call_sink *sink = call->sink;
	void *arg = call->arg;
	call_leave_sandbox(call);
	call_free(call);
	sink->result(arg, result);
}

/* What the executor sends. */

static void on_event(struct runtime_call *call, struct str json)
{
	auto_buf struct buf kept = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct error err;
	if (trim_json(json, FRAME_PAYLOAD_MAX, NULL, NULL, &err) < 0) {
		error_wrap(&err, "the executor's event of %s", call->action->name);
		call_end_failed(call, &err);
	} else if (call->sink->event) {
		call->sink->event(call->arg, in_one_line(json, &kept));
	}
}

static void on_error(struct runtime_call *call, struct str payload)
{
	struct error err;
	auto_json struct json *json = NULL;
	if (json_check_values(payload, RESULT_VALUES_MAX, &err) == 0 &&
		json_parse(payload, &json, &err) == 0)
		json_to_error(json, &err);
	call_end_failed(call, &err);
}

static void take_result(struct runtime_call *call, struct str result)
{
	auto_buf struct buf merged = BUF_INIT(FRAME_PAYLOAD_MAX);
	bool is_list = call->sandbox->outside_json && call->action == &tool_list_action;
	finish(call,
		is_list && outside_merge(call->sandbox, result, &merged) ? buf_str(&merged)
									 : result);
}

static void on_frame(void *arg, const struct frame *frame)
{
	struct runtime_call *call = arg;
	struct error err;
	switch (frame->kind) {
	case FRAME_DATA:
		if (call->sink->data)
			call->sink->data(call->arg, frame->channel, frame->payload);
		break;
	case FRAME_EOF:
		break;
	case FRAME_EVENT:
		on_event(call, frame->payload);
		break;
	case FRAME_RESULT:
		/* The frame stays valid: what a channel has received outlives its callback. */
		spare_keep(call->sandbox, take_ptr(call->channel));
		take_result(call, frame->payload);
		break;
	case FRAME_ERROR:
		on_error(call, frame->payload);
		break;
	default:
		error_set(&err, ERROR_PROTOCOL, "the executor sent a frame of kind %d",
			frame->kind);
		call_end_failed(call, &err);
	}
}

static void on_end(void *arg, const struct error *reason)
{
	struct runtime_call *call = arg;
	struct error err;
	const struct sandbox *s = call->sandbox;
	if (s->state == SANDBOX_STOPPING || s->state == SANDBOX_ENDING) {
		sandbox_refuse(s, ERROR_GONE, &err);
		error_wrap(&err, "%s", call->action->name);
	} else if (reason) {
		err = *reason;
	} else {
		error_set(&err, ERROR_UNAVAILABLE, "the executor ended %s without an answer",
			call->action->name);
	}
	call_end_failed(call, &err);
}

void call_drained(struct runtime_call *call)
{
	if (call->was_full && call->sink->drain) {
		call->was_full = false;
		call->sink->drain(call->arg);
	}
}

static void on_drain(void *arg)
{
	call_drained(arg);
}

const struct channel_ops call_channel_ops = { on_frame, on_end, on_drain };

/* What comes from elsewhere. */

static void on_outside_result(void *arg, struct str json)
{
	struct runtime_call *call = arg;
	call->outside = NULL;
	finish(call, json);
}

static void on_outside_error(void *arg, const struct error *err)
{
	struct runtime_call *call = arg;
	call->outside = NULL;
	call_end_failed(call, err);
}

const struct outside_ops call_outside_ops = { on_outside_result, on_outside_error };

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/call_internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

void call_drop_check(struct runtime_call *call)
{
	struct gate *gate = call->rt->gate;
	if (gate)
		gate->drop(gate, call->check);
	call->check = NULL;
}

void call_free(struct runtime_call *call)
{
	list_remove(&call->link);
	call_drop_check(call);
	store_forget(&call->wait);
	loop_undefer(call->rt->loop, call);
	channel_free(call->channel);
	outside_drop(call->outside);
	buf_fini(&call->request);
	buf_fini(&call->early);
	buf_fini(&call->result);
	free(call);
}

static struct runtime_call *call_new(struct sandbox *s, const struct action *action,
	const struct call_sink *sink, void *arg)
{
	struct runtime_call *call = mem_new(struct runtime_call);
	call->rt = s->runtime;
	call->sandbox = s;
	call->action = action;
	call->sink = sink;
	call->arg = arg;
	call->started_us = clock_mono_us();
	buf_init(&call->request, FRAME_PAYLOAD_MAX);
	buf_init(&call->early, CALL_EARLY_MAX);
	buf_init(&call->result, FRAME_PAYLOAD_MAX);
	list_init(&call->wait.link);
	list_append(&s->calls, &call->link);
	call->rt->calls++;
	call->rt->calls_under_way++;
	s->n_calls++;
	life_touch(s);
	return call;
}

static struct runtime_call *perform(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg, bool is_own)
{
	struct runtime_call *call = call_new(s, action, sink, arg);
	call->is_own = is_own;
	call_begin(call, params_json);
	return call;
}

struct runtime_call *runtime_perform(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg)
{
	return perform(s, action, params_json, sink, arg, false);
}

struct runtime_call *runtime_perform_own(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg)
{
	return perform(s, action, params_json, sink, arg, true);
}

struct runtime_call *call_perform_with(struct sandbox *s, const struct action *action,
	struct str params_json, int stream_fd, const struct call_sink *sink, void *arg)
{
	struct runtime_call *call = call_new(s, action, sink, arg);
	call_begin_quietly(call, params_json, stream_fd);
	return call;
}

struct runtime_call *call_perform_quietly(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg)
{
	return call_perform_with(s, action, params_json, -1, sink, arg);
}

/* The caller's side of a call. */

static void send_frame(struct runtime_call *call, enum frame_kind kind, uint8_t channel,
	struct str payload)
{
	if (call->phase == OPEN) {
		channel_send(call->channel, kind, channel, payload);
	} else if (call->phase == STORING && frame_put(&call->early, kind, channel, payload) < 0) {
		struct error err;
		error_set(&err, ERROR_LIMIT, "%s: over %d bytes of input before it began",
			call->action->name, CALL_EARLY_MAX);
		call_end_failed(call, &err);
	}
}

void runtime_call_send(struct runtime_call *call, uint8_t channel, struct str bytes)
{
	while (bytes.len) {
		struct str piece = str_first(bytes, FRAME_DATA_MAX);
		send_frame(call, FRAME_DATA, channel, piece);
		bytes = str_skip(bytes, piece.len);
	}
	if (runtime_call_is_full(call))
		call->was_full = true;
}

void runtime_call_eof(struct runtime_call *call, uint8_t channel)
{
	send_frame(call, FRAME_EOF, channel, STR_NONE);
}

void runtime_call_control(struct runtime_call *call, struct str control_json)
{
	send_frame(call, FRAME_CONTROL, 0, control_json);
}

bool runtime_call_is_over(const struct runtime_call *call)
{
	return call->phase == SETTLING || call->phase == SETTLED;
}

bool runtime_call_is_full(const struct runtime_call *call)
{
	if (call->phase == OPEN)
		return channel_is_full(call->channel);
	return call->phase == STORING && call->early.len >= CALL_EARLY_HIGH;
}

void runtime_call_pause(struct runtime_call *call, bool is_paused)
{
	if (call->is_paused == is_paused)
		return;
	call->is_paused = is_paused;
	if (call->phase == OPEN)
		channel_pause(call->channel, is_paused);
	else if (call->phase == SETTLED && !is_paused)
		loop_defer(call->rt->loop, call_deliver, call);
}

void runtime_call_cancel(struct runtime_call *call)
{
	if (call->sandbox) {
		auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
		struct error err;
		error_set(&err, ERROR_CANCELLED, "its caller went away");
		audit_error(call->action, clock_mono_us() - call->started_us, &err, &data);
		if (call->seq)
			audit_add(call->sandbox, "observation", call->seq, &data);
		call_leave_sandbox(call);
	}
	call_free(call);
}

void call_end_all(struct sandbox *s, const struct error *gone)
{
	while (!list_is_empty(&s->calls))
		call_end_failed(list_get_first(&s->calls, struct runtime_call, link), gone);
	spare_free_all(s);
}

static void free_list(struct list *head)
{
	while (!list_is_empty(head))
		call_free(list_get_first(head, struct runtime_call, link));
}

void call_free_all(struct runtime *rt)
{
	for (struct sandbox *s = NULL; (s = runtime_next(rt, s));)
		free_list(&s->calls);
	free_list(&rt->settling);
}

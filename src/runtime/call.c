/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A call passes through
 *
 *	STORING   its action event is being committed; input is kept in `early`
 *	OPEN      a socket leads to the executor
 *	OUTSIDE   it is performed elsewhere (runtime/outside.h)
 *	SETTLING  it is over: its observation is being committed, the answer is kept in `result` or `error`
 *	SETTLED   stored, but its reader is paused
 *
 * Where a gate is to be asked (action/gate.h), a call stays STORING until it has passed: `check` is
 * the question that has no answer yet. What the gate says is an event, and is on disk before it
 * counts.
 *
 * An action that only reads has no events: it is open at once, and its answer is passed on at once.
 * Calls that are not over hang on their sandbox; those that are hang on the runtime, since the
 * sandbox may go.
 *
 * What comes from the executor is checked before anybody sees it: it lives next to what it guards
 * against. Data is only bytes; events and results must be JSON.
 */
#include "runtime/internal.h"

#include "action/channel.h"
#include "action/tool_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/outside.h"
#include "wire/trim.h"

enum {
	PARAMS_ARENA_MAX = 64 * 1024 * 1024,
	REQUEST_ROOM = 256,          /* of a request, around its parameters */
	EARLY_MAX = 4 * 1024 * 1024, /* input before the call is open */
	EARLY_HIGH = 256 * 1024,     /* at which its sender is asked to wait */
};

enum call_phase { STORING, OPEN, OUTSIDE, SETTLING, SETTLED };

struct runtime_call {
	struct list link; /* sandbox::calls, or runtime::settling */
	struct runtime *rt;
	struct sandbox *sandbox; /* NULL from SETTLING on */
	const struct action *action;
	const struct call_sink *sink;
	void *arg;
	enum call_phase phase;
	struct channel *channel;
	struct outside_call *outside;
	struct buf request; /* until it is sent */
	struct buf early;   /* frames to be sent after it */
	struct store_wait wait;
	int64_t seq; /* of its action event; 0: it has none */
	int64_t started_us;
	struct gate_check *check;
	bool is_stored; /* STORING: only the check is missing */
	struct buf result;
	struct error error; /* ERROR_OK: result counts */
	bool is_paused;
	bool has_events, is_gated, is_own;
	bool is_held;  /* STORING: until its sandbox is held no more */
	bool was_full; /* drain is owed to the caller */
};

static void drop_check(struct runtime_call *call)
{
	struct gate *gate = call->rt->gate;
	if (gate)
		gate->drop(gate, call->check);
	call->check = NULL;
}

static void call_free(struct runtime_call *call)
{
	list_remove(&call->link);
	drop_check(call);
	store_forget(&call->wait);
	loop_undefer(call->rt->loop, call);
	channel_free(call->channel);
	outside_drop(call->outside);
	buf_fini(&call->request);
	buf_fini(&call->early);
	buf_fini(&call->result);
	free(call);
}

/* The end of a call. */

static void deliver(void *arg)
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
	deliver(call);
}

static void leave_sandbox(struct runtime_call *call)
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
	drop_check(call);
	store_forget(&call->wait);
	loop_undefer(call->rt->loop, call);
	if (has_observation)
		audit_add(s, "observation", call->seq, data);
	leave_sandbox(call);
	if (!has_observation) {
		loop_defer(call->rt->loop, deliver, call);
		return;
	}
	call->wait.fn = on_settled;
	call->wait.arg = call;
	store_after(call->rt->store, &call->wait);
}

static void fail(struct runtime_call *call, const struct error *err)
{
	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
	call->error = *err;
	audit_error(call->action, clock_mono_us() - call->started_us, err, &data);
	if (err->code == ERROR_DISCONNECTED)
		life_tell(call->sandbox, STATUS_ERROR_RUNTIME_DISCONNECTED, err->text);
	settle(call, &data);
}

static void finish(struct runtime_call *call, struct str result)
{
	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
	struct error err;
	if (audit_result(call->action, clock_mono_us() - call->started_us, result, &data, &err) <
		0) {
		fail(call, &err);
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
	leave_sandbox(call);
	call_free(call);
	sink->result(arg, result);
}

/* What the executor sends. */

static void on_event(struct runtime_call *call, struct str json)
{
	struct error err;
	if (trim_json(json, FRAME_PAYLOAD_MAX, NULL, NULL, &err) < 0) {
		error_wrap(&err, "the executor's event of %s", call->action->name);
		fail(call, &err);
	} else if (call->sink->event) {
		call->sink->event(call->arg, json);
	}
}

static void on_error(struct runtime_call *call, struct str payload)
{
	struct error err;
	auto_json struct json *json = NULL;
	if (json_parse(payload, &json, &err) == 0)
		json_to_error(json, &err);
	fail(call, &err);
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
		fail(call, &err);
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
	fail(call, &err);
}

static void on_drain(void *arg)
{
	struct runtime_call *call = arg;
	if (call->was_full && call->sink->drain) {
		call->was_full = false;
		call->sink->drain(call->arg);
	}
}

static const struct channel_ops channel_ops = { on_frame, on_end, on_drain };

/* The beginning of a call. */

static void send_early(struct runtime_call *call)
{
	struct str rest = buf_str(&call->early);
	struct frame frame;
	ssize_t n;
	while ((n = frame_parse(rest, &frame, NULL)) > 0) {
		channel_send(call->channel, frame.kind, frame.channel, frame.payload);
		rest = str_skip(rest, (size_t)n);
	}
	buf_fini(&call->early);
	buf_init(&call->early, EARLY_MAX);
}

static void owe_drain(void *arg)
{
	struct runtime_call *call = arg;
	if (call->phase == OPEN && !channel_is_full(call->channel))
		on_drain(call);
}

static int connect_call(struct runtime_call *call, struct error *err)
{
	struct backend *b = call->rt->backend;
	call->channel = spare_take(call->sandbox);
	if (call->channel) {
		channel_hand_over(call->channel, &channel_ops, call);
		return 0;
	}
	int fd = -1;
	if (b->ops->open_call(b, call->sandbox->backend_id, &fd, err) < 0)
		return -1;
	call->channel = channel_new(call->rt->loop, fd, &channel_ops, call);
	return 0;
}

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
	fail(call, err);
}

/* True: it is not for the executor. */
static bool open_outside(struct runtime_call *call)
{
	static const struct outside_ops ops = { on_outside_result, on_outside_error };
	if (!call->sandbox->outside_json)
		return false;
	call->outside = outside_take(call->sandbox, call->action, buf_str(&call->request), &ops,
		call);
	if (!call->outside)
		return false;
	call->phase = OUTSIDE;
	buf_fini(&call->request);
	buf_init(&call->request, 0);
	return true;
}

static void open_call(struct runtime_call *call)
{
	struct error err;
	if (open_outside(call))
		return;
	if (connect_call(call, &err) < 0) {
		fail(call, &err);
		return;
	}
	call->phase = OPEN;
	channel_send(call->channel, FRAME_REQUEST, 0, buf_str(&call->request));
	buf_fini(&call->request);
	buf_init(&call->request, 0);
	send_early(call);
	channel_pause(call->channel, call->is_paused);
	if (call->was_full)
		loop_defer(call->rt->loop, owe_drain, call);
}

/* What only reads has no event, and need not wait. */
static void begin(struct runtime_call *call)
{
	call->is_held = call->sandbox->is_held && call->has_events;
	if (!call->is_held)
		open_call(call);
}

void call_hold(struct sandbox *s, bool is_held)
{
	struct runtime_call *call, *next;
	s->is_held = is_held;
	if (is_held)
		return;
	list_for_each_safe(call, next, &s->calls, link) {
		if (call->is_held)
			begin(call);
	}
}

static void on_action_stored(void *arg, const struct error *err)
{
	struct runtime_call *call = arg;
	if (!err) {
		call->is_stored = true;
		if (!call->check)
			begin(call);
		return;
	}
	struct error refused = *err;
	error_wrap(&refused, "%s was not performed, since it could not be recorded",
		call->action->name);
	call->seq = 0; /* what it refers to is not in the log */
	fail(call, &refused);
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
	buf_init(&call->early, EARLY_MAX);
	buf_init(&call->result, FRAME_PAYLOAD_MAX);
	list_init(&call->wait.link);
	list_append(&s->calls, &call->link);
	call->rt->calls++;
	call->rt->calls_under_way++;
	s->n_calls++;
	life_touch(s);
	return call;
}

static int build_request(struct runtime_call *call, struct str params, struct error *err)
{
	if (params.len > FRAME_PAYLOAD_MAX - REQUEST_ROOM)
		return error_set(err, ERROR_TOO_LARGE,
			"%s: parameters of %zu bytes; the limit is %d", call->action->name,
			params.len, FRAME_PAYLOAD_MAX - REQUEST_ROOM);
	buf_puts(&call->request, "{\"action\":\"");
	buf_puts(&call->request, call->action->name);
	buf_puts(&call->request, "\",\"params\":");
	buf_put(&call->request, params.len ? params : STR("{}"));
	buf_puts(&call->request, "}");
	return 0;
}

int call_check_usable(struct sandbox *s, struct error *err)
{
	if (s->state != SANDBOX_READY && s->state != SANDBOX_RUNNING)
		return sandbox_refuse(s, sandbox_is_alive(s) ? ERROR_CONFLICT : ERROR_GONE, err);
	if (s->n_calls > RUNTIME_CALLS_MAX)
		return error_set(err, ERROR_LIMIT,
			"sandbox %s performs %d actions; that is the limit", s->id,
			RUNTIME_CALLS_MAX);
	return 0;
}

/* The gate. */

static void on_verdict_noted(void *arg, struct str json)
{
	struct runtime_call *call = arg;
	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
	buf_put(&data, json);
	audit_add(call->sandbox, "verdict", call->seq, &data);
}

static void wait_for_store(struct runtime_call *call)
{
	call->is_stored = false;
	store_forget(&call->wait);
	call->wait.fn = on_action_stored;
	call->wait.arg = call;
	store_after(call->rt->store, &call->wait);
}

/* The verdict of somebody who had to be waited for. */
static void on_judged(void *arg, const struct error *refused)
{
	struct runtime_call *call = arg;
	call->check = NULL;
	if (refused)
		fail(call, refused);
	else
		wait_for_store(call);
}

static bool is_gated(const struct runtime_call *call)
{
	struct gate *gate = call->rt->gate;
	return gate && call->sandbox->guard_json && gate->wants(gate, str_from(call->action->name));
}

static int ask_gate(struct runtime_call *call, const struct json *params, struct error *err)
{
	static const struct gate_asker asker = { .note = on_verdict_noted, .done = on_judged };
	const struct gate_question question = {
		.sandbox = call->sandbox->id,
		.settings = str_from(call->sandbox->guard_json),
		.name = str_from(call->action->name),
		.description = str_from(call->action->summary),
		.params = params,
	};
	struct gate *gate = call->rt->gate;
	return gate->ask(gate, &question, &asker, call, &call->check, err) == GATE_REFUSED ? -1 : 0;
}

/* Checks the parameters and, unless the action only reads, writes its event. */
static int prepare(struct runtime_call *call, struct str params_json, struct error *err)
{
	const struct action *action = call->action;
	auto_json struct json *params = NULL;
	auto_arena struct arena arena = ARENA_INIT(PARAMS_ARENA_MAX);
	void *decoded;
	if (call_check_usable(call->sandbox, err) < 0 || build_request(call, params_json, err) < 0)
		return -1;
	if (params_json.len && json_parse(params_json, &params, err) < 0)
		return error_wrap(err, "%s", action->name);
	if (action_decode(action, params, &arena, &decoded, err) < 0)
		return -1;
	call->is_gated = !call->is_own && is_gated(call);
	if (action->flags & ACTION_READS)
		return call->is_gated ? ask_gate(call, params, err) : 0;

	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
	audit_action(action, params, &data);
	call->seq = audit_add(call->sandbox, "action", 0, &data);
	call->has_events = true;
	if (call->sandbox->n_busy++ == 0)
		life_apply(call->sandbox, LIFE_BUSY);
	return call->is_gated ? ask_gate(call, params, err) : 0;
}

static struct runtime_call *perform(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg, bool is_own)
{
	struct runtime_call *call = call_new(s, action, sink, arg);
	struct error err;
	call->is_own = is_own;
	if (prepare(call, params_json, &err) < 0) {
		fail(call, &err);
	} else if (call->seq || call->is_gated) {
		wait_for_store(call);
	} else {
		open_call(call);
	}
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

struct runtime_call *call_perform_quietly(struct sandbox *s, const struct action *action,
	struct str params_json, const struct call_sink *sink, void *arg)
{
	struct runtime_call *call = call_new(s, action, sink, arg);
	struct error err;
	if (build_request(call, params_json, &err) < 0)
		fail(call, &err);
	else
		open_call(call);
	return call;
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
			call->action->name, EARLY_MAX);
		fail(call, &err);
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
	return call->phase == STORING && call->early.len >= EARLY_HIGH;
}

void runtime_call_pause(struct runtime_call *call, bool is_paused)
{
	if (call->is_paused == is_paused)
		return;
	call->is_paused = is_paused;
	if (call->phase == OPEN)
		channel_pause(call->channel, is_paused);
	else if (call->phase == SETTLED && !is_paused)
		loop_defer(call->rt->loop, deliver, call);
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
		leave_sandbox(call);
	}
	call_free(call);
}

void call_end_all(struct sandbox *s, const struct error *gone)
{
	while (!list_is_empty(&s->calls))
		fail(list_get_first(&s->calls, struct runtime_call, link), gone);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/call_internal.h"

#include "base/auto.h"
#include "base/bug.h"

enum {
	PARAMS_ARENA_MAX = 64 * 1024 * 1024,
	REQUEST_ROOM = 256,                 /* of a request, around its parameters */
	UNFINISHED_MAX = 256 * 1024 * 1024, /* of frames that all calls of a sandbox leave so */
};

/* ---- performed ---- */

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
	buf_init(&call->early, CALL_EARLY_MAX);
}

static void owe_drain(void *arg)
{
	struct runtime_call *call = arg;
	if (call->phase == OPEN && !channel_is_full(call->channel))
		call_drained(call);
}

static int open_socket(struct runtime_call *call, int stream_fd, int *ret_fd, struct error *err)
{
	struct backend *b = call->rt->backend;
	const char *id = call->sandbox->backend_id;
	if (stream_fd < 0)
		return b->ops->open_call(b, id, ret_fd, err);
	if (!b->ops->open_call_with)
		return error_set(err, ERROR_UNSUPPORTED, "%s: out of reach for the backend %s",
			call->action->name, b->ops->name);
	return b->ops->open_call_with(b, id, stream_fd, ret_fd, err);
}

static int connect_call(struct runtime_call *call, int stream_fd, struct error *err)
{
	call->channel = stream_fd < 0 ? spare_take(call->sandbox) : NULL;
	if (call->channel) {
		channel_hand_over(call->channel, &call_channel_ops, call);
		return 0;
	}
	int fd = -1;
	if (open_socket(call, stream_fd, &fd, err) < 0)
		return -1;
	call->channel = channel_new(call->rt->loop, fd, &call_channel_ops, call);
	channel_set_account(call->channel, &call->sandbox->unfinished, UNFINISHED_MAX);
	return 0;
}

/* True: it is not for the executor. */
static bool open_outside(struct runtime_call *call)
{
	if (!call->sandbox->outside_json)
		return false;
	call->outside = outside_take(call->sandbox, call->action, buf_str(&call->request),
		&call_outside_ops, call);
	if (!call->outside)
		return false;
	call->phase = OUTSIDE;
	buf_fini(&call->request);
	buf_init(&call->request, 0);
	return true;
}

static void open_call_with(struct runtime_call *call, int stream_fd)
{
	struct error err;
	if (open_outside(call))
		return;
	if (connect_call(call, stream_fd, &err) < 0) {
		call_end_failed(call, &err);
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

static void open_call(struct runtime_call *call)
{
	open_call_with(call, -1);
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
	call_end_failed(call, &refused);
}

/* ---- judged ---- */

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
		call_end_failed(call, refused);
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

/* ---- checked ---- */

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

void call_begin(struct runtime_call *call, struct str params_json)
{
	struct error err;
	if (prepare(call, params_json, &err) < 0)
		call_end_failed(call, &err);
	else if (call->seq || call->is_gated)
		wait_for_store(call);
	else
		open_call(call);
}

void call_begin_quietly(struct runtime_call *call, struct str params_json, int stream_fd)
{
	struct error err;
	if (build_request(call, params_json, &err) < 0)
		call_end_failed(call, &err);
	else
		open_call_with(call, stream_fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_attach: a caller's terminal on a session's terminal, both ways, until the command ends or
 * the caller leaves. A caller that does not read stops the command that writes, as a terminal does.
 */
#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "executor/session_report.h"
#include "executor/session_verbs.h"

struct attachment {
	struct session_wait wait;
	struct session_tap tap;
	struct call *call;
	struct session *session; /* NULL: it has been left */
};

static void finish(struct attachment *a, const char *status, bool has_exit_code)
{
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "status", str_from(status));
	jsonw_key(&w, "exit_code");
	if (has_exit_code)
		jsonw_int(&w, a->wait.ended->exit_code);
	else
		jsonw_null(&w);
	jsonw_close(&w);
	call_finish(a->call, buf_str(&b));
}

static void on_outcome(struct session_wait *wait, enum outcome outcome)
{
	struct attachment *a = container_of(wait, struct attachment, wait);
	auto_buf struct buf seen = BUF_INIT(SIZE_MAX / 2);
	session_take_output(wait->ended, &seen, true); /* the caller has had it all */
	finish(a, outcome_name(outcome), true);
}

static void on_output(struct session_tap *tap, struct str bytes)
{
	struct attachment *a = container_of(tap, struct attachment, tap);
	call_send(a->call, 1, bytes);
	tap->is_full = channel_is_full(a->call->channel);
}

static int attach(struct attachment *a, const struct session_attach_params *p, struct error *err)
{
	struct session *s;
	if (session_get(a->call->executor, p->session, &s, err) < 0)
		return -1;
	if (s->wait)
		return error_set(err, ERROR_CONFLICT, "another call waits for session %s", s->name);
	bool is_idle = s->state == SESSION_IDLE || s->state == SESSION_ENDED ||
		(s->state == SESSION_STARTING && s->command.len == 0);
	if (session_resize(s, (int)p->cols, (int)p->rows, err) < 0)
		return -1;
	if (is_idle && session_run(s, p->command, STR_NONE, err) < 0)
		return -1;
	a->session = s;
	a->tap.on_output = on_output;
	session_tap(s, &a->tap);
	a->wait.on_outcome = on_outcome;
	return session_wait(s, &a->wait, err);
}

static void attach_start(struct call *call, const void *params)
{
	struct attachment *a = arena_new(&call->arena, struct attachment);
	struct error err;
	a->call = call;
	list_init(&a->tap.link);
	call->state = a;
	if (attach(a, params, &err) < 0) {
		error_wrap(&err, "session_attach");
		call_fail(call, &err);
	}
}

static void attach_data(struct call *call, uint8_t channel, struct str bytes)
{
	struct attachment *a = call->state;
	struct error err;
	if (session_type(a->session, bytes, STR_NONE, &err) < 0)
		call_fail(call, &err);
}

static void attach_eof(struct call *call, uint8_t channel)
{
	finish(call->state, "detached", false);
}

static void attach_control(struct call *call, const struct json *control)
{
	struct attachment *a = call->state;
	const struct json *size = json_find(control, "resize");
	int64_t cols = json_int(json_at(size, 0)), rows = json_int(json_at(size, 1));
	if (cols >= 2 && cols <= 2000 && rows >= 2 && rows <= 1000)
		session_resize(a->session, (int)cols, (int)rows, NULL);
}

static void attach_drain(struct call *call)
{
	struct attachment *a = call->state;
	session_tap_resume(a->session, &a->tap);
}

static void attach_drop(struct call *call)
{
	struct attachment *a = call->state;
	if (!a)
		return;
	session_unwait(&a->wait);
	if (!list_is_empty(&a->tap.link)) { /* else the session is gone */
		session_untap(a->session, &a->tap);
		session_resize(a->session, SESSION_COLS, SESSION_ROWS, NULL);
	}
}

const struct verb session_attach_verb = {
	.action = &session_attach_action,
	.start = attach_start,
	.data = attach_data,
	.eof = attach_eof,
	.control = attach_control,
	.drain = attach_drain,
	.drop = attach_drop,
};

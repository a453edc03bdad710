/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/session_verbs.h"

#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/expects.h"
#include "executor/keys.h"
#include "executor/session_report.h"
#include "executor/syntax.h"

#include <stdio.h>

static void fail(struct call *call, struct error *err)
{
	error_wrap(err, "%s", call->verb->action->name);
	call_fail(call, err);
}

/* ---- run ---- */

struct run {
	struct session_wait wait;
	struct call *call;
	const struct run_params *p;
	struct expects *expects;
	struct syntax *syntax; /* NULL: it is not being checked */
	struct session
		*queued; /* whose command is waited for before ours begins; NULL: ours runs */
	int64_t end_ms;  /* monotonic; 0: never */
};

static void close_fresh(void *arg)
{
	session_close(arg);
}

static void finish_run(struct run *run, struct session *s, enum outcome outcome)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct call *call = run->call;
	const struct telling telling = { outcome, run->expects, str_is(run->p->invalid, "escape") };
	session_put_outcome(s, &telling, &b);
	bool is_over = outcome == OUTCOME_EXITED || outcome == OUTCOME_ENDED;
	if (s->is_fresh && (is_over || call->executor->is_stateless))
		loop_defer(call->executor->loop, close_fresh,
			s); /* not from within its own event */
	call_finish(call, buf_str(&b));
}

static void run_queued(void *arg);

static void on_outcome(struct session_wait *wait, enum outcome outcome)
{
	struct run *run = container_of(wait, struct run, wait);
	if (run->queued && (outcome == OUTCOME_EXITED || outcome == OUTCOME_ENDED))
		loop_defer(run->call->executor->loop, run_queued,
			run); /* not from within its event */
	else
		finish_run(run, wait->ended, outcome);
}

/* A terminal sends a carriage return for Enter; what it shows is a newline. */
static int type_line(struct session *s, struct str text, struct error *err)
{
	auto_buf struct buf typed = BUF_INIT(RUN_COMMAND_MAX + 1);
	auto_buf struct buf echo = BUF_INIT(RUN_COMMAND_MAX + 1);
	buf_put(&typed, text);
	buf_putc(&typed, '\r');
	for (size_t i = 0; i < typed.len; i++)
		if (typed.ptr[i] == '\n')
			typed.ptr[i] = '\r';
	buf_put(&echo, text);
	buf_putc(&echo, '\n');
	return session_type(s, buf_str(&typed), buf_str(&echo), err);
}

static int press(struct session *s, struct str names, struct error *err)
{
	auto_buf struct buf bytes = BUF_INIT(4096);
	if (keys_parse(names, &bytes, err) < 0)
		return -1;
	return session_type(s, buf_str(&bytes), STR_NONE, err);
}

/* C-c at the prompt: what every shell makes of it. */
static bool is_idle_interrupt(const struct session *s, const struct run_params *p)
{
	return str_is(p->keys, "C-c") && !session_is_running(s) && !s->has_outcome;
}

static int go_on(struct session *s, const struct run_params *p, struct error *err)
{
	if (session_is_running(s) && p->input)
		return type_line(s, p->command, err);
	if (session_is_running(s) && p->keys.len)
		return press(s, p->keys, err);
	/*
	 * A shell that starts is waited for by who gave it a command: without one it would be for
	 * ever.
	 */
	if (s->state == SESSION_STARTING && !session_is_running(s) && !is_idle_interrupt(s, p))
		return error_set(err, ERROR_CONFLICT, "nothing is running in session %s", s->name);
	return 0; /* session_wait refuses if there is nothing to wait for */
}

static int find_session(struct executor *e, struct str name, bool opens, struct session **ret,
	struct error *err)
{
	*ret = session_find(e, name);
	if (*ret || opens)
		return *ret ? 0 : session_get(e, name, ret, err);
	return error_set(err, ERROR_NOT_FOUND, "no session '%.*s'", STR_ARG(str_first(name, 64)));
}

/* Whether it is a command, and not something to type or to wait for. */
static bool is_new_command(const struct run_params *p, const struct session *s)
{
	bool types = p->input && !(p->or_run && s && !session_is_running(s));
	return !types && p->keys.len == 0 && p->command.len;
}

static int begin(struct executor *e, struct run *run, struct session **ret, struct error *err)
{
	const struct run_params *p = run->p;
	char name[SESSION_NAME_MAX];
	struct str session = p->session;
	struct session *s;
	if (p->command.len > RUN_COMMAND_MAX)
		return error_set(err, ERROR_TOO_LARGE, "a command of %zu bytes; the limit is %d",
			p->command.len, RUN_COMMAND_MAX);
	if (e->is_stateless && !is_new_command(p, NULL))
		return error_set(err, ERROR_UNSUPPORTED,
			"a sandbox of the backend cli keeps no shell: there is nothing to type into, "
			"and the command was not sent to any process");
	if (p->fresh || e->is_stateless) {
		snprintf(name, sizeof(name), "fresh-%lld", (long long)e->next_fresh++);
		session = str_from(name);
	}
	if (find_session(e, session, p->open || p->fresh || e->is_stateless, &s, err) < 0)
		return -1;
	s->is_fresh |= p->fresh || e->is_stateless;
	bool is_command = is_new_command(p, s);
	if (is_command)
		screen_set_limit(s->screen, (size_t)p->output_bytes);
	run->queued = is_command && p->queue && session_is_running(s) ? s : NULL;
	int r = run->queued  ? 0
		: is_command ? session_run(s, p->command, p->cwd, err)
			     : go_on(s, p, err);
	if (r == 0)
		*ret = s;
	return r;
}

static void wait_for(struct run *run, struct session *s)
{
	struct error err;
	int64_t left_ms = run->end_ms - clock_mono_ms();
	run->wait = (struct session_wait){
		.timeout_ms = run->end_ms ? MAX(left_ms, (int64_t)1) : 0,
		.quiet_ms = run->queued ? 0 : run->p->quiet_ms,
		.until_input = !run->queued && run->p->until_input,
		.expects = run->queued ? NULL : run->expects,
		.on_outcome = on_outcome,
	};
	if (session_wait(s, &run->wait, &err) < 0)
		fail(run->call, &err);
}

static void begin_run(struct run *run)
{
	struct session *s = NULL;
	struct error err;
	if (begin(run->call->executor, run, &s, &err) < 0) {
		fail(run->call, &err);
		return;
	}
	if (!is_idle_interrupt(s, run->p)) {
		wait_for(run, s);
		return;
	}
	s->exit_code = 130;
	screen_feed(s->screen, STR("^C\n"));
	finish_run(run, s, OUTCOME_EXITED);
}

/* What ran before is over. */
static void run_queued(void *arg)
{
	struct run *run = arg;
	begin_run(run);
}

static void on_checked(void *arg, const struct syntax_verdict *v, const struct error *err)
{
	struct run *run = arg;
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	struct error failure;
	run->syntax = NULL;
	if (err) {
		failure = *err;
		fail(run->call, &failure);
	} else if (v->exit_code == 0) {
		begin_run(run);
	} else {
		jsonw_open(&w);
		jsonw_key_str(&w, "status", STR("syntax_error"));
		jsonw_key_int(&w, "exit_code", v->exit_code);
		jsonw_key_str(&w, "output", v->output);
		jsonw_key_str(&w, "session", run->p->session);
		jsonw_key_str(&w, "command", run->p->command);
		jsonw_close(&w);
		call_finish(run->call, buf_str(&b));
	}
}

static void run_start(struct call *call, const void *params)
{
	struct run *run = arena_new(&call->arena, struct run);
	struct session *s;
	struct error err;
	run->call = call;
	run->p = params;
	run->end_ms = run->p->timeout_ms ? clock_mono_ms() + run->p->timeout_ms : 0;
	call->state = run;
	if (expects_new(&run->p->expect, &call->arena, &run->expects, &err) < 0) {
		fail(call, &err);
	} else if (!run->p->syntax || !run->p->command.len) {
		begin_run(run);
	} else if ((!run->p->open &&
			   find_session(call->executor, run->p->session, false, &s, &err) < 0) ||
		syntax_check(call->executor, run->p->command, on_checked, run, &run->syntax, &err) <
			0) {
		fail(call, &err);
	}
}

static void run_drop(struct call *call)
{
	struct run *run = call->state;
	if (!run)
		return;
	loop_undefer(call->executor->loop, run);
	syntax_drop(run->syntax);
	session_unwait(&run->wait);
	expects_fini(run->expects);
}

const struct verb run_verb = { .action = &run_action, .start = run_start, .drop = run_drop };

/* ---- the small ones ---- */

static void finish_session(struct call *call, const struct session *s)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	session_put(s, &w);
	call_finish(call, buf_str(&b));
}

static void open_start(struct call *call, const void *params)
{
	const struct session_open_params *p = params;
	struct session *s;
	struct error err;
	if (!str_is(p->shell, "bash")) {
		error_set(&err, ERROR_UNSUPPORTED,
			"there are no sessions of %.*s, only of bash: run it in one, or with exec on a terminal",
			STR_ARG(str_first(p->shell, 60)));
		fail(call, &err);
		return;
	}
	if (session_open(call->executor, p->session, p->cwd, &p->env, (int)p->cols, (int)p->rows,
		    &s, &err) < 0)
		fail(call, &err);
	else
		finish_session(call, s);
}

const struct verb session_open_verb = { .action = &session_open_action, .start = open_start };

/* NULL, and the call has failed, if there is none. */
static struct session *find(struct call *call, struct str name)
{
	struct session *s = session_find(call->executor, name);
	struct error err;
	if (!s) {
		error_set(&err, ERROR_NOT_FOUND, "no session '%.*s'", STR_ARG(str_first(name, 64)));
		fail(call, &err);
	}
	return s;
}

static void input_start(struct call *call, const void *params)
{
	const struct session_input_params *p = params;
	struct session *s = find(call, p->session);
	struct error err;
	if (!s)
		return;
	if (!session_is_running(s))
		error_set(&err, ERROR_CONFLICT, "nothing is running in session %s", s->name);
	else if (session_type(s, p->text, STR_NONE, &err) == 0 && press(s, p->keys, &err) == 0) {
		finish_session(call, s);
		return;
	}
	fail(call, &err);
}

const struct verb session_input_verb = { .action = &session_input_action, .start = input_start };

static void resize_start(struct call *call, const void *params)
{
	const struct session_resize_params *p = params;
	struct session *s = find(call, p->session);
	struct error err;
	if (!s)
		return;
	if (session_resize(s, (int)p->cols, (int)p->rows, &err) < 0)
		fail(call, &err);
	else
		finish_session(call, s);
}

const struct verb session_resize_verb = { .action = &session_resize_action, .start = resize_start };

static void close_start(struct call *call, const void *params)
{
	const struct session_name_params *p = params;
	struct session *s = find(call, p->session);
	if (!s)
		return;
	session_close(s);
	call_finish(call, STR("{}"));
}

const struct verb session_close_verb = { .action = &session_close_action, .start = close_start };

static void list_start(struct call *call, const void *params)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	struct session *s;
	jsonw_open(&w);
	jsonw_key(&w, "sessions");
	jsonw_open_array(&w);
	list_for_each(s, &call->executor->sessions, link)
		session_put(s, &w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	call_finish(call, buf_str(&b));
}

const struct verb session_list_verb = { .action = &session_list_action, .start = list_start };

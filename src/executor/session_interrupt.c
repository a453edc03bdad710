/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb session_interrupt. C-c some times; then C-z, so that the shell has the terminal again,
 * and SIGKILL to what was in the foreground. A program that does not even stop is killed where it
 * is. The shell itself is never killed: a loop of builtins that takes no C-c goes on, and that is
 * the result.
 *
 * A shell tells of the end of a stopped job before its next prompt, if it has heard of it by then.
 * So that it is the next command's output that says so, and not one after it by chance, the result
 * waits until the shell has. The kernel tells nobody but the shell: a timer looks.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "action/session_actions.h"
#include "executor/executor.h"
#include "executor/expects.h"
#include "executor/session_report.h"
#include "executor/session_verbs.h"
#include "executor/session_wait.h"

#include <signal.h>
#include <sys/ioctl.h>

enum phase { PHASE_ASK, PHASE_STOP, PHASE_KILL };

struct interrupt {
	struct session_wait wait;
	struct call *call;
	const struct session_interrupt_params *p;
	struct expects *expects;
	enum phase phase;
	int64_t n_tries;
	pid_t group; /* in the foreground, when it was stopped; 0: none but the shell's */
	struct timer *look;
	int n_looks;
	struct buf result; /* while it looks */
};

enum { LOOK_MS = 2, LOOKS_MAX = 500 };

static void fail(struct call *call, struct error *err)
{
	error_wrap(err, "%s", call->verb->action->name);
	call_fail(call, err);
}

static void put_result(struct interrupt *in, struct session *s, enum outcome outcome, struct buf *b)
{
	const struct telling t = { outcome, in->expects, str_is(in->p->invalid, "escape") };
	session_put_outcome(s, &t, b);
}

static void finish(struct interrupt *in, struct session *s, enum outcome outcome)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	put_result(in, s, outcome, &b);
	call_finish(in->call, buf_str(&b));
}

static pid_t foreground_of(const struct session *s)
{
	pid_t group = 0;
	if (!s->shell || ioctl(s->shell->pty.master_fd, TIOCGPGRP, &group) < 0)
		return 0;
	return group > 0 && group != s->shell->child.own_pid ? group : 0;
}

static void on_outcome(struct session_wait *wait, enum outcome outcome);

static int press(struct interrupt *in, struct session *s, const char *key, struct error *err)
{
	if (key && session_type(s, str_from(key), STR_NONE, err) < 0)
		return -1;
	in->wait = (struct session_wait){
		.timeout_ms = in->p->wait_ms,
		.expects = in->expects,
		.on_outcome = on_outcome,
	};
	return session_wait(s, &in->wait, err);
}

/* The next thing to try; 1: there is none. */
static int go_on(struct interrupt *in, struct session *s, struct error *err)
{
	if (in->phase == PHASE_ASK && in->n_tries++ < in->p->tries)
		return press(in, s, "\003", err);
	if (in->phase == PHASE_ASK) {
		in->phase = PHASE_STOP;
		in->group = foreground_of(s);
		return in->group ? press(in, s, "\032", err) : 1;
	}
	if (in->phase == PHASE_KILL)
		return 1;
	in->phase = PHASE_KILL;
	kill(-in->group, SIGKILL);
	return press(in, s, NULL, err);
}

static void on_look(void *arg)
{
	struct interrupt *in = arg;
	bool is_there = kill(-in->group, 0) == 0;
	if (is_there && ++in->n_looks < LOOKS_MAX)
		timer_set(in->look, LOOK_MS);
	else
		call_finish(in->call, buf_str(&in->result));
}

/* It is stopped, and the shell has the terminal. */
static void kill_stopped(struct interrupt *in, struct session *s)
{
	kill(-in->group, SIGKILL);
	put_result(in, s, OUTCOME_EXITED, &in->result);
	in->look = timer_new(in->call->executor->loop, on_look, in);
	timer_set(in->look, LOOK_MS);
}

static void on_outcome(struct session_wait *wait, enum outcome outcome)
{
	struct interrupt *in = container_of(wait, struct interrupt, wait);
	struct session *s = wait->ended;
	struct error err;
	if (outcome == OUTCOME_EXITED && in->phase == PHASE_STOP) {
		kill_stopped(in, s);
		return;
	}
	int r = outcome == OUTCOME_RUNNING ? go_on(in, s, &err) : 1;
	if (r < 0)
		fail(in->call, &err);
	else if (r > 0)
		finish(in, s, outcome);
}

/* 1: there is nothing to wait for. */
static int begin(struct interrupt *in, struct session *s, struct error *err)
{
	if (!s)
		return error_set(err, ERROR_NOT_FOUND, "no session '%.*s'",
			STR_ARG(str_first(in->p->session, SESSION_NAME_MAX)));
	if (expects_new(&in->p->expect, &in->call->arena, &in->expects, err) < 0)
		return -1;
	if (s->wait)
		session_end_wait(s, OUTCOME_RUNNING);
	if (session_is_running(s))
		return go_on(in, s, err);
	s->has_outcome = false; /* this is where it is told */
	return 1;
}

static void interrupt_start(struct call *call, const void *params)
{
	struct interrupt *in = arena_new(&call->arena, struct interrupt);
	struct error err;
	in->call = call;
	in->p = params;
	buf_init(&in->result, FRAME_PAYLOAD_MAX);
	call->state = in;
	struct session *s = session_find(call->executor, in->p->session);
	int r = begin(in, s, &err);
	if (r < 0)
		fail(call, &err);
	else if (r > 0)
		finish(in, s, session_is_running(s) ? OUTCOME_RUNNING : OUTCOME_EXITED);
}

static void interrupt_drop(struct call *call)
{
	struct interrupt *in = call->state;
	if (!in)
		return;
	timer_free(in->look);
	buf_fini(&in->result);
	session_unwait(&in->wait);
	expects_fini(in->expects);
}

const struct verb session_interrupt_verb = {
	.action = &session_interrupt_action,
	.start = interrupt_start,
	.drop = interrupt_drop,
};

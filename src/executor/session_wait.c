/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One timer serves a wait: it fires at the earliest of deadline, end of quiet,
 * and next look at the foreground group (executor/tty_wait.h). That look is the one place in cay
 * where something is looked at again and again: the kernel knows when a program begins to wait for
 * the keyboard, and tells nobody. The looks begin a few milliseconds after the last output and
 * their distance doubles, up to a second.
 */
#include "executor/session_wait.h"

#include "base/auto.h"
#include "base/clock.h"
#include "executor/expects.h"
#include "executor/tty_wait.h"

#include <signal.h>

enum { CHECK_FIRST_MS = 5, CHECK_LAST_MS = 1000 };

void session_end_wait(struct session *s, enum outcome outcome)
{
	struct session_wait *wait = s->wait;
	if (!wait)
		return;
	timer_clear(s->timer);
	s->wait = NULL;
	wait->session = NULL;
	wait->ended = s;
	if (outcome == OUTCOME_EXITED || outcome == OUTCOME_ENDED)
		s->has_outcome = false;
	wait->on_outcome(wait, outcome);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a && (!b || a < b) ? a : b;
}

/* When the timer of the wait has to fire next; 0: never. */
static int64_t next_look(const struct session *s)
{
	const struct session_wait *w = s->wait;
	int64_t at = w->timeout_ms ? w->began_ms + w->timeout_ms : 0;
	if (w->quiet_ms)
		at = earlier(at, MAX(s->last_output_ms, w->began_ms) + w->quiet_ms);
	if (w->until_input)
		at = earlier(at, s->next_check_ms);
	return at;
}

static void set_timer(struct session *s)
{
	int64_t at = next_look(s);
	if (at)
		timer_set(s->timer, MAX(at - clock_mono_ms(), 1));
}

/*
 * The foreground may wait for the keyboard only if everything typed is read and everything written
 * is quiet.
 */
static bool is_waiting_for_input(struct session *s, int64_t now)
{
	s->check_gap_ms = MIN(s->check_gap_ms * 2, (int64_t)CHECK_LAST_MS);
	s->next_check_ms = now + s->check_gap_ms;
	if (s->typed.len || pty_has_input(&s->shell->pty))
		return false;
	switch (tty_wait_check(s->shell->child.pid)) {
	case TTY_STOPPED: /* kill -STOP $$: in a terminal its parent shell would continue it */
		child_signal(&s->shell->child, SIGCONT, false, NULL);
		return false;
	case TTY_WAITS:
		return true;
	case TTY_BUSY:
		return false;
	}
	return false;
}

void session_on_timer(void *arg)
{
	struct session *s = arg;
	const struct session_wait *w = s->wait;
	int64_t now = clock_mono_ms();
	if (!w)
		return;
	if (s->state == SESSION_RUNNING && !s->has_report && w->until_input &&
		now >= s->next_check_ms) {
		if (s->last_output_ms + CHECK_FIRST_MS > now) { /* not quiet: begin again */
			s->check_gap_ms = CHECK_FIRST_MS;
			s->next_check_ms = s->last_output_ms + CHECK_FIRST_MS;
		} else if (is_waiting_for_input(s, now)) {
			session_end_wait(s, OUTCOME_INPUT);
			return;
		}
	}
	if (w->timeout_ms && now >= w->began_ms + w->timeout_ms)
		session_end_wait(s, OUTCOME_RUNNING);
	else if (w->quiet_ms && now >= MAX(s->last_output_ms, w->began_ms) + w->quiet_ms)
		session_end_wait(s, OUTCOME_QUIET);
	else
		set_timer(s);
}

int session_wait(struct session *s, struct session_wait *wait, struct error *err)
{
	if (s->wait)
		return error_set(err, ERROR_CONFLICT,
			"another call waits for session %s, which runs: %.*s", s->name,
			STR_ARG(str_first(buf_str(&s->command), 100)));
	if (!s->has_outcome && (s->state == SESSION_IDLE || s->state == SESSION_ENDED))
		return error_set(err, ERROR_CONFLICT, "nothing is running in session %s", s->name);
	s->wait = wait;
	wait->session = s;
	expects_feed(wait->expects, buf_str(&s->rest));
	wait->began_ms = clock_mono_ms();
	s->check_gap_ms = CHECK_FIRST_MS;
	s->next_check_ms = wait->began_ms + CHECK_FIRST_MS;
	if (s->has_outcome)
		session_end_wait(s, s->state == SESSION_ENDED ? OUTCOME_ENDED : OUTCOME_EXITED);
	else if (expects_are_met(wait->expects))
		session_end_wait(s, OUTCOME_EXPECTED);
	else
		set_timer(s);
	return 0;
}

void session_unwait(struct session_wait *wait)
{
	struct session *s = wait->session;
	if (!s)
		return;
	timer_clear(s->timer);
	s->wait = NULL;
	wait->session = NULL;
}

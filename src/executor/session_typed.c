/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What is typed goes to the terminal as it comes; what the terminal does not
 * take waits for it to be writable. A key that the terminal makes a signal of (C-c, C-z, C-\) is
 * meant for the command. If the shell has not begun that yet, the signal would hit the shell: lost
 * at best, and in the middle of its start it would leave half a shell. So such a key, and what was
 * typed behind it, is held until the shell has read the command and another program is in the
 * foreground, or should be; a second at most, so that start files which hang can be interrupted.
 * The kernel tells nobody that a packet has been read: a timer looks.
 */
#include "executor/session_typed.h"

#include "base/auto.h"
#include "base/clock.h"
#include "executor/tty_wait.h"

#include <unistd.h>

enum { HOLD_MS = 1000, START_MS = 30, LOOK_AGAIN_MS = 2 };

static bool has_begun(const struct session *s)
{
	return s->state != SESSION_STARTING && !shell_is_unread(s->shell);
}

/* How much of what waits may be written now; at its end a key may be held. */
static size_t writable(const struct session *s)
{
	if (clock_mono_ms() >= s->hold_until_ms)
		return s->typed.len;
	return pty_until_signal(&s->shell->pty, buf_str(&s->typed));
}

bool session_has_full_tap(const struct session *s)
{
	const struct session_tap *tap;
	list_for_each(tap, &s->taps, link)
		if (tap->is_full)
			return true;
	return false;
}

void session_write_typed(struct session *s)
{
	size_t most;
	while ((most = writable(s)) > 0) {
		ssize_t n = write(s->shell->pty.master_fd, s->typed.ptr, most);
		if (n <= 0)
			break;
		buf_drop_front(&s->typed, (size_t)n);
	}
	if (s->typed.len && most == 0)
		timer_set(s->typed_timer, LOOK_AGAIN_MS);
	watch_set(s->output_watch,
		(session_has_full_tap(s) ? 0 : LOOP_READ) | (most ? LOOP_WRITE : 0));
}

void session_on_typed_timer(void *arg)
{
	struct session *s = arg;
	if (!s->shell)
		return;
	int64_t now = clock_mono_ms();
	if (has_begun(s))
		s->hold_until_ms = MIN(s->hold_until_ms,
			tty_wait_is_program(s->shell->child.pid) ? now : now + START_MS);
	session_write_typed(s);
}

int session_type(struct session *s, struct str bytes, struct str echo, struct error *err)
{
	if (!s->shell)
		return error_set(err, ERROR_CONFLICT, "nothing is running in session %s", s->name);
	if (bytes.len > s->typed.limit - s->typed.len)
		return error_set(err, ERROR_LIMIT, "session %s does not read what is typed",
			s->name);
	buf_reset(&s->echo);
	if (pty_has_echo(&s->shell->pty))
		buf_put(&s->echo, echo);
	if (s->typed.len == 0)
		s->hold_until_ms = s->state == SESSION_IDLE ? 0 : clock_mono_ms() + HOLD_MS;
	buf_put(&s->typed, bytes);
	session_write_typed(s);
	return 0;
}

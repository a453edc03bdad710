/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A session is driven by events, each a descriptor's: output of the terminal,
 * a report on the shell's channel, the end of the shell. A command is over when the report has come
 * AND its output has been read. The report may overtake output that is still on its way through the
 * terminal; but a read that finds the terminal empty has waited for what was written before it. If
 * something in the background goes on writing, so that the terminal is never empty, a mark is
 * written into it, and the output ends there.
 *
 *	            run                       report                      empty, or mark
 *	  IDLE ─────────────▶ RUNNING ───────────────▶ RUNNING, has_report ─────▶ IDLE
 *	   ▲                     │ shell ends                  │ shell ends
 *	   │ first report        ▼                             ▼
 *	STARTING ◀──────────── ENDED ◀─────────────────────────┘
 *	            run
 *
 * What comes later (a job in the background that prints, a hook of the prompt) belongs to nobody
 * yet: it is the beginning of the output of the next command.
 */
#include "executor/session.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/expects.h"
#include "executor/session_report.h"
#include "executor/session_typed.h"
#include "executor/session_wait.h"

#include <signal.h>
#include <sys/wait.h>

enum {
	OUTPUT_STEP = 64 * 1024,
	OUTPUT_READS_PER_TURN = 16,
	MARK_AFTER_READS = 4, /* more than a terminal holds */
	OUTPUT_STANDARD = 1024 * 1024,
};

static void read_output(struct session *s);

/* ---- the shell ---- */

static void drop_shell(struct session *s)
{
	watch_free(s->output_watch);
	watch_free(s->channel_watch);
	watch_free(s->child_watch);
	s->output_watch = s->channel_watch = s->child_watch = NULL;
	shell_free(s->shell);
	s->shell = NULL;
	timer_clear(s->typed_timer);
	buf_reset(&s->typed);
	buf_reset(&s->after);
}

static void feed(struct session *s, struct str bytes)
{
	if (bytes.len == 0)
		return;
	s->last_output_ms = clock_mono_ms();
	screen_set_newline(s->screen, pty_is_newline(&s->shell->pty));
	screen_feed(s->screen, bytes);
	if (s->wait)
		expects_feed(s->wait->expects, bytes);
	struct session_tap *tap, *tmp;
	list_for_each_safe(tap, tmp, &s->taps, link)
		tap->on_output(tap, bytes);
}

/* The shell is ready: what its start files printed is nobody's output. */
static void become_ready(struct session *s)
{
	auto_buf struct buf ignored = BUF_INIT(SIZE_MAX / 2);
	screen_take(s->screen, &ignored, SCREEN_LAST);
	s->state = SESSION_IDLE;
	session_emit_started(s);
	if (s->command.len == 0)
		return;
	s->state = SESSION_RUNNING;
	shell_run(s->shell, buf_str(&s->command), buf_str(&s->next_cwd));
}

static void finish_command(struct session *s)
{
	s->has_mark = s->has_report = false;
	if (s->state == SESSION_STARTING) {
		become_ready(s);
		return;
	}
	s->state = SESSION_IDLE;
	s->ended_ms = clock_mono_ms();
	s->has_outcome = true;
	session_end_wait(s, OUTCOME_EXITED);
}

static void update_channel_watch(struct session *s)
{
	watch_set(s->channel_watch, LOOP_READ | (shell_flush(s->shell) ? LOOP_WRITE : 0));
}

/*
 * Report and mark are there: the command is over, and what is behind the mark begins the next
 * output.
 */
static void complete_if_done(struct session *s)
{
	if (!s->has_mark)
		return;
	auto_buf struct buf after = s->after;
	buf_init(&s->after, OUTPUT_STEP);
	finish_command(s);
	if (!s->shell)
		return;
	feed(s, buf_str(&after));
	update_channel_watch(s);
	watch_set(s->output_watch, LOOP_READ);
}

static void set_text(struct buf *b, struct str text)
{
	buf_reset(b);
	buf_put(b, text);
}

static void on_report(struct session *s, const struct shell_report *r)
{
	s->has_report = true;
	s->exit_code = r->status;
	s->background_pid = r->background_pid;
	set_text(&s->cwd, r->cwd);
	set_text(&s->path, r->path);
	set_text(&s->prompt, r->prompt);
	s->reads_since_report = 0;
	read_output(s);
}

static void on_channel(void *arg, int events)
{
	struct session *s = arg;
	struct shell_report report;
	if (events & LOOP_WRITE)
		update_channel_watch(s);
	if (!(events & LOOP_READ))
		return;
	int r = shell_receive(s->shell, &report);
	if (r > 0)
		on_report(s, &report);
	else if (r < 0) /* another program took the shell's place (exec), or it has ended */
		watch_set(s->channel_watch, 0);
}

/* Takes one read's worth of output apart. False: this was the last of the command. */
static bool take_output(struct session *s, struct str bytes)
{
	if (!s->has_report) {
		feed(s, bytes);
		return true;
	}
	auto_buf struct buf before = BUF_INIT(2 * OUTPUT_STEP);
	struct str after;
	s->has_mark = shell_split(s->shell, bytes, &before, &after);
	feed(s, buf_str(&before));
	if (!s->has_mark)
		return true;
	set_text(&s->after, after);
	return false;
}

static void read_output(struct session *s)
{
	static char bytes[OUTPUT_STEP]; /* one thread, not kept */
	for (int i = 0; i < OUTPUT_READS_PER_TURN && !s->has_mark; i++) {
		if (session_has_full_tap(s)) {
			watch_set(s->output_watch, 0);
			return;
		}
		ssize_t n = read(s->shell->pty.master_fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			/* The kernel has handed on everything that was written before this read. */
			s->has_mark = s->has_report;
			break;
		}
		if (!take_output(s, str_from_len(bytes, (size_t)n)))
			break;
		if (s->has_report && ++s->reads_since_report >= MARK_AFTER_READS)
			shell_put_mark(s->shell);
	}
	complete_if_done(s);
	if (s->wait && expects_are_met(s->wait->expects))
		session_end_wait(s, OUTCOME_EXPECTED);
}

static void on_terminal(void *arg, int events)
{
	struct session *s = arg;
	if (events & LOOP_WRITE)
		session_write_typed(s);
	if (events & LOOP_READ)
		read_output(s);
}

/* ---- the end of the shell ---- */

static int start_shell(struct session *s, bool has_rc, struct error *err);

static void finish_ended(struct session *s)
{
	s->state = SESSION_ENDED;
	s->ended_ms = clock_mono_ms();
	set_text(&s->cwd, str_from(s->start_cwd ? s->start_cwd : s->executor->workdir));
	buf_reset(&s->prompt);
	drop_shell(s);
	session_emit_ended(s);
	s->has_outcome = true;
	session_end_wait(s, OUTCOME_ENDED);
}

/*
 * With its session leader a terminal is hung up: what is in it can be read, and then there is an
 * error.
 */
static void read_rest(struct session *s)
{
	static char bytes[OUTPUT_STEP];
	ssize_t n;
	for (int i = 0; i < OUTPUT_READS_PER_TURN; i++) {
		n = read(s->shell->pty.master_fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		feed(s, str_from_len(bytes, (size_t)n));
	}
}

static void on_child(void *arg, int events)
{
	struct session *s = arg;
	int code, status;
	if (!child_reap(&s->shell->child, &code, &status))
		return;
	s->exit_code = code == CLD_EXITED ? status : 128 + status;
	read_rest(s);
	if (s->state == SESSION_STARTING && s->has_rc) {
		/*
		 * Start files that end the shell, or put another in its place, do so before it was
		 * ready.
		 */
		drop_shell(s);
		if (start_shell(s, false, NULL) == 0)
			return;
	}
	finish_ended(s);
}

static int start_shell(struct session *s, bool has_rc, struct error *err)
{
	struct executor *e = s->executor;
	auto_env struct env env = { 0 };
	env_copy(&env, &e->env);
	if (env_add(&env, &s->env, err) < 0)
		return -1;
	struct shell_plan plan = {
		.envp = env_vector(&env),
		.path = env_get(&env, STR("PATH")),
		.cwd = s->start_cwd ? s->start_cwd : e->workdir,
		.user = &e->user,
		.confine = &e->confine,
		.cols = s->cols,
		.rows = s->rows,
		.has_rc = has_rc,
	};
	if (shell_start(&plan, &s->shell, err) < 0)
		return -1;
	s->has_rc = has_rc;
	s->has_mark = s->has_report = false;
	s->n_commands = 0;
	s->background_pid = -1;
	s->state = SESSION_STARTING;
	set_text(&s->cwd, str_from(plan.cwd));
	s->output_watch = watch_new(e->loop, s->shell->pty.master_fd, LOOP_READ, on_terminal, s);
	s->channel_watch = watch_new(e->loop, s->shell->channel_fd, LOOP_READ, on_channel, s);
	s->child_watch = watch_new(e->loop, s->shell->child.pidfd, LOOP_READ, on_child, s);
	update_channel_watch(s);
	return 0;
}

/* ---- life ---- */

struct session *session_find(struct executor *e, struct str name)
{
	struct session *s;
	list_for_each(s, &e->sessions, link)
		if (str_is(name, s->name))
			return s;
	return NULL;
}

static int check_name(struct str name, struct error *err)
{
	if (name.len == 0 || name.len > SESSION_NAME_MAX)
		return error_set(err, ERROR_INVALID, "a session's name has 1 to %d bytes",
			SESSION_NAME_MAX);
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
			return error_set(err, ERROR_INVALID,
				"a session's name holds a control character");
	return 0;
}

static void session_free(struct session *s)
{
	loop_undefer(s->executor->loop, s);
	drop_shell(s);
	timer_free(s->timer);
	timer_free(s->typed_timer);
	screen_free(s->screen);
	env_fini(&s->env);
	free(s->start_cwd);
	buf_fini(&s->typed);
	buf_fini(&s->after);
	buf_fini(&s->command);
	buf_fini(&s->next_cwd);
	buf_fini(&s->cwd);
	buf_fini(&s->path);
	buf_fini(&s->prompt);
	buf_fini(&s->echo);
	buf_fini(&s->rest);
	list_remove(&s->link);
	s->executor->n_sessions--;
	free(s);
}

/* Of the terminals of all but this one, and of this one if it had that size. */
static int check_size(struct executor *e, const struct session *s, int cols, int rows,
	struct error *err)
{
	const struct session *other;
	int64_t cells = (int64_t)cols * rows;
	list_for_each(other, &e->sessions, link)
		if (other != s)
			cells += (int64_t)other->cols * other->rows;
	if (cells > EXECUTOR_CELLS_MAX)
		return error_set(err, ERROR_LIMIT,
			"the terminals of the sandbox's sessions would have over %d cells",
			EXECUTOR_CELLS_MAX);
	return 0;
}

static struct session *session_new(struct executor *e, struct str name, int cols, int rows)
{
	struct session *s = mem_new(struct session);
	s->executor = e;
	memcpy(s->name, name.ptr, name.len);
	s->cols = cols;
	s->rows = rows;
	s->created_ms = clock_wall_ms();
	s->state = SESSION_ENDED;
	list_init(&s->taps);
	s->screen = screen_new(cols, rows, OUTPUT_STANDARD);
	s->timer = timer_new(e->loop, session_on_timer, s);
	s->typed_timer = timer_new(e->loop, session_on_typed_timer, s);
	buf_init(&s->typed, SESSION_TYPED_MAX);
	buf_init(&s->after, OUTPUT_STEP);
	buf_init(&s->command, SESSION_COMMAND_MAX);
	buf_init(&s->next_cwd, SHELL_REPORT_MAX);
	buf_init(&s->cwd, SHELL_REPORT_MAX);
	buf_init(&s->path, SHELL_REPORT_MAX);
	buf_init(&s->prompt, SHELL_REPORT_MAX);
	buf_init(&s->echo, SESSION_COMMAND_MAX);
	buf_init(&s->rest, SESSION_REST_MAX);
	list_append(&e->sessions, &s->link);
	e->n_sessions++;
	return s;
}

int session_open(struct executor *e, struct str name, struct str cwd, const struct field_map *env,
	int cols, int rows, struct session **ret, struct error *err)
{
	struct session *s = session_find(e, name);
	if (check_name(name, err) < 0)
		return -1;
	if (s && s->state != SESSION_ENDED)
		return error_set(err, ERROR_EXISTS, "session %s is there already", s->name);
	if (!s && e->n_sessions >= EXECUTOR_SESSIONS_MAX)
		return error_set(err, ERROR_LIMIT, "the sandbox has %d sessions",
			EXECUTOR_SESSIONS_MAX);
	if (check_size(e, s, cols, rows, err) < 0)
		return -1;
	if (s)
		session_free(s);
	s = session_new(e, name, cols, rows);
	s->start_cwd = cwd.len ? executor_path(e, cwd) : NULL;
	if ((env && env_set_all(&s->env, env, err) < 0) || start_shell(s, true, err) < 0) {
		session_free(s);
		return -1;
	}
	*ret = s;
	return 0;
}

int session_get(struct executor *e, struct str name, struct session **ret, struct error *err)
{
	struct session *s = session_find(e, name);
	if (!s)
		return session_open(e, name, STR_NONE, NULL, SESSION_COLS, SESSION_ROWS, ret, err);
	*ret = s;
	return 0;
}

void session_close(struct session *s)
{
	if (s->state != SESSION_ENDED) {
		s->exit_code = 128 + SIGKILL;
		finish_ended(s);
	}
	struct session_tap *tap;
	while ((tap = list_first(&s->taps, struct session_tap, link)))
		list_remove(&tap->link);
	session_free(s);
}

int session_resize(struct session *s, int cols, int rows, struct error *err)
{
	if (check_size(s->executor, s, cols, rows, err) < 0)
		return -1;
	s->cols = cols;
	s->rows = rows;
	screen_resize(s->screen, cols, rows);
	if (s->shell)
		pty_resize(&s->shell->pty, cols, rows);
	return 0;
}

void sessions_free_all(struct executor *e)
{
	struct session *s;
	while ((s = list_first(&e->sessions, struct session, link)))
		session_free(s);
}

/* ---- commands ---- */

bool session_is_running(const struct session *s)
{
	return s->state == SESSION_RUNNING || (s->state == SESSION_STARTING && s->command.len);
}

static int check_idle(struct session *s, struct error *err)
{
	if (s->wait)
		return error_set(err, ERROR_CONFLICT, "another call waits for session %s", s->name);
	if (session_is_running(s))
		return error_set(err, ERROR_CONFLICT,
			"session %s still runs: %.*s; wait for it with an empty command, type into it with input "
			"or keys, or use another session",
			s->name, STR_ARG(str_first(buf_str(&s->command), 100)));
	return 0;
}

int session_run(struct session *s, struct str command, struct str cwd, struct error *err)
{
	if (check_idle(s, err) < 0)
		return -1;
	set_text(&s->command, STR_NONE);
	/* The sandbox may have been configured since; a new shell shall know. */
	if (s->state == SESSION_ENDED && start_shell(s, true, err) < 0)
		return -1;
	set_text(&s->command, command);
	set_text(&s->next_cwd, cwd);
	buf_reset(&s->echo);
	s->is_new_shell = s->n_commands++ == 0;
	s->has_outcome = false;
	s->began_ms = s->last_output_ms = clock_mono_ms();
	if (s->state == SESSION_STARTING)
		return 0;
	s->state = SESSION_RUNNING;
	pty_flush_input(&s->shell->pty);
	shell_run(s->shell, command, cwd);
	update_channel_watch(s);
	return 0;
}

/* ---- taps ---- */

void session_tap(struct session *s, struct session_tap *tap)
{
	list_append(&s->taps, &tap->link);
	if (s->shell)
		pty_set_output(&s->shell->pty, false);
}

void session_untap(struct session *s, struct session_tap *tap)
{
	list_remove(&tap->link);
	if (!s->shell)
		return;
	if (list_is_empty(&s->taps))
		pty_set_output(&s->shell->pty, true);
	session_write_typed(s);
}

void session_tap_resume(struct session *s, struct session_tap *tap)
{
	tap->is_full = false;
	if (s->shell)
		session_write_typed(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/session_report.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "executor/mask.h"
#include "wire/frame.h"
#include "wire/pattern.h"
#include "wire/utf8.h"

#include <stdio.h>
#include <sys/stat.h>

enum {
	RESULT_MAX = FRAME_PAYLOAD_MAX,
	/* A byte becomes up to 6 in JSON; command, cwd and the like need the rest. */
	OUTPUT_SURE_MAX = RESULT_MAX / 6 / 2,
};

static const char *const outcome_names[] = {
	[OUTCOME_EXITED] = "exited",
	[OUTCOME_RUNNING] = "running",
	[OUTCOME_QUIET] = "quiet",
	[OUTCOME_INPUT] = "waiting_for_input",
	[OUTCOME_EXPECTED] = "expected",
	[OUTCOME_ENDED] = "ended",
};

const char *outcome_name(enum outcome outcome)
{
	return outcome_names[outcome];
}

void session_put(const struct session *s, struct jsonw *w)
{
	bool is_running = session_is_running(s);
	jsonw_open(w);
	jsonw_key_str(w, "session", str_from(s->name));
	jsonw_key_int(w, "pid", s->shell ? s->shell->child.pid : -1);
	jsonw_key_str(w, "status",
		s->state == SESSION_ENDED ? STR("ended")
			: is_running      ? STR("running")
					  : STR("idle"));
	jsonw_key_str(w, "command", is_running ? buf_str(&s->command) : STR(""));
	jsonw_key_str(w, "cwd", buf_str(&s->cwd));
	jsonw_key_int(w, "cols", s->cols);
	jsonw_key_int(w, "rows", s->rows);
	jsonw_key_int(w, "created_ms", s->created_ms);
	jsonw_close(w);
}

static void emit(struct session *s, const char *event, const char *key, int64_t value)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "event", str_from(event));
	jsonw_key_str(&w, "session", str_from(s->name));
	jsonw_key_int(&w, key, value);
	jsonw_close(&w);
	executor_emit(s->executor, buf_str(&b));
}

void session_emit_started(struct session *s)
{
	emit(s, "session_started", "pid", s->shell->child.pid);
}

void session_emit_ended(struct session *s)
{
	emit(s, "session_ended", "exit_code", s->exit_code);
}

/* What the shell printed as prompt, as the screen shows it, at the end of the output. */
static void cut_prompt(struct session *s, struct buf *out)
{
	if (s->prompt.len == 0)
		return;
	auto_buf struct buf text = BUF_INIT(SHELL_REPORT_MAX);
	struct screen *screen = screen_new(s->cols, s->rows, SHELL_REPORT_MAX);
	screen_feed(screen, buf_str(&s->prompt));
	screen_take(screen, &text, SCREEN_LAST);
	screen_free(screen);
	if (str_ends(buf_str(out), buf_str(&text)))
		buf_cut(out, out->len - text.len);
	buf_reset(&s->prompt);
}

static void cut_echo(struct session *s, struct buf *out)
{
	struct str echo = buf_str(&s->echo);
	if (str_ends(echo, STR("\n")))
		echo.len--;
	if (echo.len && str_starts(buf_str(out), echo)) {
		size_t n = echo.len;
		buf_drop_front(out, n + (n < out->len && out->ptr[n] == '\n'));
	}
	buf_reset(&s->echo);
}

/*
 * "bash-5.2$ ", or "> " within what takes several lines: bash's own, before a start file has set
 * others.
 */
static size_t prompt_len(struct str s)
{
	size_t n = 5;
	if (str_starts(s, STR(">")))
		return s.len > 1 && s.ptr[1] == ' ' ? 2 : s.len == 1;
	if (!str_starts(s, STR("bash-")))
		return 0;
	while (n < s.len && ((s.ptr[n] >= '0' && s.ptr[n] <= '9') || s.ptr[n] == '.'))
		n++;
	if (n == s.len || (s.ptr[n] != '#' && s.ptr[n] != '$'))
		return 0;
	return n + 1 + (n + 1 < s.len && s.ptr[n + 1] == ' ');
}

/* A shell that is still at its start files has prompted for our own lines before them. */
static void cut_start(struct buf *out)
{
	struct str rest = buf_str(out);
	size_t n;
	while ((n = prompt_len(str_skip(rest, str_starts(rest, STR(" "))))))
		rest = str_skip(rest, n + str_starts(rest, STR(" ")));
	buf_drop_front(out, out->len - rest.len);
}

struct ring_gap session_take_output(struct session *s, struct buf *out, bool is_last)
{
	struct ring_gap gap = screen_take(s->screen, out, is_last ? SCREEN_LAST : SCREEN_MORE);
	cut_echo(s, out);
	cut_prompt(s, out);
	if (s->state == SESSION_STARTING)
		cut_start(out);
	return gap;
}

/*
 * What PATH gives for python, as `which python` says it; the executor sees the files that the shell
 * sees.
 */
static void put_python(const struct session *s, struct jsonw *w)
{
	struct str rest = buf_str(&s->path), dir;
	while (str_split(&rest, ':', &dir)) {
		char path[4096];
		struct stat st;
		int n = snprintf(path, sizeof(path), "%.*s/python", STR_ARG(dir));
		if (dir.len && dir.ptr[0] == '/' && n < (int)sizeof(path) && stat(path, &st) == 0 &&
			S_ISREG(st.st_mode) && access(path, X_OK) == 0) {
			jsonw_key_str(w, "python", str_from(path));
			return;
		}
	}
	jsonw_key_str(w, "python", STR(""));
}

/*
 * What came behind what was expected is the next output's. How much of that there is no room for.
 */
static size_t cut_expected(struct session *s, struct expects *e, struct buf *text)
{
	struct str all = buf_str(text);
	size_t start, end;
	if (e->found < 0 || !pattern_find(e->patterns[e->found], all, &start, &end))
		return 0; /* a terminal shows it otherwise than it was written */
	struct str rest = str_skip(all, end);
	buf_put(&s->rest, str_first(rest, SESSION_REST_MAX));
	buf_cut(text, start);
	return rest.len - s->rest.len;
}

struct report {
	enum outcome outcome;
	ptrdiff_t expected; /* -1: none */
	struct str output;
	struct ring_gap gap;
	const char *limit; /* that it ran into, or NULL */
};

static void put_result(const struct session *s, const struct report *r, struct buf *out)
{
	bool is_over = r->outcome == OUTCOME_EXITED || r->outcome == OUTCOME_ENDED;
	struct jsonw w = JSONW(out);
	jsonw_open(&w);
	jsonw_key_str(&w, "status", str_from(outcome_names[r->outcome]));
	jsonw_key(&w, "exit_code");
	if (is_over)
		jsonw_int(&w, s->exit_code);
	else
		jsonw_null(&w);
	jsonw_key(&w, "expected");
	if (r->expected >= 0)
		jsonw_int(&w, r->expected);
	else
		jsonw_null(&w);
	if (r->limit)
		jsonw_key_str(&w, "limit", str_from(r->limit));
	jsonw_key_str(&w, "output", r->output);
	jsonw_key_int(&w, "truncated_bytes", (int64_t)r->gap.bytes);
	jsonw_key_int(&w, "truncated_lines", (int64_t)r->gap.lines);
	jsonw_key_str(&w, "session", str_from(s->name));
	jsonw_key_str(&w, "command", buf_str(&s->command));
	jsonw_key_str(&w, "cwd", buf_str(&s->cwd));
	jsonw_key_int(&w, "background_pid", s->background_pid);
	put_python(s, &w);
	jsonw_key_int(&w, "duration_ms", (is_over ? s->ended_ms : clock_mono_ms()) - s->began_ms);
	jsonw_key_bool(&w, "is_new_shell", s->is_new_shell);
	jsonw_close(&w);
}

/* All of it: what was left over, what is new, up to what was expected. */
static struct ring_gap take_text(struct session *s, const struct telling *t, bool is_over,
	struct buf *text)
{
	auto_buf struct buf fresh = BUF_INIT(SIZE_MAX / 2);
	struct ring_gap gap = session_take_output(s, &fresh, is_over);
	buf_put(text, buf_str(&s->rest));
	buf_reset(&s->rest);
	buf_put(text, buf_str(&fresh));
	if (t->expects)
		gap.bytes += cut_expected(s, t->expects, text);
	mask_secrets(s->executor, text);
	if (!t->escapes)
		return gap;
	buf_reset(&fresh);
	utf8_put_escaped(&fresh, buf_str(text));
	buf_reset(text);
	buf_put(text, buf_str(&fresh));
	return gap;
}

void session_put_outcome(struct session *s, const struct telling *t, struct buf *out)
{
	auto_buf struct buf text = BUF_INIT(SIZE_MAX / 2);
	bool is_over = t->outcome == OUTCOME_EXITED || t->outcome == OUTCOME_ENDED;
	struct report r = { .outcome = t->outcome,
		.expected = t->expects ? t->expects->found : -1 };
	r.gap = take_text(s, t, is_over, &text);
	if (is_over && s->exit_code)
		r.limit = limits_hit(&s->executor->limits);
	r.output = buf_str(&text);
	put_result(s, &r, out);
	if (!out->is_full)
		return;

	/* Mostly controls, each six bytes of JSON: a shorter piece of it, then. */
	struct ring ring;
	auto_buf struct buf shorter = BUF_INIT(SIZE_MAX / 2);
	ring_init(&ring, OUTPUT_SURE_MAX);
	ring_add(&ring, r.output);
	struct ring_gap gap = ring_put(&ring, &shorter);
	ring_fini(&ring);
	r.output = buf_str(&shorter);
	r.gap.bytes += gap.bytes;
	r.gap.lines += gap.lines;
	buf_reset(out);
	put_result(s, &r, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/lint.h"

#include "action/document_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "face/openhands/cursor.h"
#include "face/openhands/prepare.h"
#include "runtime/runtime.h"

#define VARIABLE "ENABLE_AUTO_LINT"
#define REVIEW   "Review the changes" /* with which the editor's words end */

enum { PARAMS_MAX = 16 * 1024 * 1024, TEXT_MAX = 64 * 1024, ASK_MS = 5000 };

struct looking {
	struct str path, edited, diff;
	lint_fn *next;
};

/*
 * The issues come before the sentence that asks to review the changes; all else is as the editor
 * said it.
 */
static void put_found(struct buf *b, const struct json *issues)
{
	if (json_len(issues) == 0) {
		buf_puts(b, "No linting issues found in the changes.");
		return;
	}
	buf_puts(b, "Linting issues found in the changes:");
	for (size_t i = 0; i < json_len(issues); i++) {
		const struct json *issue = json_at(issues, i);
		buf_printf(b, "\n- Line %lld, Column %lld: ",
			(long long)json_int(json_find(issue, "line")),
			(long long)json_int(json_find(issue, "column")));
		buf_put(b, json_str(json_find(issue, "message")));
	}
}

static void on_linted(struct job *job, const struct json *result, const struct error *err)
{
	const struct looking *l = job->state;
	ptrdiff_t at = -1, from = 0, found;
	if (err || !json_bool(json_find(result, "linted"))) {
		l->next(job, l->edited, l->diff);
		return;
	}
	while ((found = str_find(str_skip(l->edited, (size_t)from), STR(REVIEW))) >= 0) {
		at = from + found;
		from = at + 1;
	}
	auto_buf struct buf b = BUF_INIT(l->edited.len + TEXT_MAX);
	size_t head = at < 0 ? l->edited.len : (size_t)at;
	buf_put(&b, str_first(l->edited, head));
	buf_putc(&b, '\n');
	put_found(&b, json_find(result, "issues"));
	buf_putc(&b, '\n');
	buf_put(&b, str_skip(l->edited, head));
	l->next(job, b.is_full ? l->edited : buf_str(&b), l->diff);
}

static void look(struct job *job)
{
	const struct looking *l = job->state;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", l->path);
	jsonw_key_str(&w, "diff", l->diff);
	jsonw_close(&w);
	job_perform(job, &lint_action, &params, on_linted);
}

static void decide(struct job *job)
{
	const struct looking *l = job->state;
	if (job->cursor->lints)
		look(job);
	else
		l->next(job, l->edited, l->diff);
}

static void on_asked(struct job *job, const struct json *result, const struct error *err)
{
	const struct json *code = json_find(result, "exit_code");
	job->cursor->is_lint_known = true;
	job->cursor->lints = json_kind(code) == JSON_KIND_INT && json_int(code) == 0;
	decide(job);
}

/* What the client has exported is in the file where it keeps it for the next shell. */
static void ask_sandbox(struct job *job)
{
	auto_buf struct buf params = BUF_INIT(TEXT_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("sh"));
	jsonw_str(&w, STR("-c"));
	jsonw_str(&w, STR("grep -qi '^export " VARIABLE "=\"\\?true' ~/.bashrc"));
	jsonw_close_array(&w);
	jsonw_key_int(&w, "timeout_ms", ASK_MS);
	jsonw_key_bool(&w, "capture", true);
	jsonw_close(&w);
	job_perform(job, &exec_action, &params, on_asked);
}

void lint_edit(struct job *job, struct str path, struct str edited, struct str diff, lint_fn *next)
{
	struct arena *arena = &job->request->arena;
	struct looking *l = arena_new(arena, struct looking);
	*l = (struct looking){ .next = next, .path = path, .edited = edited };
	const struct sandbox *s = runtime_find(job->rt, str_from(job->cursor->id), NULL);
	if (s && str_is(sandbox_label(s, STR(LABEL_LINT)), "yes"))
		job->cursor->is_lint_known = job->cursor->lints = true;
	if ((job->cursor->is_lint_known && !job->cursor->lints) ||
		!arena_has_room(arena, edited.len + diff.len + TEXT_MAX)) {
		next(job, edited, diff);
		return;
	}
	l->edited = str_from(arena_str(arena, edited));
	l->diff = str_from(arena_str(arena, diff));
	job->state = l;
	if (job->cursor->is_lint_known)
		decide(job);
	else
		ask_sandbox(job);
}

void lint_note_command(struct job *job, struct str command)
{
	if (str_find(command, STR(VARIABLE)) >= 0)
		job->cursor->is_lint_known = false;
}

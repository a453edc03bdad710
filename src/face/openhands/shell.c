/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A report either says that the command is over or that it goes on (soft or
 * hard timeout); cursor::is_waiting is the latter. From there an empty command waits on, input and
 * keys go to what runs, and a new command is refused while it does. Whether it still does is the
 * core's to say: a new command is tried, and when the session is in conflict, what it has printed
 * meanwhile is fetched (`look`) and told with the refusal. A command that has ended unasked
 * meanwhile refuses nothing.
 *
 * A hidden action is never answered with an error observation: the original's client would fail on
 * it.
 */
#include "face/openhands/kinds.h"

#include "action/session_actions.h"
#include "base/auto.h"
#include "face/openhands/cursor.h"
#include "face/openhands/lines.h"
#include "face/openhands/lint.h"
#include "face/openhands/observation.h"
#include "face/openhands/request.h"
#include "face/openhands/split.h"

#include <ctype.h>

#define ADVICE                                                                                 \
	"You may wait longer to see additional output by sending empty command '', "           \
	"send other commands to interact with the current process, "                           \
	"send keys (\"C-c\", \"C-z\", \"C-d\") to interrupt/kill the previous command before " \
	"sending your new command, or use the timeout parameter in execute_bash for future "   \
	"commands.]"
#define TRUNCATED \
	"[Previous command outputs are truncated. Showing the last %d lines of the output below.]\n"
#define BELOW "[Below is the output of the previous command.]\n"

enum {
	OUTPUT_BYTES = 4 * 1024 * 1024, /* asked of the core */
	CONTENT_MAX = 30000,            /* characters of an observation that is not hidden */
	/*
	 * Lines of a command's output that are shown. The original shows what a terminal with
	 * 10,000 lines of history holds; of 50,000 numbered lines its tests want both number 40,000
	 * and the last to survive CONTENT_MAX, which 10,001 to 11,363 lines do.
	 */
	LINES_MAX = 10013,
	LOOK_MS = 1, /* long enough for the session to say what it has */
	RENDERED_MAX = 8 * OUTPUT_BYTES,
	PARAMS_MAX = 16 * 1024 * 1024,
};

struct run_args {
	struct str command;
	struct str cwd;
	bool is_input;
	bool is_blocking;
	bool is_static;
	bool is_hidden;
	const struct json *ignored;
};

static const struct field run_fields[] = {
	{ "command", FIELD_STRING, FIELD_AT(struct run_args, command), FIELD_REQUIRED,
		.help = "what the shell shall run" },
	{ "is_input", FIELD_BOOL, FIELD_AT(struct run_args, is_input),
		.help = "the command is input of what is running" },
	{ "blocking", FIELD_BOOL, FIELD_AT(struct run_args, is_blocking),
		.help = "only the hard timeout counts" },
	{ "is_static", FIELD_BOOL, FIELD_AT(struct run_args, is_static),
		.help = "in a new shell that is gone afterwards" },
	{ "cwd", FIELD_STRING, FIELD_AT(struct run_args, cwd), .help = "where a new shell starts" },
	{ "hidden", FIELD_BOOL, FIELD_AT(struct run_args, is_hidden),
		.help = "for programs, not for agents: the output is not cut" },
	REQUEST_IGNORED(struct run_args, "thought"),
	REQUEST_IGNORED(struct run_args, "confirmation_state"),
	REQUEST_IGNORED(struct run_args, "is_confirmed"),
	REQUEST_IGNORED(struct run_args, "security_risk"),
	REQUEST_IGNORED(struct run_args, "keep_prompt"),
	REQUEST_IGNORED(struct run_args, "timestamp"),
	{ 0 },
};

static struct str command_of(const struct job *job)
{
	return str_trim(((const struct run_args *)job->args)->command);
}

/* "C-c": a key with Control, not a text. */
static bool is_key(struct str command)
{
	return command.len == 3 && str_starts(command, STR("C-"));
}

/* ---- what is answered ---- */

/* A report that tells nothing of the shell. */
static struct run_observation blank(struct str command, struct str content)
{
	return (struct run_observation){
		.command = command,
		.content = content,
		.exit_code = -1,
		.pid = -1,
		.prefix = STR(""),
		.suffix = STR(""),
	};
}

static void answer(struct job *job, struct run_observation *o)
{
	auto_buf struct buf cut = BUF_INIT(RENDERED_MAX);
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	if (!o->is_hidden) {
		lines_put_cut(&cut, o->content, CONTENT_MAX);
		o->content = buf_str(&cut);
	}
	observation_put_run(&b, o);
	job_answer(job, &b);
}

static void answer_error(struct job *job, struct str text)
{
	const struct run_args *args = job->args;
	if (!args->is_hidden) {
		job_refuse(job, text);
		return;
	}
	struct run_observation o = blank(command_of(job), text);
	o.is_hidden = true;
	answer(job, &o);
}

static void answer_nothing_runs(struct job *job)
{
	struct run_observation o = blank(STR(""), STR(""));
	o.content = command_of(job).len
		? STR("ERROR: No previous running command to interact with.")
		: STR("ERROR: No previous running command to retrieve logs from.");
	answer(job, &o);
}

static void answer_many(struct job *job, const struct split *split)
{
	auto_buf struct buf text = BUF_INIT(PARAMS_MAX);
	buf_puts(&text,
		"ERROR: Cannot execute multiple commands at once.\n"
		"Please run each command separately OR chain them into a single command via "
		"&& or ;\nProvided commands:");
	for (size_t i = 0; i < split->n; i++) {
		buf_printf(&text, "\n(%zu) ", i + 1);
		buf_put(&text, split->items[i]);
	}
	answer_error(job, buf_str(&text));
}

/* The output as the original's terminal holds it, without blanks at its ends: a view of b. */
static struct str render(const struct json *result, struct buf *b)
{
	lines_put_shown(b, json_str(json_find(result, "output")));
	return str_trim(buf_str(b));
}

/* Not for a shell of its own, which leaves nothing behind. */
static void note_end(struct job *job, const struct json *result)
{
	const struct run_args *args = job->args;
	struct str cwd = json_str(json_find(result, "cwd"));
	if (args->is_static)
		return;
	job->cursor->is_waiting = false;
	job->cursor->has_shown = false;
	lint_note_command(job, command_of(job));
	if (cwd.len) {
		free(job->cursor->cwd);
		job->cursor->cwd = str_dup(cwd);
	}
}

/* Whether output of the command that now ends or goes on was reported before. */
static bool has_shown(const struct job *job)
{
	const struct run_args *args = job->args;
	return job->cursor->has_shown && !args->is_static;
}

static void put_completed(struct buf *b, int64_t exit_code, struct str command, struct str limit)
{
	buf_printf(b, "\n[The command completed with exit code %lld.", (long long)exit_code);
	if (is_key(command))
		buf_printf(b, " CTRL+%c was sent.", toupper((unsigned char)command.ptr[2]));
	if (limit.len)
		buf_printf(b, " It ran into the sandbox's limit: %.*s.", STR_ARG(limit));
	buf_puts(b, "]");
}

static void answer_completed(struct job *job, const struct json *result)
{
	const struct run_args *args = job->args;
	auto_buf struct buf text = BUF_INIT(RENDERED_MAX);
	auto_buf struct buf prefix = BUF_INIT(128), suffix = BUF_INIT(256);
	struct run_observation o = blank(command_of(job), render(result, &text));
	struct str whole = o.content;
	o.content = lines_last(whole, LINES_MAX);
	if (o.content.len < whole.len && !has_shown(job))
		buf_printf(&prefix, TRUNCATED, LINES_MAX);
	if (json_kind(json_find(result, "exit_code")) == JSON_KIND_INT)
		o.exit_code = json_int(json_find(result, "exit_code"));
	put_completed(&suffix, o.exit_code, o.command, json_str(json_find(result, "limit")));
	o.pid = json_int(json_find(result, "background_pid"));
	o.username = str_from(job->cursor->username);
	o.hostname = str_from(job->cursor->hostname);
	o.workdir = json_str(json_find(result, "cwd"));
	o.python = json_str(json_find(result, "python"));
	o.prefix = buf_str(&prefix);
	o.suffix = buf_str(&suffix);
	o.is_hidden = args->is_hidden;
	note_end(job, result);
	answer(job, &o);
}

/* `suffix` says why there is no end yet. */
static void answer_running(struct job *job, const struct json *result, const struct buf *suffix,
	bool is_hidden)
{
	const struct run_args *args = job->args;
	struct cursor *c = job->cursor;
	auto_buf struct buf text = BUF_INIT(RENDERED_MAX);
	struct run_observation o = blank(command_of(job), render(result, &text));
	o.suffix = buf_str(suffix);
	o.is_hidden = is_hidden;
	o.prefix = has_shown(job) ? STR(BELOW) : STR("");
	if (!args->is_static) {
		c->is_waiting = true;
		c->has_shown |= o.content.len > 0;
	}
	answer(job, &o);
}

static void answer_timeout(struct job *job, const struct json *result, bool is_quiet)
{
	auto_buf struct buf suffix = BUF_INIT(1024);
	if (is_quiet)
		buf_printf(&suffix, "\n[The command has no new output after %lld seconds. " ADVICE,
			(long long)job->quiet_s);
	else
		buf_printf(&suffix, "\n[The command timed out after %s seconds. " ADVICE,
			job->timeout_text);
	answer_running(job, result, &suffix, false);
}

/* Without a session the command has been ended, and with it all that it had started. */
static void answer_ended(struct job *job, const struct json *result)
{
	const struct run_args *args = job->args;
	auto_buf struct buf text = BUF_INIT(RENDERED_MAX), suffix = BUF_INIT(128);
	struct run_observation o = blank(command_of(job), render(result, &text));
	buf_printf(&suffix, "[The command timed out after %s seconds.]", job->timeout_text);
	o.suffix = buf_str(&suffix);
	o.workdir = str_from(job->cursor->workdir);
	o.is_hidden = args->is_hidden;
	answer(job, &o);
}

static void answer_not_executed(struct job *job, const struct json *result)
{
	const struct run_args *args = job->args;
	auto_buf struct buf suffix = BUF_INIT(PARAMS_MAX);
	buf_puts(&suffix, "\n[Your command \"");
	buf_put(&suffix, command_of(job));
	buf_puts(&suffix,
		"\" is NOT executed. The previous command is still running - You CANNOT send "
		"new commands until the previous command is completed. By setting "
		"`is_input` to `true`, you can interact with the current process: " ADVICE);
	answer_running(job, result, &suffix, args->is_hidden);
}

/* ---- what is asked of the core ---- */

enum ask {
	ASK_RUN,  /* a new command */
	ASK_WAIT, /* for what runs */
	ASK_LOOK, /* the same, but only for what there is */
	ASK_TYPE, /* the command is input */
	ASK_KEY,  /* the command is a key */
};

static void put_params(const struct job *job, enum ask ask, struct buf *b)
{
	const struct run_args *args = job->args;
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	if (ask == ASK_RUN || ask == ASK_TYPE)
		jsonw_key_str(&w, "command", command_of(job));
	if (ask == ASK_KEY)
		jsonw_key_str(&w, "keys", command_of(job));
	jsonw_key_bool(&w, "input", ask == ASK_TYPE);
	jsonw_key_int(&w, "timeout_ms", ask == ASK_LOOK ? LOOK_MS : job->timeout_ms);
	jsonw_key_int(&w, "quiet_ms",
		args->is_blocking || job_is_cli(job) ? 0 : job->quiet_s * 1000);
	jsonw_key_bool(&w, "until_input", false);
	jsonw_key_int(&w, "output_bytes", OUTPUT_BYTES);
	if (args->is_static) {
		jsonw_key_bool(&w, "fresh", true);
		jsonw_key_str(&w, "cwd",
			args->cwd.len ? args->cwd : str_from(job->cursor->workdir));
	}
	jsonw_close(&w);
}

static void ask_core(struct job *job, enum ask ask, job_step_fn *next)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	put_params(job, ask, &params);
	job_perform(job, &run_action, &params, next);
}

static bool has_ended(const struct json *result)
{
	struct str status = json_str(json_find(result, "status"));
	return str_is(status, "exited") || str_is(status, "ended");
}

static void report(struct job *job, const struct json *result)
{
	if (has_ended(result))
		answer_completed(job, result);
	else if (job_is_cli(job))
		answer_ended(job, result);
	else
		answer_timeout(job, result, str_is(json_str(json_find(result, "status")), "quiet"));
}

/* What came of waiting for, or typing into, what runs. */
static void on_interaction(struct job *job, const struct json *result, const struct error *err)
{
	if (result) {
		report(job, result);
	} else if (err->code == ERROR_CONFLICT) {
		/* It has ended, and somebody else has taken its report. */
		note_end(job, NULL);
		answer_nothing_runs(job);
	} else {
		answer_error(job, str_from(err->text));
	}
}

static void begin(struct job *job, job_step_fn *next)
{
	ask_core(job, is_key(command_of(job)) ? ASK_KEY : ASK_RUN, next);
}

static void on_command(struct job *job, const struct json *result, const struct error *err)
{
	if (result)
		report(job, result);
	else
		answer_error(job, str_from(err->text));
}

/* What runs has been looked at because a new command is to be run. */
static void on_look(struct job *job, const struct json *result, const struct error *err)
{
	if (result && !has_ended(result)) {
		answer_not_executed(job, result);
	} else if (result || err->code == ERROR_CONFLICT) {
		/* The new command is answered with its own output alone. */
		note_end(job, NULL);
		begin(job, on_command);
	} else {
		answer_error(job, str_from(err->text));
	}
}

/* A conflict: the session runs something that this face has not started. */
static void on_try(struct job *job, const struct json *result, const struct error *err)
{
	const struct run_args *args = job->args;
	if (err && err->code == ERROR_CONFLICT && !args->is_static)
		ask_core(job, ASK_LOOK, on_look);
	else
		on_command(job, result, err);
}

static void answer_no_input(struct job *job)
{
	struct str command = command_of(job);
	job_refuse_action(job,
		str_from(arena_printf(&job->request->arena,
			"CLIRuntime does not support interactive input from the agent (e.g., 'C-c'). "
			"The command '%.*s' was not sent to any process.",
			STR_ARG(command))));
}

static void run_start(struct job *job, const void *params)
{
	const struct run_args *args = params;
	struct str command = command_of(job);
	bool is_waiting = job->cursor->is_waiting && !args->is_static;
	struct split split;
	if (args->is_input && job_is_cli(job)) {
		answer_no_input(job);
		return;
	}
	if (!is_waiting && (!command.len || args->is_input)) {
		answer_nothing_runs(job);
		return;
	}
	split_commands(command, &split);
	if (split.n > 1)
		answer_many(job, &split);
	else if (!command.len)
		ask_core(job, ASK_WAIT, on_interaction);
	else if (args->is_input)
		ask_core(job, is_key(command) ? ASK_KEY : ASK_TYPE, on_interaction);
	else if (is_waiting)
		ask_core(job, ASK_LOOK, on_look);
	else
		begin(job, on_try);
}

const struct job_kind run_kind = {
	.name = "run",
	.fields = run_fields,
	.args_size = sizeof(struct run_args),
	.start = run_start,
};

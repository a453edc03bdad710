/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /process/execute and /process/code-run: a program, its whole output in the order of writing, its
 * exit code.
 *
 * A command is the argument of a shell, so that whoever guards the sandbox sees it; only one that
 * is too long for an argument goes in as input. The shell is bash where there is one.
 */
#include "face/daytona/handlers.h"

#include "action/process_actions.h"
#include "base/auto.h"

enum {
	ARGUMENT_MAX = 100 * 1024, /* what execve takes is 128 KiB */
	OUTPUT_MAX = 16 * 1024 * 1024,
	TIMEOUT_MAX_S = 86400,
	ARGV_MAX = 1024,
};

struct running {
	struct str argv[ARGV_MAX + 8];
	size_t n_argv;
	struct str input; /* STR_NONE: none */
	struct str cwd;
	const struct json *env;
	int64_t timeout_ms;
	bool has_artifacts, is_shell;
	void (*again)(struct chore *e); /* with the other shell; NULL: no */
};

static void reply_output(struct http_request *r, int64_t exit_code, struct str output,
	bool has_artifacts)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_int(&w, "exitCode", exit_code);
	jsonw_key_str(&w, "result", output);
	if (has_artifacts) {
		jsonw_key(&w, "artifacts");
		jsonw_raw(&w, STR("{\"charts\":[]}"));
	}
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

int64_t exit_code_of(const struct json *process)
{
	const struct json *code = json_find(process, "exit_code");
	return json_kind(code) == JSON_KIND_INT ? json_int(code)
						: 128 + process_signal_number(process);
}

static void on_done(struct chore *e, const struct json *result)
{
	const struct running *run = e->state;
	if (json_bool(json_find(result, "timed_out"))) {
		daytona_fail(e->r, 408, "PROCESS_EXECUTION_TIMEOUT", "command execution timeout");
		return;
	}
	struct str limit = json_str(json_find(result, "limit"));
	auto_buf struct buf output = BUF_INIT(HTTP_REPLY_MAX);
	buf_put(&output, json_str(json_find(result, "stdout")));
	if (limit.len) /* there is no other place for it */
		buf_printf(&output, "%sthe command ran into the sandbox's limit: %.*s\n",
			str_ends(buf_str(&output), STR("\n")) || !output.len ? "" : "\n",
			STR_ARG(limit));
	reply_output(e->r, exit_code_of(result), buf_str(&output), run->has_artifacts);
}

/*
 * A program that is not there is the shell's to complain of, in Daytona; here there is none in
 * between.
 */
static void on_failed(struct chore *e, const struct error *err)
{
	const struct running *run = e->state;
	struct box *b = map_find(&daytona_of(e->r)->by_id, str_from(e->id));
	bool is_missing = err->code == ERROR_NOT_FOUND || err->code == ERROR_INVALID;
	if (is_missing && run->again && b && !b->has_no_bash) {
		b->has_no_bash = true;
		run->again(e);
	} else if (is_missing) {
		reply_output(e->r, run->is_shell ? -1 : 127, str_from(err->text),
			run->has_artifacts);
	} else {
		daytona_fail_error(e->r, err);
	}
}

static void start(struct chore *e, struct running *run)
{
	auto_buf struct buf params = BUF_INIT(2 * DAYTONA_BODY_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	for (size_t i = 0; i < run->n_argv; i++)
		jsonw_str(&w, run->argv[i]);
	jsonw_close_array(&w);
	if (json_len(run->env))
		daytona_key_json(&w, "env", run->env);
	if (run->cwd.len)
		jsonw_key_str(&w, "cwd", run->cwd);
	jsonw_key_bool(&w, "stdin", run->input.ptr != NULL);
	jsonw_key_bool(&w, "capture", true);
	jsonw_key_bool(&w, "merge", true);
	jsonw_key_int(&w, "log_bytes", OUTPUT_MAX);
	jsonw_key_int(&w, "timeout_ms", run->timeout_ms);
	jsonw_close(&w);
	e->state = run;
	e->failed = on_failed;
	chore_perform(e, &exec_action, &params, on_done);
	if (run->input.ptr)
		chore_send(e, run->input);
}

/* timeout and envs, which both routes have. -1: answered. */
static int take_common(struct http_request *r, const struct json *body, struct running *run)
{
	const struct json *timeout = json_find(body, "timeout");
	bool is_number = json_kind(timeout) == JSON_KIND_INT ||
		json_kind(timeout) == JSON_KIND_REAL;
	run->env = json_find(body, "envs") ?: json_find(body, "env");
	if (json_kind(run->env) != JSON_KIND_NULL && json_kind(run->env) != JSON_KIND_OBJECT) {
		daytona_fail(r, 400, NULL, "envs must be an object of strings");
		return -1;
	}
	if (json_kind(timeout) == JSON_KIND_NULL)
		return 0;
	if (!is_number || json_double(timeout) < 0 || json_double(timeout) > TIMEOUT_MAX_S) {
		daytona_fail(r, 400, NULL, "timeout must be 0 to %d seconds", TIMEOUT_MAX_S);
		return -1;
	}
	run->timeout_ms = (int64_t)(json_double(timeout) * 1000);
	return 0;
}

static void add(struct running *run, struct str word)
{
	run->argv[run->n_argv++] = word;
}

/* ---- execute ---- */

static void execute(struct chore *e)
{
	auto_json struct json *body = daytona_body(e->r);
	const struct box *b = map_find(&daytona_of(e->r)->by_id, str_from(e->id));
	struct running *run = arena_new(&e->r->arena, struct running);
	struct str command;
	if (!body || !daytona_need(e->r, body, "command", &command) ||
		take_common(e->r, body, run) < 0)
		return;
	if (!str_trim(command).len) {
		daytona_fail(e->r, 400, NULL, "command cannot be empty or whitespace-only");
		return;
	}
	run->cwd = json_str(json_find(body, "cwd"));
	run->is_shell = true;
	run->again = run->cwd.len ? NULL : execute;
	add(run, b && b->has_no_bash ? STR("sh") : STR("bash"));
	add(run, STR("-c"));
	if (command.len > ARGUMENT_MAX)
		run->input = command;
	add(run, run->input.ptr ? STR("eval \"$(cat)\"") : command);
	start(e, run);
}

void process_execute(struct http_request *r)
{
	struct chore *e = daytona_chore(r);
	if (e)
		execute(e);
}

/* ---- code-run ---- */

static int add_words(struct http_request *r, struct running *run, const struct json *list)
{
	if (json_len(list) > ARGV_MAX) {
		daytona_fail(r, 400, NULL, "argv: more than %d words", ARGV_MAX);
		return -1;
	}
	for (size_t i = 0; i < json_len(list); i++) {
		struct str word = json_str(json_at(list, i));
		if (!word.ptr || str_has_nul(word)) {
			daytona_fail(r, 400, NULL, "argv: the words are strings");
			return -1;
		}
		add(run, word);
	}
	return 0;
}

/* How each language's interpreter takes code as an argument, and as its input. */
static const struct language {
	const char *name;
	const char *as_argument[4], *as_input[4];
	const char *between; /* the code and its arguments; NULL: nothing */
} languages[] = {
	{ "python", { "python3", "-u", "-c" }, { "python3", "-u", "-" }, NULL },
	{ "javascript", { "node", "-e" }, { "node", "-" }, "--" },
	{ "typescript", { "ts-node", "-T", "-e" }, { "ts-node", "-T" }, NULL },
};

static void add_all(struct running *run, const char *const *words)
{
	for (; *words; words++)
		add(run, str_from(*words));
}

static int add_code(struct http_request *r, struct running *run, struct str language,
	struct str code, const struct json *argv)
{
	const struct language *l = NULL;
	for (size_t i = 0; i < ARRAY_LEN(languages) && !l; i++)
		if (str_is(language, languages[i].name))
			l = &languages[i];
	if (!l) {
		daytona_fail(r, 400, NULL, "unsupported language: %.*s",
			STR_ARG(str_first(language, 60)));
		return -1;
	}
	if (code.len > ARGUMENT_MAX) {
		run->input = code;
		add_all(run, l->as_input);
	} else {
		add_all(run, l->as_argument);
		add(run, code);
		if (l->between)
			add(run, str_from(l->between));
	}
	return add_words(r, run, argv);
}

void process_code_run(struct http_request *r)
{
	struct chore *e = daytona_chore(r);
	auto_json struct json *body = e ? daytona_body(r) : NULL;
	struct str code, language;
	if (!body)
		return;
	struct running *run = arena_new(&r->arena, struct running);
	run->has_artifacts = true;
	if (!daytona_need(r, body, "code", &code) ||
		!daytona_need(r, body, "language", &language) || take_common(r, body, run) < 0 ||
		add_code(r, run, language, code, json_find(body, "argv")) < 0)
		return;
	start(e, run);
}

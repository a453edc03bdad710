/* SPDX-License-Identifier: Apache-2.0 */
/* run, exec, configure, info of the Daytona backend. */
#include "runtime/remote/daytona_verbs.h"

#include "action/executor_actions.h"
#include "action/process_actions.h"
#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/remote/verbs.h"
#include "wire/frame.h"
#include "wire/url.h"

enum { COMMAND_MAX = 8 * 1024 * 1024, GRACE_MS = 10000, INFO_MS = 10000, SESSION_MS = 30000 };

static int64_t duration_ms(const struct far *far)
{
	return clock_mono_ms() - far->started_ms;
}

/* What was configured, with what is asked for on top. */
static void put_env(struct far *far, struct jsonw *w, const struct field_map *env)
{
	const struct daytona_member *m = daytona_member_of(far);
	auto_json struct json *all = NULL;
	const struct json *value;
	struct str key;
	void *it = NULL;
	if (m->env.len)
		json_parse(buf_str(&m->env), &all, NULL);
	if (!json_len(all) && (!env || !env->n))
		return;
	jsonw_key(w, "envs");
	jsonw_open(w);
	while (all && (value = json_next(all, &it, &key))) {
		bool is_over = false;
		for (size_t i = 0; env && i < env->n; i++)
			is_over = is_over || str_eq(env->keys[i], key);
		if (is_over)
			continue;
		jsonw_key_dyn(w, key);
		jsonw_str(w, json_str(value));
	}
	for (size_t i = 0; env && i < env->n; i++) {
		jsonw_key_dyn(w, env->keys[i]);
		jsonw_str(w, env->values[i]);
	}
	jsonw_close(w);
}

void daytona_execute(struct far *far, struct str command, struct str cwd,
	const struct field_map *env, int64_t timeout_ms, far_fn *then)
{
	auto_buf struct buf body = BUF_INIT(2 * COMMAND_MAX);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_str(&w, "command", command);
	if (cwd.len || far->site->workdir)
		jsonw_key_str(&w, "cwd", cwd.len ? cwd : str_from(far->site->workdir));
	put_env(far, &w, env);
	if (timeout_ms)
		jsonw_key_int(&w, "timeout", (timeout_ms + 999) / 1000); /* whole seconds */
	jsonw_close(&w);
	/* Without a limit it may take as long as it does. */
	far_tell(far, "POST", "/process/execute", buf_str(&body),
		timeout_ms ? timeout_ms + GRACE_MS : -1, then);
}

/* ---- exec ---- */

/* -1: it did not start, and the output says why. */
static bool has_started(struct far *far, const struct json *answer)
{
	const struct json *code = json_find(answer, "exitCode");
	struct str output = json_str(json_find(answer, "result"));
	struct error err;
	if (json_kind(code) == JSON_KIND_INT && json_int(code) >= 0)
		return true;
	error_set(&err, json_kind(code) == JSON_KIND_INT ? ERROR_INVALID : ERROR_PROTOCOL,
		"%s: %.*s", far->verb->action->name,
		STR_ARG(output.len ? str_first(output, 200)
				   : STR("the toolbox did not tell an exit code")));
	far_fail(far, &err);
	return false;
}

static void on_exec(struct far *far, const struct json *answer)
{
	if (has_started(far, answer))
		far_finish_exec(far, json_str(json_find(answer, "result")),
			json_int(json_find(answer, "exitCode")), false);
}

static void exec_start(struct far *far)
{
	const struct exec_params *p = far->params;
	auto_buf struct buf command = BUF_INIT(COMMAND_MAX);
	if (p->has_stdin || p->detach || p->tty || p->user.len || p->env_replaces) {
		far_refuse(far,
			"process with input, a terminal, a user or an environment of its own, or in the background");
		return;
	}
	for (size_t i = 0; i < p->argv.n; i++) {
		if (i)
			buf_putc(&command, ' ');
		far_put_quoted(&command, p->argv.items[i]);
	}
	daytona_execute(far, buf_str(&command), p->cwd, &p->env, p->timeout_ms, on_exec);
}

const struct far_verb daytona_exec = { .action = &exec_action, .start = exec_start };

/* ---- run ---- */

static void put_run(const struct far *far, struct str output, int64_t code, bool is_new,
	struct buf *b)
{
	const struct run_params *p = far->params;
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "status", STR("exited"));
	jsonw_key_int(&w, "exit_code", code);
	jsonw_key_str(&w, "output", output);
	jsonw_key_int(&w, "truncated_bytes", 0);
	jsonw_key_int(&w, "truncated_lines", 0);
	jsonw_key_str(&w, "session", p->session);
	jsonw_key_str(&w, "command", p->command.ptr ? p->command : STR(""));
	jsonw_key_str(&w, "cwd", STR("")); /* nobody tells where the shell is */
	jsonw_key_int(&w, "background_pid", -1);
	jsonw_key_str(&w, "python", STR(""));
	jsonw_key_int(&w, "duration_ms", duration_ms(far));
	jsonw_key_bool(&w, "is_new_shell", is_new);
	jsonw_close(&w);
}

static void on_fresh(struct far *far, const struct json *answer)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (!has_started(far, answer))
		return;
	put_run(far, json_str(json_find(answer, "result")), json_int(json_find(answer, "exitCode")),
		true, &b);
	far_finish(far, &b);
}

/* Output and error, where they are told apart; their order is not told. */
static void put_output(const struct json *answer, struct buf *b)
{
	struct str out = json_str(json_find(answer, "stdout"));
	struct str err = json_str(json_find(answer, "stderr"));
	struct str whole = json_str(json_find(answer, "output"));
	if (whole.ptr && str_find(whole, STR("\1\1\1")) < 0 && str_find(whole, STR("\2\2\2")) < 0) {
		buf_put(b, whole);
		return;
	}
	buf_put(b, out);
	buf_put(b, err);
}

static void on_run(struct far *far, const struct json *answer)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX), output = BUF_INIT(FRAME_PAYLOAD_MAX);
	const struct json *code = json_find(answer, "exitCode");
	struct error err;
	if (json_kind(code) != JSON_KIND_INT) {
		error_set(&err, ERROR_PROTOCOL, "run: the toolbox did not tell an exit code");
		far_fail(far, &err);
		return;
	}
	put_output(answer, &output);
	put_run(far, buf_str(&output), json_int(code), far->state != NULL, &b);
	far_finish(far, &b);
}

static struct daytona_session *session_of(struct far *far, struct str name)
{
	struct daytona_session *s;
	list_for_each(s, &daytona_member_of(far)->sessions, link)
		if (str_is(name, s->name))
			return s;
	return NULL;
}

static void put_exports(struct far *far, struct buf *b)
{
	const struct daytona_member *m = daytona_member_of(far);
	auto_json struct json *env = NULL;
	const struct json *value;
	struct str key;
	void *it = NULL;
	if (m->env.len)
		json_parse(buf_str(&m->env), &env, NULL);
	while (env && (value = json_next(env, &it, &key))) {
		buf_printf(b, "export %.*s=", STR_ARG(key));
		far_put_quoted(b, json_str(value));
		buf_putc(b, '\n');
	}
}

/* far->state: set if the shell is new, which starts where the sandbox works. */
static void run_in(struct far *far, const struct daytona_session *s)
{
	const struct run_params *p = far->params;
	auto_buf struct buf command = BUF_INIT(COMMAND_MAX), body = BUF_INIT(2 * COMMAND_MAX),
			    path = BUF_INIT(1024);
	struct jsonw w = JSONW(&body);
	if (far->state) {
		buf_puts(&command, "cd -- ");
		far_put_quoted(&command, str_from(far->site->workdir ?: "."));
		buf_putc(&command, '\n');
		put_exports(far, &command);
	}
	if (p->cwd.len) {
		buf_puts(&command, "cd -- ");
		far_put_quoted(&command, p->cwd);
		buf_puts(&command, " &&\n");
	}
	buf_put(&command, p->command);
	jsonw_open(&w);
	jsonw_key_str(&w, "command", buf_str(&command));
	jsonw_key_bool(&w, "runAsync", false);
	jsonw_close(&w);
	buf_printf(&path, "/process/session/%s/exec", s->there);
	far_tell(far, "POST", path.ptr, buf_str(&body), p->timeout_ms ? p->timeout_ms : -1, on_run);
}

static void on_session(struct far *far, const struct json *answer)
{
	const struct run_params *p = far->params;
	struct daytona_member *m = daytona_member_of(far);
	struct daytona_session *s = mem_new(struct daytona_session);
	memcpy(s->there, far->state, ID_SIZE);
	s->name = str_dup(p->session);
	list_append(&m->sessions, &s->link);
	run_in(far, s);
}

static void open_session(struct far *far)
{
	auto_buf struct buf body = BUF_INIT(256);
	char *id = arena_alloc(&far->arena, ID_SIZE);
	id_make(id);
	far->state = id;
	buf_printf(&body, "{\"sessionId\":\"%s\"}", id);
	far_tell(far, "POST", "/process/session", buf_str(&body), SESSION_MS, on_session);
}

static void run_start(struct far *far)
{
	const struct run_params *p = far->params;
	if (far_refuses_run(far, p))
		return;
	if (p->input || p->keys.len || !p->command.len) {
		far_refuse(far, "way to go on with a command, or to give it input");
		return;
	}
	if (p->quiet_ms) {
		far_refuse(far, "way to tell that a command is quiet; use timeout_ms");
		return;
	}
	if (p->fresh) {
		daytona_execute(far, p->command, p->cwd, NULL, p->timeout_ms, on_fresh);
		return;
	}
	const struct daytona_session *s = session_of(far, p->session);
	if (s)
		run_in(far, s);
	else
		open_session(far);
}

/*
 * The shell has ended since, so nothing was run: a new one is opened. One that still runs what took
 * too long is left to it, and the next command gets a shell of its own.
 */
static bool run_failed(struct far *far, const struct error *err)
{
	const struct run_params *p = far->params;
	struct daytona_session *s = p->fresh ? NULL : session_of(far, p->session);
	bool is_gone = err->code == ERROR_GONE || err->code == ERROR_NOT_FOUND;
	if (!s || (!is_gone && err->code != ERROR_TIMEOUT))
		return false;
	list_remove(&s->link);
	free(s->name);
	free(s);
	if (!is_gone || far->state)
		return false;
	open_session(far);
	return true;
}

const struct far_verb daytona_run = { .action = &run_action,
	.start = run_start,
	.failed = run_failed };

/* ---- configure, info ---- */

static void configure_start(struct far *far)
{
	const struct configure_params *p = far->params;
	struct daytona_member *m = daytona_member_of(far);
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	auto_json struct json *before = NULL;
	const struct json *value;
	struct str key;
	void *it = NULL;
	if (p->user.len) {
		far_refuse(far, "other user");
		return;
	}
	if (m->env.len)
		json_parse(buf_str(&m->env), &before, NULL);
	buf_reset(&m->env);
	struct jsonw w = JSONW(&m->env);
	jsonw_open(&w);
	while (before && (value = json_next(before, &it, &key))) {
		bool is_over = false;
		for (size_t i = 0; i < p->env.n; i++)
			is_over = is_over || str_eq(p->env.keys[i], key);
		if (is_over)
			continue;
		jsonw_key_dyn(&w, key);
		jsonw_str(&w, json_str(value));
	}
	for (size_t i = 0; i < p->env.n; i++) {
		if (!p->env.values[i].len)
			continue; /* unset */
		jsonw_key_dyn(&w, p->env.keys[i]);
		jsonw_str(&w, p->env.values[i]);
	}
	jsonw_close(&w);
	struct jsonw reply = JSONW(&b);
	jsonw_open(&reply);
	jsonw_key_str(&reply, "workdir", str_from(far->site->workdir ?: ""));
	jsonw_key_str(&reply, "user", STR(""));
	jsonw_close(&reply);
	far_finish(far, &b);
}

const struct far_verb daytona_configure = { .action = &configure_action, .start = configure_start };

static void on_info(struct far *far, const struct json *answer)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&b);
	struct str dir = json_str(json_find(answer, "dir"));
	if (str_starts(dir, STR("/")) && !far->site->workdir)
		far->site->workdir = str_dup(dir);
	jsonw_open(&w);
	jsonw_key_str(&w, "workdir", dir.ptr ? dir : STR(""));
	jsonw_close(&w);
	far_finish(far, &b);
}

static void info_start(struct far *far)
{
	far_ask(far, "GET", "/work-dir", STR_NONE, INFO_MS, on_info);
}

const struct far_verb daytona_info = { .action = &info_action, .start = info_start };

/* Every action that a Daytona sandbox has something for. */
const struct far_verb *const daytona_verbs[] = {
	&daytona_configure,
	&daytona_download,
	&daytona_exec,
	&daytona_glob,
	&daytona_grep,
	&daytona_info,
	&daytona_list,
	&daytona_mkdir,
	&daytona_move,
	&daytona_read,
	&daytona_remove,
	&daytona_run,
	&daytona_stat,
	&daytona_upload,
	&daytona_write,
	NULL,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /command: a line for a shell, followed while it runs or left in the background, whose output is
 * read later. A command is a process of the sandbox and its id is that process's, so whoever
 * follows, asks or interrupts needs nothing of this server's but the sandbox, also after a restart.
 * Commands in a session run here as well (session.c).
 */
#include "face/opensandbox/command.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "face/opensandbox/handlers.h"

enum {
	TIMEOUT_MAX_MS = 86400000,
	LOG_BYTES = 16 * 1024 * 1024, /* of what runs in the background */
	GRACE_MS = 3000,              /* from TERM to KILL */
};

struct running {
	struct osb_events events;
	struct osb *osb;
	char sandbox[ID_SIZE];
	struct runtime_call *call;
	struct buf params, shell; /* what exec is told; `shell` where there is no bash */
	char *init_id, *name;     /* of a session and its process; NULL: the process's id, none */
	struct call_sink sink;    /* of what frees that name */
	bool is_begun, has_tried_sh, has_looked, is_background;
};

static void running_free(struct running *p)
{
	if (p->call)
		runtime_call_cancel(p->call);
	osb_events_fini(&p->events);
	buf_fini(&p->params);
	buf_fini(&p->shell);
	free(p->init_id);
	free(p->name);
	free(p);
}

static void begin(struct running *p, const struct json *process)
{
	struct str id = json_str(json_find(process, "process"));
	if (!p->is_begun)
		osb_events_text(&p->events, "init", p->init_id ? str_from(p->init_id) : id);
	p->is_begun = true;
}

/* ---- what comes of it ---- */

static void on_started(void *arg, struct str text)
{
	struct running *p = arg;
	auto_json struct json *event = NULL;
	if (json_parse(text, &event, NULL) == 0 &&
		str_is(json_str(json_find(event, "event")), "started"))
		begin(p, json_find(event, "process"));
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct running *p = arg;
	osb_events_output(&p->events, channel, bytes);
	if (osb_events_are_full(&p->events))
		runtime_call_pause(p->call, true);
}

static void on_drain(void *arg)
{
	struct running *p = arg;
	if (p->call)
		runtime_call_pause(p->call, false);
}

static void on_gone(void *arg)
{
	running_free(arg);
}

/* As Go's os/exec tells it: -1 for what a signal ended. */
static int64_t exit_code_of(const struct json *process)
{
	const struct json *code = json_find(process, "exit_code");
	return json_kind(code) == JSON_KIND_INT ? json_int(code) : -1;
}

static void put_failure(struct buf *b, const struct json *process)
{
	struct str signal = json_str(json_find(process, "signal"));
	struct str limit = json_str(json_find(process, "limit"));
	if (json_bool(json_find(process, "timed_out")))
		buf_puts(b, "the time for the command is over: ");
	if (limit.len)
		buf_printf(b, "it ran into a limit (%.*s): ", STR_ARG(limit));
	if (signal.len)
		buf_printf(b, "signal: SIG%.*s", STR_ARG(signal));
	else
		buf_printf(b, "exit status %lld", (long long)exit_code_of(process));
}

static void end(struct running *p, const struct json *process)
{
	auto_buf struct buf text = BUF_INIT(1024), list = BUF_INIT(8192);
	auto_json struct json *traceback = NULL;
	struct jsonw w = JSONW(&list);
	char code[24];
	int64_t status = exit_code_of(process);
	begin(p, process);
	if (p->is_background || status == 0) {
		osb_events_end(&p->events, true);
		return;
	}
	put_failure(&text, process);
	jsonw_open_array(&w);
	jsonw_str(&w, buf_str(&text));
	jsonw_close_array(&w);
	json_parse(buf_str(&list), &traceback, NULL);
	snprintf(code, sizeof(code), "%lld", (long long)status);
	osb_events_error(&p->events, "CommandExecError", str_from(code), traceback);
	osb_events_end(&p->events, false);
}

static void on_result(void *arg, struct str text)
{
	struct running *p = arg;
	auto_json struct json *process = NULL;
	p->call = NULL;
	json_parse(text, &process, NULL);
	end(p, process);
	running_free(p);
}

static void start(struct running *p, struct str params);
static void fail(struct running *p, const struct error *err);
static void on_lost(struct running *p);

/* ---- a session's process: one that has ended gives its name back ---- */

static void perform(struct running *p, const struct action *action, const char *more,
	void (*then)(void *arg, struct str text),
	void (*failed)(void *arg, const struct error *err))
{
	struct sandbox *s = osb_find(p->osb, str_from(p->sandbox));
	auto_buf struct buf params = BUF_INIT(4096);
	struct jsonw w = JSONW(&params);
	p->sink = (struct call_sink){ .result = then, .error = failed };
	jsonw_open(&w);
	jsonw_key_str(&w, "process", str_from(p->name));
	buf_puts(&params, more);
	jsonw_close(&w);
	if (s)
		p->call = runtime_perform(s, action, buf_str(&params), &p->sink, p);
	else
		on_lost(p);
}

static void on_name_is_free(void *arg, struct str text)
{
	struct running *p = arg;
	p->call = NULL;
	start(p, buf_str(&p->params));
}

static void on_name_is_gone(void *arg, const struct error *err)
{
	on_name_is_free(arg, STR_NONE);
}

static void on_seen(void *arg, struct str text)
{
	struct running *p = arg;
	auto_json struct json *process = NULL;
	struct error err;
	p->call = NULL;
	json_parse(text, &process, NULL);
	if (!str_is(json_str(json_find(process, "status")), "running")) {
		perform(p, &process_remove_action, "", on_name_is_free, on_name_is_gone);
		return;
	}
	error_set(&err, ERROR_CONFLICT, "session is busy");
	fail(p, &err);
}

static void on_error(void *arg, const struct error *err)
{
	struct running *p = arg;
	struct error own = *err;
	bool is_missing = err->code == ERROR_NOT_FOUND || err->code == ERROR_INVALID;
	p->call = NULL;
	if (is_missing && !p->is_begun && !p->has_tried_sh && p->shell.len) {
		p->has_tried_sh = true;
		start(p, buf_str(&p->shell));
		return;
	}
	if (err->code == ERROR_EXISTS && p->name && !p->has_looked) {
		p->has_looked = true;
		perform(p, &process_wait_action, ",\"timeout_ms\":1", on_seen, on_name_is_gone);
		return;
	}
	if (!p->is_begun && own.code == ERROR_NOT_FOUND)
		own.code = ERROR_INVALID; /* its directory, its user */
	fail(p, &own);
}

static void fail(struct running *p, const struct error *err)
{
	osb_events_fail(&p->events, err);
	running_free(p);
}

static void on_lost(struct running *p)
{
	struct error err;
	error_set(&err, ERROR_GONE, "the sandbox is gone");
	fail(p, &err);
}

static void start(struct running *p, struct str params)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_started,
		.result = on_result,
		.error = on_error,
	};
	struct sandbox *s = osb_find(p->osb, str_from(p->sandbox));
	if (s)
		p->call = runtime_perform(s, &exec_action, params, &sink, p);
	else
		on_lost(p);
}

/* ---- what exec is told ---- */

static int take_user(const struct json *body, struct jsonw *w, struct error *err)
{
	const struct json *uid = json_find(body, "uid"), *gid = json_find(body, "gid");
	char text[64];
	if (json_kind(uid) == JSON_KIND_NULL && json_kind(gid) == JSON_KIND_NULL)
		return 0;
	if (json_kind(uid) != JSON_KIND_INT)
		return error_set(err, ERROR_INVALID, "uid is required when gid is provided");
	if (json_int(uid) < 0 || json_int(uid) >= UINT32_MAX || json_int(gid) < 0 ||
		json_int(gid) >= UINT32_MAX)
		return error_set(err, ERROR_INVALID, "uid and gid must be numbers of users");
	snprintf(text, sizeof(text), json_kind(gid) == JSON_KIND_INT ? "%lld:%lld" : "%lld",
		(long long)json_int(uid), (long long)json_int(gid));
	jsonw_key_str(w, "user", str_from(text));
	return 0;
}

static int take_timeout(const struct json *body, struct jsonw *w, struct error *err)
{
	const struct json *timeout = json_find(body, "timeout");
	if (json_kind(timeout) == JSON_KIND_NULL)
		return 0;
	if (json_kind(timeout) != JSON_KIND_INT || json_int(timeout) < 0)
		return error_set(err, ERROR_INVALID, "timeout must be a number of milliseconds");
	jsonw_key_int(w, "timeout_ms", MIN(json_int(timeout), (int64_t)TIMEOUT_MAX_MS));
	return 0;
}

static int put_params(struct http_request *r, const struct osb_command *c, const char *shell,
	struct buf *b, struct error *err)
{
	struct jsonw w = JSONW(b);
	struct str cwd = c->has_own_cwd ? STR_NONE : json_str(json_find(c->body, "cwd"));
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, str_from(shell));
	jsonw_str(&w, STR("-c"));
	for (size_t i = 0; i < c->n_arguments; i++)
		jsonw_str(&w, c->arguments[i]);
	jsonw_close_array(&w);
	if (json_kind(json_find(c->body, "envs")) == JSON_KIND_OBJECT)
		osb_key_json(&w, "env", json_find(c->body, "envs"));
	if (cwd.len)
		jsonw_key_str(&w, "cwd", osb_path(r, cwd));
	if (c->name)
		jsonw_key_str(&w, "name", str_from(c->name));
	if (take_user(c->body, &w, err) < 0 || take_timeout(c->body, &w, err) < 0)
		return -1;
	if (c->is_background) {
		jsonw_key_bool(&w, "detach", true);
		jsonw_key_bool(&w, "merge", true);
		jsonw_key_int(&w, "log_bytes", LOG_BYTES);
	} else {
		jsonw_key_bool(&w, "announce", true);
	}
	jsonw_close(&w);
	return b->is_full ? error_set(err, ERROR_TOO_LARGE, "the command is too large") : 0;
}

void osb_command_begin(struct http_request *r, const struct sandbox *s, const struct osb_command *c)
{
	struct running *p = mem_new(struct running);
	struct error err;
	p->osb = osb_of(r);
	snprintf(p->sandbox, sizeof(p->sandbox), "%s", s->id);
	p->is_background = c->is_background;
	p->init_id = c->init_id.len ? str_dup(c->init_id) : NULL;
	p->name = c->name ? mem_strdup(c->name) : NULL;
	buf_init(&p->params, OSB_PARAMS_MAX);
	buf_init(&p->shell, OSB_PARAMS_MAX);
	osb_events_init(&p->events, r, p->osb->loop);
	p->events.drain = on_drain;
	p->events.gone = on_gone;
	p->events.arg = p;
	if (put_params(r, c, "bash", &p->params, &err) < 0 ||
		(!c->needs_bash && put_params(r, c, "sh", &p->shell, &err) < 0)) {
		fail(p, &err);
		return;
	}
	start(p, buf_str(&p->params));
}

void osb_command_of_body(struct http_request *r, const struct sandbox *s, const struct json *body,
	struct str text)
{
	struct osb_command c = {
		.body = body,
		.arguments = { text },
		.n_arguments = 1,
		.is_background = json_bool(json_find(body, "background")),
	};
	if (!text.len || str_has_nul(text))
		osb_execd_invalid(r, "invalid request: command is required");
	else
		osb_command_begin(r, s, &c);
}

void osb_command_run(struct http_request *r)
{
	const struct sandbox *s = osb_execd_sandbox(r);
	auto_json struct json *body = s ? osb_body(r) : NULL;
	if (body)
		osb_command_of_body(r, s, body, json_str(json_find(body, "command")));
}

/* ---- status, logs ---- */

static void fail_command(struct chore *e, const struct error *err)
{
	bool is_missing = err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE;
	if (is_missing)
		osb_fail(e->r, 404, "INVALID_REQUEST_BODY", "command not found: %.*s",
			STR_ARG(str_first(http_param(e->r, "command"), 100)));
	else
		osb_execd_error(e->r, err);
}

static void on_listed(struct chore *e, const struct json *result)
{
	const struct json *processes = json_find(result, "processes"), *p = NULL;
	struct str id = http_param(e->r, "command");
	auto_buf struct buf body = BUF_INIT(OSB_BODY_MAX), failure = BUF_INIT(1024);
	struct jsonw w = JSONW(&body);
	struct error err;
	for (size_t i = 0; i < json_len(processes) && !p; i++)
		if (str_eq(json_str(json_find(json_at(processes, i), "process")), id))
			p = json_at(processes, i);
	if (!p) {
		error_set(&err, ERROR_NOT_FOUND, "there is none");
		fail_command(e, &err);
		return;
	}
	bool is_running = str_is(json_str(json_find(p, "status")), "running");
	int64_t started_ms = json_count(json_find(p, "started_ms"));
	jsonw_open(&w);
	jsonw_key_str(&w, "id", id);
	jsonw_key_str(&w, "content", json_str(json_at(json_find(p, "argv"), 2)));
	jsonw_key_bool(&w, "running", is_running);
	osb_key_time(&w, "started_at", started_ms);
	if (!is_running) {
		jsonw_key_int(&w, "exit_code", exit_code_of(p));
		osb_key_time(&w, "finished_at",
			started_ms + json_count(json_find(p, "duration_ms")));
		put_failure(&failure, p);
		if (exit_code_of(p))
			jsonw_key_str(&w, "error", buf_str(&failure));
	}
	jsonw_close(&w);
	http_reply_json(e->r, 200, &body);
}

void osb_command_status(struct http_request *r)
{
	auto_buf struct buf none = BUF_INIT(1);
	struct chore *e = osb_chore(r);
	if (!e)
		return;
	e->failed = fail_command;
	chore_perform(e, &process_list_action, &none, on_listed);
}

static void begin_log(struct chore *e, const struct json *head)
{
	char next[24];
	snprintf(next, sizeof(next), "%lld", (long long)json_int(json_find(head, "next")));
	http_reply_header(e->r, "EXECD-COMMANDS-TAIL-CURSOR", next);
	http_stream_begin(e->r, 200, "text/plain; charset=utf-8", -1);
}

void osb_command_logs(struct http_request *r)
{
	static const struct chore_flow flow = { .begin = begin_log, .has_stderr = true };
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	struct str cursor = http_query(r, "cursor");
	int64_t after = 0;
	struct error err;
	struct chore *e = osb_chore(r);
	if (!e)
		return;
	if (cursor.len && num_parse_i64(cursor, 0, INT64_MAX, &after, &err) < 0) {
		osb_execd_invalid(r, "cursor: %s", err.text);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "process", http_param(r, "command"));
	jsonw_key_int(&w, "after", after);
	jsonw_close(&w);
	e->failed = fail_command;
	chore_flow(e, &process_logs_action, &params, &flow);
}

/* ---- interrupt: TERM for its process group and, if it goes on, KILL ---- */

static void on_interrupted(struct chore *e, const struct json *result)
{
	osb_empty(e->r, 200);
}

static void signal_it(struct chore *e, const char *signal, chore_fn *then)
{
	const struct str *id = e->state;
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", *id);
	jsonw_key_str(&w, "signal", str_from(signal));
	jsonw_close(&w);
	chore_perform(e, &process_signal_action, &params, then);
}

static void on_waited(struct chore *e, const struct json *result)
{
	e->failed = NULL;
	if (str_is(json_str(json_find(result, "status")), "running"))
		signal_it(e, "KILL", on_interrupted);
	else
		on_interrupted(e, NULL);
}

/* It has ended, and was forgotten, meanwhile. */
static void on_not_waited(struct chore *e, const struct error *err)
{
	on_interrupted(e, NULL);
}

static void on_signalled(struct chore *e, const struct json *result)
{
	const struct str *id = e->state;
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "process", *id);
	jsonw_key_int(&w, "timeout_ms", GRACE_MS);
	jsonw_close(&w);
	e->failed = on_not_waited;
	chore_perform(e, &process_wait_action, &params, on_waited);
}

void osb_command_end(struct chore *e, struct str process, chore_error_fn *failed)
{
	struct str *id = arena_new(&e->r->arena, struct str);
	*id = process;
	e->state = id;
	e->failed = failed;
	signal_it(e, "TERM", on_signalled);
}

static void on_no_session(struct chore *e, const struct error *err)
{
	osb_fail(e->r, 404, "CONTEXT_NOT_FOUND", "no such command runs: %.*s",
		STR_ARG(str_first(http_query(e->r, "id"), 100)));
}

static void on_no_process(struct chore *e, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE)
		osb_command_end(e, osb_session_process(e->r, http_query(e->r, "id")),
			on_no_session);
	else
		osb_execd_error(e->r, err);
}

void osb_command_interrupt(struct http_request *r)
{
	struct str id;
	struct chore *e = osb_chore(r);
	if (e && osb_need_query(r, "id", &id))
		osb_command_end(e, id, on_no_process);
}

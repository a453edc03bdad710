/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /process/interpreter: Python that stays alive, over one WebSocket per piece of code. A context is
 * a kernel of the sandbox.
 */
#include "face/daytona/handlers.h"

#include "action/kernel_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "http/websocket.h"

enum {
	PARAMS_MAX = 4 * 1024 * 1024,
	STANDARD_TIMEOUT_S = 600,
	TIMEOUT_MAX_S = 86400,
	WS_DONE = 1000,
	WS_PROTOCOL = 1002,
	WS_POLICY = 1008,
	WS_FAILED = 1011,
	WS_TIMEOUT = 4008,
};

struct context {
	struct list link; /* box::contexts */
	char id[ID_SIZE];
	char *cwd;
	int64_t created_ms;
};

static void context_free(struct box *b, struct context *c)
{
	list_remove(&c->link);
	b->n_contexts--;
	free(c->cwd);
	free(c);
}

void contexts_drop(struct box *b)
{
	while (!list_is_empty(&b->contexts))
		context_free(b, list_get_first(&b->contexts, struct context, link));
}

static struct context *context_find(struct box *b, struct str id)
{
	struct context *c;
	list_for_each(c, &b->contexts, link)
		if (str_is(id, c->id))
			return c;
	return NULL;
}

static void put_context(const struct context *c, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(c->id));
	jsonw_key_str(w, "cwd", str_from(c->cwd));
	daytona_key_time(w, "createdAt", c->created_ms);
	jsonw_key_bool(w, "active", true);
	jsonw_key_str(w, "language", STR("python"));
	jsonw_close(w);
}

/* ---- contexts ---- */

static void on_opened(struct chore *e, const struct json *result)
{
	struct box *b = map_find(&daytona_of(e->r)->by_id, str_from(e->id));
	auto_buf struct buf body = BUF_INIT(16 * 1024);
	struct jsonw w = JSONW(&body);
	struct context *c = mem_new(struct context);
	snprintf(c->id, sizeof(c->id), "%s", (const char *)e->state);
	c->cwd = str_dup(json_str(json_find(result, "cwd")));
	c->created_ms = clock_wall_ms();
	if (!c->cwd[0]) {
		auto_json struct json *asked = NULL;
		json_parse(e->r->body.len ? e->r->body : STR("{}"), &asked, NULL);
		struct str cwd = json_str(json_find(asked, "cwd"));
		free(c->cwd);
		c->cwd = str_dup(cwd.len ? cwd : STR(DAYTONA_HOME));
	}
	put_context(c, &w);
	if (b) {
		list_append(&b->contexts, &c->link);
		b->n_contexts++;
	} else {
		free(c->cwd);
		free(c);
	}
	http_reply_json(e->r, 200, &body);
}

void contexts_create(struct http_request *r)
{
	const struct box *b = box_of_toolbox(r, NULL);
	auto_json struct json *body = b ? daytona_body(r) : NULL;
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	if (!body)
		return;
	struct str language = json_str(json_find(body, "language"));
	struct str cwd = json_str(json_find(body, "cwd"));
	if (language.len && !str_is(language, "python")) {
		daytona_fail(r, 400, NULL,
			"unsupported language: %.*s (only 'python' is supported currently)",
			STR_ARG(str_first(language, 40)));
		return;
	}
	if (b->n_contexts >= KERNELS_MAX) {
		daytona_fail(r, 429, NULL, "%d contexts are open; that is the limit", KERNELS_MAX);
		return;
	}
	struct chore *e = daytona_chore(r);
	if (!e)
		return;
	char *id = arena_alloc(&r->arena, ID_SIZE);
	id_make(id);
	e->state = id;
	jsonw_open(&w);
	jsonw_key_str(&w, "kernel", str_from(id));
	if (cwd.len)
		jsonw_key_str(&w, "cwd", cwd);
	jsonw_close(&w);
	chore_perform(e, &kernel_open_action, &params, on_opened);
}

void contexts_list(struct http_request *r)
{
	const struct box *b = box_of_toolbox(r, NULL);
	auto_buf struct buf body = BUF_INIT(256 * 1024);
	struct jsonw w = JSONW(&body);
	const struct context *c;
	if (!b)
		return;
	jsonw_open(&w);
	jsonw_key(&w, "contexts");
	jsonw_open_array(&w);
	list_for_each(c, &b->contexts, link)
		put_context(c, &w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

static void reply_deleted(struct http_request *r)
{
	http_reply(r, 200, "application/json",
		STR("{\"message\":\"Context deleted successfully\"}"));
}

static void on_deleted(struct chore *e, const struct json *result)
{
	reply_deleted(e->r);
}

/* Ended already: that is what was wanted. */
static void on_not_deleted(struct chore *e, const struct error *err)
{
	reply_deleted(e->r);
}

void contexts_delete(struct http_request *r)
{
	struct box *b = box_of_toolbox(r, NULL);
	struct str id = http_param(r, "context");
	struct context *c = b ? context_find(b, id) : NULL;
	auto_buf struct buf params = BUF_INIT(256);
	if (!b)
		return;
	if (!c) {
		daytona_fail(r, str_is(id, "default") ? 400 : 404, NULL, "%s",
			str_is(id, "default") ? "cannot delete default context"
					      : "context not found");
		return;
	}
	struct chore *e = daytona_chore(r);
	buf_printf(&params, "{\"kernel\":\"%s\"}", c->id);
	context_free(b, c);
	e->failed = on_not_deleted;
	chore_perform(e, &kernel_close_action, &params, on_deleted);
}

/* ---- a piece of code ---- */

struct execution {
	struct daytona *daytona;
	char id[ID_SIZE];
	struct ws *ws;
	struct runtime_call *call; /* NULL: none, or over */
	bool was_asked;
};

static void execution_free(struct execution *x)
{
	if (x->call)
		runtime_call_cancel(x->call);
	free(x);
}

static void finish(struct execution *x, int code, const char *reason)
{
	ws_close(x->ws, code, reason);
	execution_free(x);
}

static void say(struct execution *x, const char *type, struct str text)
{
	auto_buf struct buf b = BUF_INIT(6 * text.len + 256);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", str_from(type));
	jsonw_key_str(&w, "text", text);
	jsonw_close(&w);
	ws_send_text(x->ws, buf_str(&b));
}

static void say_error(struct execution *x, const struct json *error)
{
	auto_buf struct buf b = BUF_INIT(PARAMS_MAX), trace = BUF_INIT(PARAMS_MAX / 8);
	struct jsonw w = JSONW(&b);
	const struct json *lines = json_find(error, "traceback");
	for (size_t i = 0; i < json_len(lines); i++) {
		buf_put(&trace, json_str(json_at(lines, i)));
		buf_putc(&trace, '\n');
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("error"));
	jsonw_key_str(&w, "name", json_str(json_find(error, "name")));
	jsonw_key_str(&w, "value", json_str(json_find(error, "value")));
	jsonw_key_str(&w, "traceback", buf_str(&trace));
	jsonw_close(&w);
	ws_send_text(x->ws, buf_str(&b));
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct execution *x = arg;
	say(x, channel == 2 ? "stderr" : "stdout", bytes);
	if (ws_is_full(x->ws))
		runtime_call_pause(x->call, true);
}

static void on_result(void *arg, struct str text)
{
	struct execution *x = arg;
	auto_json struct json *result = NULL;
	x->call = NULL;
	json_parse(text, &result, NULL);
	struct str status = json_str(json_find(result, "status"));
	if (str_is(status, "timed_out")) {
		finish(x, WS_TIMEOUT, "execution timeout");
		return;
	}
	if (json_kind(json_find(result, "error")) == JSON_KIND_OBJECT)
		say_error(x, json_find(result, "error"));
	say(x, "control", str_is(status, "interrupted") ? STR("interrupted") : STR("completed"));
	finish(x, WS_DONE, "");
}

static void on_error(void *arg, const struct error *err)
{
	struct execution *x = arg;
	x->call = NULL;
	finish(x, WS_FAILED, err->text);
}

/* -1: it is none. */
static int64_t timeout_ms_of(const struct json *request)
{
	const struct json *value = json_find(request, "timeout");
	if (json_kind(value) != JSON_KIND_INT && json_kind(value) != JSON_KIND_REAL)
		return STANDARD_TIMEOUT_S * 1000;
	double seconds = json_double(value);
	return seconds >= 0 && seconds <= TIMEOUT_MAX_S ? (int64_t)(seconds * 1000) : -1;
}

static void put_cell(struct jsonw *w, const struct json *request, struct str context)
{
	auto_buf struct buf env = BUF_INIT(PARAMS_MAX);
	const struct json *envs = json_find(request, "envs");
	int64_t timeout_ms = timeout_ms_of(request);
	jsonw_open(w);
	jsonw_key_str(w, "code", json_str(json_find(request, "code")));
	jsonw_key_str(w, "kernel", context.len ? context : STR("default"));
	if (json_len(envs) && json_write(envs, &env) == 0) {
		jsonw_key(w, "env");
		jsonw_raw(w, buf_str(&env));
	}
	if (timeout_ms)
		jsonw_key_int(w, "timeout_ms", timeout_ms);
	jsonw_close(w);
}

static void execute(struct execution *x, struct box *b, const struct json *request,
	struct str context)
{
	static const struct call_sink sink = {
		.data = on_data,
		.result = on_result,
		.error = on_error,
	};
	auto_buf struct buf params = BUF_INIT(2 * CELL_CODE_MAX);
	struct jsonw w = JSONW(&params);
	put_cell(&w, request, context);
	x->call = runtime_perform(box_sandbox(b), &cell_action, buf_str(&params), &sink, x);
}

/* The one message that a client sends. */
static void on_message(void *arg, struct str text)
{
	struct execution *x = arg;
	struct box *b = box_find(x->daytona, str_from(x->id));
	auto_json struct json *request = NULL;
	if (x->was_asked)
		return;
	x->was_asked = true;
	if (!b || json_parse(text, &request, NULL) < 0) {
		finish(x, WS_PROTOCOL, "invalid JSON payload");
		return;
	}
	struct str code = json_str(json_find(request, "code"));
	struct str context = json_str(json_find(request, "contextId"));
	const struct json *envs = json_find(request, "envs");
	if (!code.len)
		finish(x, WS_POLICY, "code is required");
	else if (timeout_ms_of(request) < 0)
		finish(x, WS_POLICY, "timeout must be 0 to 86400 seconds");
	else if (context.len && !context_find(b, context))
		finish(x, WS_POLICY, "context not found");
	else if (json_kind(envs) != JSON_KIND_NULL && json_kind(envs) != JSON_KIND_OBJECT)
		finish(x, WS_POLICY, "envs must be an object");
	else
		execute(x, b, request, context);
}

static void on_drain(void *arg)
{
	struct execution *x = arg;
	if (x->call)
		runtime_call_pause(x->call, false);
}

static void on_close(void *arg, int code)
{
	struct execution *x = arg;
	ws_free(x->ws);
	execution_free(x);
}

void interpreter_execute(struct http_request *r)
{
	static const struct ws_ops ops = { on_message, on_message, on_drain, on_close };
	const struct box *b = box_of_toolbox(r, NULL);
	if (!b)
		return;
	struct execution *x = mem_new(struct execution);
	x->daytona = b->daytona;
	snprintf(x->id, sizeof(x->id), "%s", b->id);
	x->ws = ws_accept(r, NULL, &ops, x);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /code: the interpreter. A context is a kernel of the sandbox and its id is the kernel's name, so
 * contexts are what the sandbox has: nothing is kept here. A language has one context that is made
 * by its first use; that of Python is the kernel `default`, which other ways to the same sandbox
 * use as well. Code without a language is a command for a shell.
 */
#include "action/kernel_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/opensandbox/command.h"
#include "face/opensandbox/handlers.h"

enum { CELL_MS = 86400000, CONTEXTS_MAX = 64, NAME_MAX_LEN = 64 };

/* As clients write them, and the Jupyter kernel that stands for them; Python needs none. */
static const struct {
	const char *name, *kernel, *spec;
} languages[] = {
	{ "python", "default", "python" },
	{ "bash", "bash", "bash" },
	{ "java", "java", "java" },
	{ "javascript", "javascript", "javascript" },
	{ "typescript", "typescript", "typescript" },
	{ "go", "go", "gophernotes" },
};

static int language_of(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(languages); i++)
		if (str_is(name, languages[i].name))
			return (int)i;
	return -1;
}

static int language_of_kernel(const struct json *kernel)
{
	struct str spec = json_str(json_find(kernel, "spec"));
	for (size_t i = 0; i < ARRAY_LEN(languages); i++)
		if (str_is(spec, languages[i].spec))
			return (int)i;
	return spec.len && spec.ptr[0] == '/' ? 0 : -1; /* a Python's own path */
}

static const struct json *find_kernel(const struct json *list, struct str name)
{
	const struct json *kernels = json_find(list, "kernels");
	for (size_t i = 0; i < json_len(kernels); i++) {
		const struct json *k = json_at(kernels, i);
		if (str_eq(json_str(json_find(k, "kernel")), name) &&
			!str_is(json_str(json_find(k, "status")), "ended"))
			return k;
	}
	return NULL;
}

static void fail_context(struct http_request *r, struct str id)
{
	osb_fail(r, 404, "CONTEXT_NOT_FOUND", "context %.*s not found",
		STR_ARG(str_first(id, 100)));
}

/* ---- running ---- */

struct execution {
	struct osb_events events;
	struct runtime_call *call;
	char kernel[NAME_MAX_LEN + 1];
};

static void execution_free(struct execution *p)
{
	if (p->call)
		runtime_call_cancel(p->call);
	osb_events_fini(&p->events);
	free(p);
}

static void on_drain(void *arg)
{
	struct execution *p = arg;
	if (p->call)
		runtime_call_pause(p->call, false);
}

static void on_gone(void *arg)
{
	execution_free(arg);
}

static void wait_if_full(struct execution *p)
{
	if (osb_events_are_full(&p->events))
		runtime_call_pause(p->call, true);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct execution *p = arg;
	osb_events_text(&p->events, channel == 2 ? "stderr" : "stdout", bytes);
	wait_if_full(p);
}

/* "text/plain" is called "text". */
static void tell_result(struct execution *p, const struct json *data)
{
	auto_buf struct buf b = BUF_INIT(CELL_OUTPUT_MAX);
	struct jsonw w = JSONW(&b);
	const struct json *value;
	struct str type;
	void *it = NULL;
	jsonw_open(&w);
	while ((value = json_next(data, &it, &type))) {
		auto_buf struct buf text = BUF_INIT(CELL_OUTPUT_MAX);
		if (json_write(value, &text) < 0)
			continue;
		jsonw_key_dyn(&w, str_is(type, "text/plain") ? STR("text") : type);
		jsonw_raw(&w, buf_str(&text));
	}
	jsonw_close(&w);
	if (!b.is_full)
		osb_events_json(&p->events, "result", "results", buf_str(&b));
}

static void on_event(void *arg, struct str text)
{
	struct execution *p = arg;
	auto_json struct json *event = NULL;
	json_parse(text, &event, NULL);
	struct str type = json_str(json_find(event, "type"));
	if (str_is(type, "execute_result") || str_is(type, "display_data"))
		tell_result(p, json_find(event, "data"));
	wait_if_full(p);
}

static void on_ran(void *arg, struct str text)
{
	struct execution *p = arg;
	auto_json struct json *result = NULL;
	p->call = NULL;
	json_parse(text, &result, NULL);
	const struct json *count = json_find(result, "execution_count"),
			  *error = json_find(result, "error");
	bool is_good = str_is(json_str(json_find(result, "status")), "ok");
	if (json_kind(count) == JSON_KIND_INT)
		osb_events_int(&p->events, "execution_count", "execution_count", json_int(count));
	if (json_kind(error) == JSON_KIND_OBJECT) {
		auto_free char *name = str_dup(json_str(json_find(error, "name")));
		osb_events_error(&p->events, name, json_str(json_find(error, "value")),
			json_find(error, "traceback"));
	} else if (!is_good) {
		osb_events_error(&p->events, "ExecutionError",
			json_str(json_find(result, "status")), NULL);
	}
	osb_events_end(&p->events, is_good);
	execution_free(p);
}

static void on_failed(void *arg, const struct error *err)
{
	struct execution *p = arg;
	p->call = NULL;
	if (p->events.is_begun) { /* the client knows the context: it is told what became of it */
		osb_events_error(&p->events, "ExecutionError", str_from(err->text), NULL);
		osb_events_end(&p->events, false);
	} else {
		osb_events_fail(&p->events, err);
	}
	execution_free(p);
}

static void execute(struct http_request *r, struct sandbox *s, struct str kernel, const char *spec,
	struct str code)
{
	static const struct call_sink sink = { on_data, on_event, NULL, on_ran, on_failed };
	auto_buf struct buf params = BUF_INIT(OSB_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct execution *p = mem_new(struct execution);
	struct error err;
	jsonw_open(&w);
	jsonw_key_str(&w, "code", code);
	jsonw_key_str(&w, "kernel", kernel);
	if (spec)
		jsonw_key_str(&w, "spec", str_from(spec));
	jsonw_key_int(&w, "timeout_ms", CELL_MS);
	jsonw_close(&w);
	osb_events_init(&p->events, r, osb_of(r)->loop);
	p->events.drain = on_drain;
	p->events.gone = on_gone;
	p->events.arg = p;
	if (params.is_full) {
		error_set(&err, ERROR_TOO_LARGE, "the code is too large");
		on_failed(p, &err);
		return;
	}
	osb_events_text(&p->events, "init", kernel);
	p->call = runtime_perform(s, &cell_action, buf_str(&params), &sink, p);
}

static bool is_name(struct str id)
{
	return id.len && id.len <= NAME_MAX_LEN && !str_has_nul(id);
}

/* The kernel that a context is has to be there: a cell would make one. */
static void on_kernels(struct chore *e, const struct json *list)
{
	struct http_request *r = e->r;
	struct sandbox *s = osb_execd_sandbox(r);
	auto_json struct json *body = s ? osb_body(r) : NULL;
	struct str id = json_str(json_find(json_find(body, "context"), "id"));
	if (!body)
		return;
	if (find_kernel(list, id))
		execute(r, s, id, NULL, json_str(json_find(body, "code")));
	else
		fail_context(r, id);
}

/* A language whose kernel cannot be started is told before anything is. */
static void on_opened(struct chore *e, const struct json *kernel)
{
	struct http_request *r = e->r;
	struct sandbox *s = osb_execd_sandbox(r);
	auto_json struct json *body = s ? osb_body(r) : NULL;
	if (body)
		execute(r, s, json_str(json_find(kernel, "kernel")), NULL,
			json_str(json_find(body, "code")));
}

static void open_kernel(struct chore *e, int language, struct str name, struct str cwd,
	chore_fn *then)
{
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "kernel", name);
	jsonw_key_str(&w, "spec", str_from(languages[language].spec));
	if (cwd.len)
		jsonw_key_str(&w, "cwd", osb_path(e->r, cwd));
	jsonw_close(&w);
	chore_perform(e, &kernel_open_action, &params, then);
}

/* One that is there already is what was wanted. */
static void on_not_opened(struct chore *e, const struct error *err)
{
	struct http_request *r = e->r;
	auto_json struct json *body = osb_body(r);
	struct sandbox *s = body ? osb_execd_sandbox(r) : NULL;
	int language = language_of(json_str(json_find(json_find(body, "context"), "language")));
	if (!s)
		return;
	if (err->code == ERROR_EXISTS && language >= 0)
		execute(r, s, str_from(languages[language].kernel), NULL,
			json_str(json_find(body, "code")));
	else
		osb_execd_error(r, err);
}

void osb_code_run(struct http_request *r)
{
	struct chore *e = osb_chore(r);
	auto_json struct json *body = e ? osb_body(r) : NULL;
	auto_buf struct buf none = BUF_INIT(1);
	const struct json *context = json_find(body, "context");
	struct str id = json_str(json_find(context, "id")),
		   name = json_str(json_find(context, "language")),
		   code = json_str(json_find(body, "code"));
	int language = language_of(name);
	if (!body)
		return;
	if (!code.len || str_has_nul(code)) {
		osb_execd_invalid(r, "invalid request: code is required");
	} else if (id.len && !is_name(id)) {
		fail_context(r, id);
	} else if (id.len) {
		chore_perform(e, &kernel_list_action, &none, on_kernels);
	} else if (!name.len) {
		osb_command_of_body(r, osb_find(osb_of(r), str_from(e->id)), body, code);
	} else if (language < 0) {
		osb_execd_invalid(r, "unknown language: %.*s", STR_ARG(str_first(name, 60)));
	} else {
		e->failed = on_not_opened;
		open_kernel(e, language, str_from(languages[language].kernel), STR_NONE, on_opened);
	}
}

/* ---- contexts ---- */

static void put_context(struct jsonw *w, struct str id, int language)
{
	jsonw_open(w);
	jsonw_key_str(w, "id", id);
	jsonw_key_str(w, "language", str_from(languages[language].name));
	jsonw_close(w);
}

static void on_made(struct chore *e, const struct json *kernel)
{
	const int *language = e->state;
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	put_context(&w, json_str(json_find(kernel, "kernel")), *language);
	http_reply_json(e->r, 200, &b);
}

void osb_context_create(struct http_request *r)
{
	struct chore *e = osb_chore(r);
	auto_json struct json *body = e ? osb_body(r) : NULL;
	struct str name = json_str(json_find(body, "language")),
		   cwd = json_str(json_find(body, "cwd"));
	char id[ID_SIZE];
	if (!body)
		return;
	int *language = arena_new(&r->arena, int);
	*language = language_of(name);
	if (*language < 0 || (cwd.len && !osb_path_is_good(cwd))) {
		osb_execd_invalid(r, "%s: %.*s", *language < 0 ? "unknown language" : "cwd",
			STR_ARG(str_first(*language < 0 ? name : cwd, 60)));
		return;
	}
	id_make(id);
	e->state = language;
	open_kernel(e, *language, str_from(id), cwd, on_made);
}

static void on_listed(struct chore *e, const struct json *list)
{
	const struct json *kernels = json_find(list, "kernels");
	struct str wanted = http_query(e->r, "language");
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(kernels); i++) {
		const struct json *k = json_at(kernels, i);
		int language = language_of_kernel(k);
		if (language >= 0 && !str_is(json_str(json_find(k, "status")), "ended") &&
			(!wanted.len || str_is(wanted, languages[language].name)))
			put_context(&w, json_str(json_find(k, "kernel")), language);
	}
	jsonw_close_array(&w);
	http_reply_json(e->r, 200, &b);
}

void osb_contexts_list(struct http_request *r)
{
	auto_buf struct buf none = BUF_INIT(1);
	struct chore *e = osb_chore(r);
	if (e)
		chore_perform(e, &kernel_list_action, &none, on_listed);
}

static void on_got(struct chore *e, const struct json *list)
{
	struct str id = http_param(e->r, "context");
	const struct json *kernel = find_kernel(list, id);
	int language = language_of_kernel(kernel);
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	if (!kernel || language < 0) {
		fail_context(e->r, id);
		return;
	}
	put_context(&w, id, language);
	http_reply_json(e->r, 200, &b);
}

void osb_context_get(struct http_request *r)
{
	auto_buf struct buf none = BUF_INIT(1);
	struct chore *e = osb_chore(r);
	if (e)
		chore_perform(e, &kernel_list_action, &none, on_got);
}

/* ---- what is done to a kernel ---- */

static void on_done(struct chore *e, const struct json *result)
{
	osb_empty(e->r, 200);
}

static void on_no_kernel(struct chore *e, const struct error *err)
{
	struct str id = http_param(e->r, "context");
	if (err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE)
		fail_context(e->r, id.ptr ? id : http_query(e->r, "id"));
	else
		osb_execd_error(e->r, err);
}

static void change(struct chore *e, const struct action *action, struct str id, chore_fn *then)
{
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "kernel", id);
	jsonw_close(&w);
	chore_perform(e, action, &params, then);
}

void osb_context_delete(struct http_request *r)
{
	struct chore *e = osb_chore(r);
	if (!e)
		return;
	e->failed = on_no_kernel;
	change(e, &kernel_close_action, http_param(r, "context"), on_done);
}

void osb_code_interrupt(struct http_request *r)
{
	struct str id;
	struct chore *e = osb_chore(r);
	if (!e || !osb_need_query(r, "id", &id))
		return;
	e->failed = on_no_kernel;
	change(e, &kernel_interrupt_action, id, on_done);
}

/* ---- all of a language ---- */

struct closing {
	struct str names[CONTEXTS_MAX];
	size_t n, at;
};

static void close_next(struct chore *e, const struct json *result)
{
	struct closing *c = e->state;
	if (c->at == c->n)
		osb_empty(e->r, 200);
	else
		change(e, &kernel_close_action, c->names[c->at++], close_next);
}

static void on_gone_already(struct chore *e, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE)
		close_next(e, NULL);
	else
		osb_execd_error(e->r, err);
}

static void on_to_close(struct chore *e, const struct json *list)
{
	const struct json *kernels = json_find(list, "kernels");
	int wanted = language_of(http_query(e->r, "language"));
	struct closing *c = arena_new(&e->r->arena, struct closing);
	for (size_t i = 0; i < json_len(kernels) && c->n < CONTEXTS_MAX; i++) {
		const struct json *k = json_at(kernels, i);
		struct str name = json_str(json_find(k, "kernel"));
		if (language_of_kernel(k) == wanted && is_name(name))
			c->names[c->n++] = str_from(arena_str(&e->r->arena, name));
	}
	e->state = c;
	e->failed = on_gone_already;
	close_next(e, NULL);
}

void osb_contexts_delete(struct http_request *r)
{
	auto_buf struct buf none = BUF_INIT(1);
	struct str language;
	struct chore *e = osb_chore(r);
	if (!e || !osb_need_query(r, "language", &language))
		return;
	if (language_of(language) < 0)
		osb_execd_invalid(r, "unknown language: %.*s", STR_ARG(str_first(language, 60)));
	else
		chore_perform(e, &kernel_list_action, &none, on_to_close);
}

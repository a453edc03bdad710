/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /execute: a piece of code for a context; a line of JSON for each thing that comes of it. A
 * client that goes away interrupts what runs.
 */
#include "face/e2b/handlers.h"

#include "action/kernel_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

enum { LINE_MAX_BYTES = 32 * 1024 * 1024, CELL_MS = 86400000 };

struct execution {
	struct http_request *r; /* NULL: the client is gone */
	struct e2b *e2b;
	char id[ID_SIZE];
	struct runtime_call *call; /* NULL: it is over */
	bool is_begun;
};

/* ---- lines ---- */

static void say(struct execution *p, struct buf *line)
{
	if (!p->r)
		return;
	if (!p->is_begun)
		http_stream_begin(p->r, 200, "application/json", -1);
	p->is_begun = true;
	buf_putc(line, '\n');
	if (!line->is_full)
		http_stream_write(p->r, buf_str(line));
	if (http_stream_is_full(p->r) && p->call)
		runtime_call_pause(p->call, true);
}

static void say_output(struct execution *p, const char *type, struct str text)
{
	auto_buf struct buf line = BUF_INIT(6 * text.len + 256);
	struct jsonw w = JSONW(&line);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", str_from(type));
	jsonw_key_str(&w, "text", text);
	e2b_key_time(&w, "timestamp", clock_wall_ms());
	jsonw_close(&w);
	say(p, &line);
}

static void say_error(struct execution *p, const struct json *error)
{
	auto_buf struct buf line = BUF_INIT(LINE_MAX_BYTES), trace = BUF_INIT(LINE_MAX_BYTES / 8);
	struct jsonw w = JSONW(&line);
	const struct json *lines = json_find(error, "traceback");
	for (size_t i = 0; i < json_len(lines); i++) {
		buf_puts(&trace, i ? "\n" : "");
		buf_put(&trace, json_str(json_at(lines, i)));
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("error"));
	jsonw_key_str(&w, "name", json_str(json_find(error, "name")));
	jsonw_key_str(&w, "value", json_str(json_find(error, "value")));
	jsonw_key_str(&w, "traceback", buf_str(&trace));
	jsonw_close(&w);
	say(p, &line);
}

static const struct {
	const char *type, *key;
} kinds[] = {
	{ "text/plain", "text" },
	{ "text/html", "html" },
	{ "text/markdown", "markdown" },
	{ "image/svg+xml", "svg" },
	{ "image/png", "png" },
	{ "image/jpeg", "jpeg" },
	{ "application/pdf", "pdf" },
	{ "text/latex", "latex" },
	{ "application/json", "json" },
	{ "application/javascript", "javascript" },
	{ "e2b/data", "data" },
	{ "e2b/chart", "chart" },
};

static void put_value(struct jsonw *w, const struct json *value)
{
	auto_buf struct buf b = BUF_INIT(LINE_MAX_BYTES);
	if (json_write(value, &b) == 0)
		jsonw_raw(w, buf_str(&b));
	else
		jsonw_null(w);
}

/* The text of a string is shown without the quotes of its representation. */
static void put_kind(struct jsonw *w, const char *key, const struct json *value)
{
	struct str text = json_str(value);
	char first = text.len >= 2 ? text.ptr[0] : '\0';
	jsonw_key(w, key);
	if (str_is(str_from(key), "text") && (first == '\'' || first == '"') &&
		text.ptr[text.len - 1] == first)
		jsonw_str(w, str_from_len(text.ptr + 1, text.len - 2));
	else
		put_value(w, value);
}

static void say_result(struct execution *p, const struct json *event, bool is_main)
{
	auto_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
	struct jsonw w = JSONW(&line);
	const struct json *data = json_find(event, "data"), *value;
	struct str type;
	void *it = NULL;
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("result"));
	jsonw_key_bool(&w, "is_main_result", is_main);
	jsonw_key(&w, "extra");
	struct buf *b = w.b;
	buf_putc(b, '{');
	struct jsonw extra = JSONW(b);
	while ((value = json_next(data, &it, &type))) {
		bool is_known = false;
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			is_known = is_known || str_is(type, kinds[i].type);
		if (is_known)
			continue;
		jsonw_key_dyn(&extra, type);
		put_value(&extra, value);
	}
	buf_putc(b, '}');
	w.needs_comma = true;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if ((value = json_find(data, kinds[i].type)))
			put_kind(&w, kinds[i].key, value);
	jsonw_close(&w);
	say(p, &line);
}

/* ---- the cell ---- */

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	say_output(arg, channel == 2 ? "stderr" : "stdout", bytes);
}

static void on_event(void *arg, struct str text)
{
	auto_json struct json *event = NULL;
	json_parse(text, &event, NULL);
	struct str type = json_str(json_find(event, "type"));
	if (str_is(type, "execute_result"))
		say_result(arg, event, true);
	else if (str_is(type, "display_data"))
		say_result(arg, event, false);
}

static void say_end(struct execution *p, const struct json *result)
{
	auto_buf struct buf line = BUF_INIT(256);
	const struct json *count = json_find(result, "execution_count");
	if (json_kind(json_find(result, "error")) == JSON_KIND_OBJECT)
		say_error(p, json_find(result, "error"));
	if (json_kind(count) != JSON_KIND_INT)
		return;
	buf_printf(&line, "{\"type\":\"number_of_executions\",\"execution_count\":%lld}",
		(long long)json_int(count));
	say(p, &line);
}

static void on_result(void *arg, struct str text)
{
	struct execution *p = arg;
	auto_json struct json *result = NULL;
	p->call = NULL;
	json_parse(text, &result, NULL);
	say_end(p, result);
	if (p->r && !p->is_begun)
		http_stream_begin(p->r, 200, "application/json", -1);
	if (p->r)
		http_stream_end(p->r, true);
	free(p);
}

static void on_error(void *arg, const struct error *err)
{
	struct execution *p = arg;
	if (p->r && p->is_begun)
		http_stream_end(p->r, false);
	else if (p->r && !e2b_box_find(p->e2b, str_from(p->id)))
		e2b_gone(p->r, str_from(p->id));
	else if (p->r)
		http_reply(p->r, e2b_status(err->code), "text/plain; charset=utf-8",
			str_from(err->text));
	free(p);
}

/* ---- the request ---- */

static void on_drain(void *arg)
{
	struct execution *p = arg;
	if (p->call)
		runtime_call_pause(p->call, false);
}

/* Its end is waited for; what has not begun does not begin any more. */
static void on_closed(void *arg)
{
	struct execution *p = arg;
	struct http_request *r = take_ptr(p->r);
	if (p->is_begun)
		http_stream_end(r, false);
	else
		e2b_fail(r, 499, "the client went away");
	if (!p->call)
		return;
	runtime_call_pause(p->call, false);
	runtime_call_control(p->call, STR("{\"signal\":\"INT\"}"));
}

static struct e2b_context *context_of(struct e2b_box *b, const struct json *body, struct error *err)
{
	struct str id = json_str(json_find(body, "context_id"));
	struct str language = json_str(json_find(body, "language"));
	if (id.len && language.len) {
		error_set(err, ERROR_INVALID, "Only one of context_id or language can be provided");
		return NULL;
	}
	if (!id.len)
		return e2b_context_default(b, language, err);
	struct e2b_context *c = e2b_context_find(b, id);
	if (!c)
		error_set(err, ERROR_NOT_FOUND, "Context %.*s not found",
			STR_ARG(str_first(id, 60)));
	return c;
}

static void put_cell(struct jsonw *w, const struct e2b_context *c, const struct json *body)
{
	const struct json *env = json_find(body, "env_vars");
	jsonw_open(w);
	jsonw_key_str(w, "code", json_str(json_find(body, "code")));
	e2b_context_put_kernel(w, c);
	if (str_is(str_from(c->language), "python") && json_len(env)) {
		jsonw_key(w, "env");
		put_value(w, env);
	}
	jsonw_key_int(w, "timeout_ms", CELL_MS);
	jsonw_close(w);
}

void e2b_code_execute(struct http_request *r)
{
	static const struct http_ops ops = { .on_drain = on_drain, .on_closed = on_closed };
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_event,
		.result = on_result,
		.error = on_error,
	};
	struct e2b_box *b = e2b_box_of_data(r);
	auto_json struct json *body = b ? e2b_body(r) : NULL;
	auto_buf struct buf params = BUF_INIT(2 * CELL_CODE_MAX);
	struct jsonw w = JSONW(&params);
	struct error err;
	struct str code = json_str(json_find(body, "code"));
	if (!body)
		return;
	const struct e2b_context *c = context_of(b, body, &err);
	if (!c || !code.ptr || str_has_nul(code)) {
		if (c)
			error_set(&err, ERROR_INVALID, "code is wanted, as text");
		http_reply(r, e2b_status(err.code), "text/plain; charset=utf-8",
			str_from(err.text));
		return;
	}
	struct execution *p = mem_new(struct execution);
	p->r = r;
	p->e2b = b->e2b;
	snprintf(p->id, sizeof(p->id), "%s", b->id);
	put_cell(&w, c, body);
	http_listen(r, &ops, p);
	p->call = runtime_perform(e2b_box_sandbox(b), &cell_action, buf_str(&params), &sink, p);
}

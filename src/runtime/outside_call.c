/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of a tool outside: its arguments are bound here, by the schema that is kept, then sent to
 * where the tool is. What that says of its own failure is a result, like an exception of a Python
 * tool; that it cannot be reached, or is too slow, is an error.
 */
#include "action/tool_actions.h"
#include "action/tool_bind.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/outside_internal.h"
#include "wire/frame.h"

enum { WISH_ARENA_MAX = 64 * 1024 * 1024, HEADERS_ARENA_MAX = 1024 * 1024, WORDS_MAX = 2000 };

struct outside_call {
	struct list link; /* outside::calls */
	struct outside *o;
	const struct outside_ops *ops;
	void *arg;
	size_t pack;
	char *name;
	struct fetch *fetch;
	struct mcp_request *request;
	struct buf body, answer;
	struct arena arena; /* of the headers */
	char *url;
	int64_t started_us;
	bool is_server; /* it answers as CAMEL's does */
	struct error err;
	bool has_failed; /* when it is told later: err, else answer */
};

static void call_free(struct outside_call *c)
{
	fetch_cancel(c->fetch);
	if (c->request)
		mcp_request_cancel(c->request);
	loop_undefer(c->o->rt->loop, c);
	list_remove(&c->link);
	buf_fini(&c->body);
	buf_fini(&c->answer);
	arena_fini(&c->arena);
	free(c->url);
	free(c->name);
	free(c);
}

void outside_drop(struct outside_call *c)
{
	if (c)
		call_free(c);
}

int outside_calls(const struct outside *o, size_t pack)
{
	const struct outside_call *c;
	int n = 0;
	list_for_each(c, &o->calls, link)
		n += c->pack == pack && c->name;
	return n;
}

/* ---- the end ---- */

static void end_error(struct outside_call *c, const struct error *err)
{
	struct error copy = *err;
	if (c->name)
		error_wrap(&copy, "tool %s", c->name);
	const struct outside_ops *ops = c->ops;
	void *arg = c->arg;
	call_free(c);
	ops->error(arg, &copy);
}

/* output: the text of a JSON value; ptr NULL: it failed, in these words. */
static void end_result(struct outside_call *c, struct str output, const char *type,
	struct str message, struct str out)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	struct error err;
	jsonw_open(&w);
	jsonw_key(&w, "output");
	if (output.ptr)
		jsonw_str(&w, output);
	else
		jsonw_null(&w);
	jsonw_key(&w, "error");
	if (output.ptr) {
		jsonw_null(&w);
	} else {
		jsonw_open(&w);
		jsonw_key_str(&w, "type", str_from(type));
		jsonw_key_str(&w, "message", message);
		jsonw_key_str(&w, "traceback", STR(""));
		jsonw_close(&w);
	}
	jsonw_key_str(&w, "stdout", out);
	jsonw_key_str(&w, "stderr", STR(""));
	jsonw_key_int(&w, "duration_us", clock_mono_us() - c->started_us);
	jsonw_close(&w);
	if (b.is_full) {
		error_set(&err, ERROR_TOO_LARGE, "what it gave does not fit into a reply");
		end_error(c, &err);
		return;
	}
	const struct outside_ops *ops = c->ops;
	void *arg = c->arg;
	call_free(c);
	ops->result(arg, buf_str(&b));
}

/*
 * Of a text of many values nobody looks whether it is: its tree would be hundreds of times larger.
 */
static struct json *parse_if_small(struct str text)
{
	struct json *json = NULL;
	if (json_check_values(text, MCP_VALUES_MAX, NULL) == 0)
		json_parse(text, &json, NULL);
	return json;
}

/* A JSON text as it is; any other as a string. */
static void end_text(struct outside_call *c, struct str text, struct str out)
{
	auto_json struct json *json = parse_if_small(text);
	auto_buf struct buf string = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&string);
	if (json) {
		end_result(c, text, NULL, STR_NONE, out);
		return;
	}
	jsonw_str(&w, text);
	end_result(c, buf_str(&string), NULL, STR_NONE, out);
}

static void tell_later(void *arg)
{
	struct outside_call *c = arg;
	if (c->has_failed) {
		end_error(c, &c->err);
		return;
	}
	const struct outside_ops *ops = c->ops;
	void *ops_arg = c->arg;
	auto_buf struct buf text = c->answer;
	buf_init(&c->answer, 0);
	call_free(c);
	ops->result(ops_arg, buf_str(&text));
}

static void raise_later(void *arg)
{
	struct outside_call *c = arg;
	struct error err = c->err;
	end_result(c, STR_NONE, "TypeError", str_from(err.text), STR(""));
}

/* ---- over HTTP ---- */

const char *const *outside_headers(const struct json *headers, struct arena *arena)
{
	const struct json *value;
	const char **all = arena_new_n(arena, const char *, json_len(headers) + 3);
	size_t n = 0;
	void *it = NULL;
	struct str key;
	all[n++] = "Content-Type: application/json";
	all[n++] = "Accept: application/json, text/plain;q=0.9, */*;q=0.1";
	while (headers && (value = json_next(headers, &it, &key)))
		all[n++] = arena_printf(arena, "%.*s: %.*s", STR_ARG(key),
			STR_ARG(json_str(value)));
	all[n] = NULL;
	return all;
}

static int on_body(void *arg, struct str piece, struct error *err)
{
	struct outside_call *c = arg;
	buf_put(&c->answer, piece);
	return c->answer.is_full ? error_set(err, ERROR_TOO_LARGE,
					   "it answered with more than %d bytes", TOOL_OUTPUT_MAX)
				 : 0;
}

static void end_server(struct outside_call *c, int status)
{
	auto_buf struct buf text = c->answer;
	auto_json struct json *json = parse_if_small(buf_str(&text));
	buf_init(&c->answer, 0);
	struct str output = json_str(json_find(json, "output"));
	struct str out = json_str(json_find(json, "stdout"));
	struct str words = json_str(json_find(json, "error_message"));
	if (status == 200 && output.ptr)
		end_text(c, output, out.ptr ? out : STR(""));
	else
		end_result(c, STR_NONE, "RemoteError",
			words.ptr ? words : str_first(buf_str(&text), WORDS_MAX), STR(""));
}

static void on_done(void *arg, const struct error *err)
{
	struct outside_call *c = arg;
	int status = fetch_status(c->fetch);
	c->fetch = NULL;
	if (err) {
		end_error(c, err);
		return;
	}
	if (c->is_server) {
		end_server(c, status);
		return;
	}
	auto_buf struct buf text = c->answer;
	buf_init(&c->answer, 0);
	if (status >= 200 && status < 300) {
		end_text(c, text.len ? buf_str(&text) : STR("null"), STR(""));
		return;
	}
	auto_buf struct buf words = BUF_INIT(2 * WORDS_MAX);
	buf_printf(&words, "it answered %d: %.*s", status,
		STR_ARG(str_first(buf_str(&text), WORDS_MAX)));
	end_result(c, STR_NONE, "HttpError", buf_str(&words), STR(""));
}

static void post(struct outside_call *c, const struct json *pack, const char *path,
	int64_t timeout_ms)
{
	static const struct fetch_ops ops = { .on_body = on_body, .on_done = on_done };
	struct str url = json_str(json_find(pack, "url"));
	while (path[0] && str_ends(url, STR("/")))
		url.len--;
	c->url = mem_printf("%.*s%s", STR_ARG(url), path);
	const struct fetch_request request = {
		.method = "POST",
		.url = c->url,
		.headers = outside_headers(outside_keys_of(c->o, json_str(json_find(pack, "pack"))),
			&c->arena),
		.body = buf_str(&c->body),
		.timeout_ms = timeout_ms,
	};
	c->fetch = fetch_new(c->o->fetcher, &request, &ops, c);
}

/* ---- over MCP ---- */

/* All texts, one below the other. */
static void put_texts(const struct json *content, struct buf *b)
{
	for (size_t i = 0; i < json_len(content); i++) {
		struct str text = json_str(json_find(json_at(content, i), "text"));
		if (!text.ptr)
			continue;
		if (b->len)
			buf_putc(b, '\n');
		buf_put(b, text);
	}
}

static bool is_all_text(const struct json *content)
{
	for (size_t i = 0; i < json_len(content); i++)
		if (!json_str(json_find(json_at(content, i), "text")).ptr)
			return false;
	return true;
}

static void on_answer(void *arg, const struct mcp_answer *answer)
{
	struct outside_call *c = arg;
	auto_buf struct buf text = BUF_INIT(FRAME_PAYLOAD_MAX), value = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&value);
	c->request = NULL;
	if (!answer->result && answer->refusal) {
		end_result(c, STR_NONE, "McpError", json_str(json_find(answer->refusal, "message")),
			STR(""));
		return;
	}
	if (!answer->result) {
		end_error(c, &answer->err);
		return;
	}
	const struct json *content = json_find(answer->result, "content"),
			  *structured = json_find(answer->result, "structuredContent");
	put_texts(content, &text);
	if (json_bool(json_find(answer->result, "isError"))) {
		end_result(c, STR_NONE, "McpError", buf_str(&text), STR(""));
		return;
	}
	if (structured)
		json_write(structured, &value);
	else if (is_all_text(content))
		jsonw_str(&w, buf_str(&text));
	else
		json_write(content, &value);
	end_result(c, buf_str(&value), NULL, STR_NONE, STR(""));
}

static int ask(struct outside_call *c, const struct buf *object, int64_t timeout_ms)
{
	struct mcp_client *client = outside_client(c->o, c->pack);
	struct jsonw w = JSONW(&c->body);
	if (!client)
		return error_set(&c->err, ERROR_UNAVAILABLE, "its MCP server cannot be started");
	jsonw_open(&w);
	jsonw_key_str(&w, "name", str_from(c->name));
	jsonw_key(&w, "arguments");
	jsonw_raw(&w, buf_str(object));
	jsonw_close(&w);
	c->request = mcp_request_new(client, "tools/call", buf_str(&c->body), timeout_ms, on_answer,
		c);
	return 0;
}

/* ---- the beginning ---- */

static struct outside_call *call_new(struct outside *o, const struct outside_ops *ops, void *arg)
{
	struct outside_call *c = mem_new(struct outside_call);
	c->o = o;
	c->ops = ops;
	c->arg = arg;
	c->arena = ARENA_INIT(HEADERS_ARENA_MAX);
	c->started_us = clock_mono_us();
	buf_init(&c->body, 2 * FRAME_PAYLOAD_MAX);
	buf_init(&c->answer, TOOL_OUTPUT_MAX);
	list_append(&o->calls, &c->link);
	return c;
}

static void start(struct outside_call *c, const struct json *schema,
	const struct tool_call_params *p)
{
	const struct json *pack = json_at(c->o->packs, c->pack);
	auto_buf struct buf text = BUF_INIT(FRAME_PAYLOAD_MAX),
			    object = BUF_INIT(FRAME_PAYLOAD_MAX);
	int64_t timeout_ms = p->timeout_ms ? p->timeout_ms
					   : json_int(json_find(pack, "timeout_ms"));
	struct str kind = json_str(json_find(pack, "kind"));
	auto_free char *path = mem_printf("/%s", c->name);
	if (tool_put_call(p, &text, &c->err) < 0) {
		c->has_failed = true;
		loop_defer(c->o->rt->loop, tell_later, c);
	} else if (str_is(kind, "server")) { /* it binds them itself */
		c->is_server = true;
		buf_put(&c->body, str_first(buf_str(&text), text.len - 1));
		buf_puts(&c->body, ",\"redirect_stdout\":true}");
		post(c, pack, path, timeout_ms);
	} else if (tool_bind(c->name, schema, buf_str(&text), &object, &c->err) < 0) {
		loop_defer(c->o->rt->loop, raise_later, c);
	} else if (str_is(kind, "http")) {
		buf_put(&c->body, buf_str(&object));
		post(c, pack, "", timeout_ms);
	} else if (ask(c, &object, timeout_ms) < 0) {
		c->has_failed = true;
		loop_defer(c->o->rt->loop, tell_later, c);
	}
}

/* Their answers come from a server that goes away; they are told so later. */
void outside_end_asked(struct outside *o, size_t pack)
{
	struct outside_call *c;
	list_for_each(c, &o->calls, link) {
		if (c->pack != pack || !c->request)
			continue;
		mcp_request_cancel(take_ptr(c->request));
		error_set(&c->err, ERROR_CONFLICT, "its pack was reset or removed");
		c->has_failed = true;
		loop_defer(o->rt->loop, tell_later, c);
	}
}

void outside_pack_gone(struct outside *o, size_t pack)
{
	struct outside_call *c;
	list_for_each(c, &o->calls, link)
		if (c->pack == pack)
			c->pack = OUTSIDE_PACKS_MAX;
		else if (c->pack > pack && c->pack < OUTSIDE_PACKS_MAX)
			c->pack--;
}

static struct outside_call *take_call(struct outside *o, const struct tool_call_params *p,
	const struct outside_ops *ops, void *arg)
{
	size_t at;
	const struct json *schema = outside_find(o, p->tool, &at);
	if (!schema)
		return NULL;
	struct outside_call *c = call_new(o, ops, arg);
	c->pack = at;
	c->name = str_dup(p->tool);
	start(c, schema, p);
	return c;
}

static struct outside_call *answer(struct outside *o, const char *text,
	const struct outside_ops *ops, void *arg)
{
	struct outside_call *c = call_new(o, ops, arg);
	buf_puts(&c->answer, text);
	loop_defer(o->rt->loop, tell_later, c);
	return c;
}

struct outside_call *outside_take(struct sandbox *s, const struct action *action,
	struct str request, const struct outside_ops *ops, void *arg)
{
	auto_arena struct arena arena = ARENA_INIT(WISH_ARENA_MAX);
	auto_json struct json *json = NULL;
	void *params;
	bool is_call = action == &tool_call_action;
	if (!is_call && action != &tool_remove_action && action != &tool_reset_action)
		return NULL;
	if (json_parse(request, &json, NULL) < 0 ||
		action_decode(action, json_find(json, "params"), &arena, &params, NULL) < 0)
		return NULL;
	struct outside *o = outside_of(s);
	if (is_call)
		return take_call(o, params, ops, arg);
	if (action == &tool_remove_action) {
		const struct tool_remove_params *p = params;
		return outside_remove(s, o, p->name) ? answer(o, "{}", ops, arg) : NULL;
	}
	const struct tool_reset_params *p = params;
	int n = outside_reset(o, p->pack);
	/* Of all, the executor's are counted: it is asked, too. */
	return n && p->pack.ptr ? answer(o, "{\"packs\":1}", ops, arg) : NULL;
}

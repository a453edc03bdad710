/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST and DELETE …/tool-server: a port of its own for the tools of a sandbox (face/camel). POST
 * …/tools: tools that this server performs (runtime/outside.h). /v1/tools: the tools of the server
 * itself, which are those of a sandbox of the name `tools`, made when one is added first.
 * Everything else about tools is actions.
 */
#include "action/tool_actions.h"
#include "base/auto.h"
#include "face/camel/camel.h"
#include "face/rest/handlers.h"
#include "runtime/outside.h"

#define SERVER_TOOLS "tools" /* the sandbox's name */

struct lend_params {
	struct str listen, token;
	bool ends_sandbox;
};

const struct field tool_server_fields[] = {
	{ "listen", FIELD_STRING, FIELD_AT(struct lend_params, listen),
		.standard = "127.0.0.1:8000", .help = "HOST:PORT; port 0: any free one" },
	{ "token", FIELD_STRING, FIELD_AT(struct lend_params, token), FIELD_SECRET,
		.help = "what callers have to show; needed for an address that other machines can reach" },
	{ "ends_sandbox", FIELD_BOOL, FIELD_AT(struct lend_params, ends_sandbox),
		.standard = "false", .help = "remove the sandbox when the stream ends" },
	{ 0 },
};

void tool_server_open(struct http_request *r)
{
	auto_json struct json *body = NULL;
	struct sandbox *s = rest_sandbox(r);
	void *params;
	if (!s)
		return;
	if (rest_body(r, "tool-server", tool_server_fields, sizeof(struct lend_params), &body,
		    &params) < 0)
		return;
	const struct lend_params *p = params;
	const struct camel_lending lending = {
		.where = arena_str(&r->arena, p->listen),
		.token = p->token.len ? arena_str(&r->arena, p->token) : NULL,
		.ends_sandbox = p->ends_sandbox,
	};
	camel_lend(rest_of(r)->camel, r, s, &lending);
}

struct take_back_query {
	int64_t port;
};

const struct field tool_server_query[] = {
	{ "port", FIELD_INT, FIELD_AT(struct take_back_query, port), FIELD_REQUIRED, .min = 1,
		.max = 65535, .help = "where it listens" },
	{ 0 },
};

void tool_server_close(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	struct error err;
	void *query;
	if (!s || rest_query(r, tool_server_query, sizeof(struct take_back_query), &query) < 0)
		return;
	const struct take_back_query *q = query;
	if (camel_take_back(rest_of(r)->camel, s, (int)q->port, &err) < 0)
		http_reply_error(r, &err);
	else
		http_reply(r, 204, NULL, STR_NONE);
}

/* ---- tools that this server performs ---- */

static void on_added(void *arg, struct str pack_json, const struct error *err)
{
	struct http_request *r = arg;
	auto_buf struct buf b = BUF_INIT(REST_JSON_MAX);
	buf_put(&b, pack_json);
	if (err)
		http_reply_error(r, err);
	else
		http_reply_json(r, 200, &b);
}

static void add(struct http_request *r, struct sandbox *s)
{
	auto_json struct json *body = NULL;
	struct error err;
	void *params;
	if (json_parse(r->body, &body, &err) < 0 ||
		fields_decode(outside_fields, sizeof(struct outside_wish), "tools", body, &r->arena,
			&params, &err) < 0)
		http_reply_error(r, &err);
	else
		outside_add(s, params, on_added, r);
}

void tools_add(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	if (s)
		add(r, s);
}

/* ---- the server's own ---- */

/* In the request's arena. */
struct asked {
	struct http_request *r;
	const struct action *action; /* NULL: add what is performed outside */
	struct str params;
	struct runtime_call *call; /* NULL: it is over */
};

static void on_result(void *arg, struct str json)
{
	struct asked *asked = arg;
	auto_buf struct buf b = BUF_INIT(REST_JSON_MAX);
	asked->call = NULL;
	buf_put(&b, json);
	http_reply_json(asked->r, 200, &b);
}

static void on_error(void *arg, const struct error *err)
{
	struct asked *asked = arg;
	asked->call = NULL;
	http_reply_error(asked->r, err);
}

static void on_closed(void *arg)
{
	struct asked *asked = arg;
	struct error err;
	if (!asked->call)
		return;
	runtime_call_cancel(asked->call);
	asked->call = NULL;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(asked->r, &err);
}

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	static const struct call_sink sink = { .result = on_result, .error = on_error };
	struct asked *asked = arg;
	if (err) {
		http_reply_error(asked->r, err);
	} else if (asked->action) {
		asked->call = runtime_perform(s, asked->action, asked->params, &sink, asked);
		http_listen(asked->r, &ops, asked);
	} else {
		add(asked->r, s);
	}
}

/* False: there is none, and *ret_err says so. */
static bool ask(struct http_request *r, const struct action *action, struct str params,
	struct error *ret_err)
{
	struct sandbox *s = runtime_find(rest_of(r)->runtime, STR(SERVER_TOOLS), ret_err);
	struct asked *asked = arena_new(&r->arena, struct asked);
	*asked = (struct asked){ .r = r, .action = action, .params = params };
	if (s)
		on_made(asked, s, NULL);
	return s;
}

void server_tools_get(struct http_request *r)
{
	struct error err;
	auto_buf struct buf none = BUF_INIT(64);
	buf_puts(&none, "{\"packs\":[],\"tools\":[]}");
	if (!ask(r, &tool_list_action, STR_NONE, &err))
		http_reply_json(r, 200, &none);
}

void server_tools_post(struct http_request *r)
{
	struct error err;
	auto_json struct json *body = NULL, *wish = NULL;
	struct create *create = arena_new(&r->arena, struct create);
	struct asked *asked = arena_new(&r->arena, struct asked);
	if (json_parse(r->body, &body, &err) < 0) {
		http_reply_error(r, &err);
		return;
	}
	bool is_outside = json_find(body, "url") || json_find(body, "server") ||
		json_find(body, "mcp");
	const struct action *action = is_outside ? NULL : &tool_add_action;
	if (ask(r, action, r->body, &err))
		return;
	*asked = (struct asked){ .r = r, .action = action, .params = r->body };
	if (json_parse(STR("{\"name\":\"" SERVER_TOOLS "\"}"), &wish, &err) < 0 ||
		create_from_json(wish, &r->arena, create, &err) < 0)
		http_reply_error(r, &err);
	else
		runtime_create(rest_of(r)->runtime, create, on_made, asked);
}

const struct field server_tool_fields[] = {
	{ "args", FIELD_JSON, FIELD_AT(struct tool_call_params, args),
		.help = "an array: arguments by position" },
	{ "kwargs", FIELD_JSON, FIELD_AT(struct tool_call_params, kwargs),
		.help = "an object: arguments by name" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct tool_call_params, timeout_ms), .min = 0,
		.max = 86400000, .standard = "0", .help = "deadline; 0: the pack's" },
	{ 0 },
};

static int put_call(struct http_request *r, struct buf *b, struct error *err)
{
	auto_json struct json *body = NULL;
	void *params;
	if ((r->body.len && json_parse(r->body, &body, err) < 0) ||
		fields_decode(server_tool_fields, sizeof(struct tool_call_params), "tools", body,
			&r->arena, &params, err) < 0)
		return -1;
	struct jsonw w = JSONW(b);
	void *it = NULL;
	struct str key;
	const struct json *value;
	jsonw_open(&w);
	jsonw_key_str(&w, "tool", http_param(r, "tool"));
	while ((value = json_next(body, &it, &key))) {
		jsonw_key_dyn(&w, key);
		json_write(value, b);
		w.needs_comma = true;
	}
	jsonw_close(&w);
	return 0;
}

void server_tools_call(struct http_request *r)
{
	auto_buf struct buf params = BUF_INIT(REST_JSON_MAX);
	struct error err;
	if (put_call(r, &params, &err) < 0 || !ask(r, &tool_call_action, buf_str(&params), &err))
		http_reply_error(r, &err);
}

void server_tools_delete(struct http_request *r)
{
	auto_buf struct buf params = BUF_INIT(4096);
	struct jsonw w = JSONW(&params);
	struct error err;
	jsonw_open(&w);
	jsonw_key_str(&w, "name", http_param(r, "tool"));
	jsonw_close(&w);
	if (!ask(r, &tool_remove_action, buf_str(&params), &err))
		http_reply_error(r, &err);
}

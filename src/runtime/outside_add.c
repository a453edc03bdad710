/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Adding asks first whose tools they are (an MCP server, a tool server), then
 * the executor which names it has, and is done when the record is stored.
 */
#include "action/tool_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/outside_internal.h"

enum { ASK_MS = 30000, ANSWER_MAX = 4 * 1024 * 1024, PAGES_MAX = 20, ARENA_MAX = 1024 * 1024 };

const struct field outside_fields[] = {
	{ "url", FIELD_STRING, FIELD_AT(struct outside_wish, url),
		.help = "of an HTTP endpoint: the arguments are POSTed to it as a JSON object, what it answers is the "
			"result, as JSON or as text" },
	{ "headers", FIELD_MAP, FIELD_AT(struct outside_wish, headers), FIELD_SECRET,
		.help = "for url, server and an MCP server's url; the sandbox does not see them, and no answer, "
			"event or record has their values" },
	{ "server", FIELD_STRING, FIELD_AT(struct outside_wish, server),
		.help = "URL of a tool server of CAMEL's kind: each of its tools" },
	{ "mcp", FIELD_JSON, FIELD_AT(struct outside_wish, mcp),
		.help = "an MCP server that runs in the sandbox: command, args, env, cwd; or one that is reached over "
			"HTTP (streamable, or with SSE): url; each of its tools" },
	{ "name", FIELD_STRING, FIELD_AT(struct outside_wish, name),
		.help = "of the tool behind url, or of the MCP server" },
	{ "description", FIELD_STRING, FIELD_AT(struct outside_wish, description),
		.help = "of the tool behind url" },
	{ "parameters", FIELD_JSON, FIELD_AT(struct outside_wish, parameters),
		.help = "JSON Schema of its arguments; without one, any object" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct outside_wish, timeout_ms), .min = 1,
		.max = 86400000, .standard = "600000",
		.help = "deadline of a call that says none" },
	{ 0 },
};

/* One that is being added. */
struct add {
	struct list link; /* outside::adds */
	struct outside *o;
	outside_done_fn *done;
	void *arg;
	struct buf pack;  /* its members before "tools" */
	struct buf tools; /* schemas, with commas */
	struct buf keys;  /* values of headers, an object; empty: there are none */
	int n_tools, n_pages;
	struct mcp_client *client;
	struct mcp_request *request;
	struct fetch *fetch;
	struct buf answer;
	struct runtime_call *list;
	struct store_wait wait;
	char *url, *name;
	struct error err;
	struct arena arena;
};

static void add_free(struct add *a)
{
	if (a->request)
		mcp_request_cancel(a->request);
	fetch_cancel(a->fetch);
	if (a->list)
		runtime_call_cancel(a->list);
	mcp_client_free(a->client);
	store_forget(&a->wait);
	loop_undefer(a->o->rt->loop, a);
	list_remove(&a->link);
	buf_fini(&a->pack);
	buf_fini(&a->tools);
	buf_fini(&a->keys);
	buf_fini(&a->answer);
	arena_fini(&a->arena);
	free(a->url);
	free(a->name);
	free(a);
}

static void add_end(struct add *a, struct str pack_json, const struct error *err)
{
	outside_done_fn *done = a->done;
	void *arg = a->arg;
	struct error copy = { 0 };
	if (err) {
		copy = *err;
		error_wrap(&copy, "%.100s", a->name);
	}
	add_free(a);
	done(arg, pack_json, err ? &copy : NULL);
}

static void fail_later(void *arg)
{
	struct add *a = arg;
	add_end(a, STR_NONE, &a->err);
}

void outside_adds_drop(struct outside *o)
{
	while (!list_is_empty(&o->adds))
		add_free(list_get_first(&o->adds, struct add, link));
}

void outside_adds_end(struct outside *o)
{
	while (!list_is_empty(&o->adds)) {
		struct add *a = list_get_first(&o->adds, struct add, link);
		error_set(&a->err, ERROR_GONE, "the sandbox ended");
		add_end(a, STR_NONE, &a->err);
	}
}

/* ---- what it is to be ---- */

static void put_member(struct jsonw *w, const char *key, const struct json *value)
{
	if (!value)
		return;
	jsonw_key(w, key);
	outside_put_value(w, value);
}

static void add_schema(struct add *a, struct str name, struct str description,
	const struct json *parameters)
{
	struct jsonw w = JSONW(&a->tools);
	w.needs_comma = a->n_tools++ > 0;
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("function"));
	jsonw_key(&w, "function");
	jsonw_open(&w);
	jsonw_key_str(&w, "name", name);
	jsonw_key_str(&w, "description", description.ptr ? description : STR(""));
	jsonw_key(&w, "parameters");
	if (parameters)
		outside_put_value(&w, parameters);
	else
		jsonw_raw(&w,
			STR("{\"type\":\"object\",\"properties\":{},\"additionalProperties\":true}"));
	jsonw_close(&w);
	jsonw_close(&w);
}

static void on_stored(void *arg, const struct error *err)
{
	struct add *a = arg;
	struct sandbox *s = runtime_find(a->o->rt, str_from(a->o->sandbox), NULL);
	auto_buf struct buf b = BUF_INIT(OUTSIDE_JSON_MAX);
	struct jsonw w = JSONW(&b);
	if (err || !s) {
		add_end(a, STR_NONE, err);
		return;
	}
	outside_put_pack(a->o, json_len(a->o->packs) - 1, &w);
	add_end(a, buf_str(&b), NULL);
}

static bool is_taken(const struct json *list, struct str name)
{
	const struct json *tools = json_find(list, "tools");
	for (size_t i = 0; i < json_len(tools); i++)
		if (str_eq(outside_name_of(json_at(tools, i)), name))
			return true;
	return false;
}

/* {…a->pack, "tools":[those that are new], "hidden":[the others]} */
static int put_new_pack(struct add *a, const struct json *list, struct buf *b, struct error *err)
{
	auto_json struct json *all = NULL;
	auto_buf struct buf text = BUF_INIT(OUTSIDE_JSON_MAX);
	int n_new = 0;
	buf_printf(&text, "[%s]", a->n_tools ? a->tools.ptr : "");
	if (json_parse(buf_str(&text), &all, err) < 0)
		return -1;
	buf_printf(b, "%s,", a->pack.ptr);
	struct jsonw w = JSONW(b);
	jsonw_key(&w, "tools");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(all); i++)
		if (!is_taken(list, outside_name_of(json_at(all, i)))) {
			outside_put_value(&w, json_at(all, i));
			n_new++;
		}
	jsonw_close_array(&w);
	jsonw_key(&w, "hidden");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(all); i++)
		if (is_taken(list, outside_name_of(json_at(all, i))))
			jsonw_str(&w, outside_name_of(json_at(all, i)));
	jsonw_close_array(&w);
	buf_putc(b, '}');
	if (n_new == 0)
		return error_set(err, ERROR_EXISTS, "other packs have tools of its names");
	return 0;
}

static void note(struct sandbox *s, const struct add *a)
{
	auto_buf struct buf data = BUF_INIT(EVENT_DATA_MAX);
	struct jsonw w = JSONW(&data);
	jsonw_open(&w);
	jsonw_key_str(&w, "service", STR("tool_add"));
	jsonw_key(&w, "arguments");
	jsonw_open_array(&w);
	jsonw_str(&w, str_from(a->name));
	jsonw_close_array(&w);
	jsonw_close(&w);
	audit_add(s, "action", 0, &data);
}

static int keep(struct add *a, struct str list_json, struct error *err)
{
	struct outside *o = a->o;
	struct sandbox *s = runtime_find(o->rt, str_from(o->sandbox), err);
	auto_json struct json *list = NULL;
	auto_buf struct buf text = BUF_INIT(OUTSIDE_JSON_MAX);
	size_t n = json_len(o->packs);
	if (!s || json_parse(list_json, &list, err) < 0)
		return -1;
	if (n >= OUTSIDE_PACKS_MAX)
		return error_set(err, ERROR_LIMIT, "the sandbox has %zu packs of such tools", n);
	buf_putc(&text, '[');
	for (size_t i = 0; i < n; i++) {
		json_write(json_at(o->packs, i), &text);
		buf_putc(&text, ',');
	}
	if (put_new_pack(a, list, &text, err) < 0)
		return -1;
	buf_putc(&text, ']');
	if (a->keys.len && outside_keys_set(o, str_from(a->name), buf_str(&a->keys), err) < 0)
		return -1;
	if (outside_set_packs(s, o, &text, err) < 0)
		return -1;
	o->clients[n] = take_ptr(a->client);
	note(s, a);
	a->wait.fn = on_stored;
	a->wait.arg = a;
	store_after(o->rt->store, &a->wait);
	return 0;
}

static void on_list(void *arg, struct str json)
{
	struct add *a = arg;
	struct error err;
	a->list = NULL;
	if (keep(a, json, &err) < 0)
		add_end(a, STR_NONE, &err);
}

static void on_list_error(void *arg, const struct error *err)
{
	struct add *a = arg;
	a->list = NULL;
	add_end(a, STR_NONE, err);
}

/* Whose tools they are is known: which of their names has the executor? */
static void ask_executor(struct add *a)
{
	static const struct call_sink sink = { .result = on_list, .error = on_list_error };
	struct error err;
	struct sandbox *s = runtime_find(a->o->rt, str_from(a->o->sandbox), &err);
	if (s && a->n_tools == 0)
		error_set(&err, ERROR_INVALID, "it has no tools");
	if (!s || a->n_tools == 0)
		add_end(a, STR_NONE, &err);
	else
		a->list = call_perform_quietly(s, &tool_list_action, STR_NONE, &sink, a);
}

static void ask_mcp(struct add *a, struct str cursor);

static void on_mcp_tools(void *arg, const struct mcp_answer *answer)
{
	struct add *a = arg;
	a->request = NULL;
	if (!answer->result) {
		add_end(a, STR_NONE, &answer->err);
		return;
	}
	const struct json *tools = json_find(answer->result, "tools");
	for (size_t i = 0; i < json_len(tools); i++) {
		const struct json *t = json_at(tools, i);
		struct str name = json_str(json_find(t, "name"));
		if (name.ptr && tool_check_name(name, NULL) == 0)
			add_schema(a, name, json_str(json_find(t, "description")),
				json_find(t, "inputSchema"));
	}
	struct str next = json_str(json_find(answer->result, "nextCursor"));
	if (next.len && ++a->n_pages < PAGES_MAX)
		ask_mcp(a, next);
	else
		ask_executor(a);
}

static void ask_mcp(struct add *a, struct str cursor)
{
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	if (cursor.ptr)
		jsonw_key_str(&w, "cursor", cursor);
	jsonw_close(&w);
	a->request = mcp_request_new(a->client, "tools/list", buf_str(&params), ASK_MS,
		on_mcp_tools, a);
}

static int on_answer(void *arg, struct str piece, struct error *err)
{
	struct add *a = arg;
	buf_put(&a->answer, piece);
	return a->answer.is_full
		? error_set(err, ERROR_TOO_LARGE, "it says more than %d bytes", ANSWER_MAX)
		: 0;
}

/* openapi.json has every tool as a path; one of ours also says what it takes. */
static void on_openapi(void *arg, const struct error *failure)
{
	struct add *a = arg;
	auto_json struct json *openapi = NULL;
	struct error err = { 0 };
	int status = fetch_status(a->fetch);
	a->fetch = NULL;
	if (failure)
		err = *failure;
	else if (status != 200)
		error_set(&err, status == 401 ? ERROR_UNAUTHORIZED : ERROR_PROTOCOL,
			"it answered %d when asked for openapi.json", status);
	else
		json_parse(buf_str(&a->answer), &openapi, &err);
	if (err.code != ERROR_OK) {
		add_end(a, STR_NONE, &err);
		return;
	}
	void *it = NULL;
	struct str path;
	const struct json *row, *paths = json_find(openapi, "paths");
	while ((row = json_next(paths, &it, &path))) {
		const struct json *post = json_find(row, "post");
		struct str name = str_skip(path, 1);
		if (!post || tool_check_name(name, NULL) < 0)
			continue;
		const struct json *content = json_find(json_find(post, "requestBody"), "content");
		const struct json *body = json_find(json_find(content, "application/json"),
			"schema");
		struct str text = json_str(json_find(post, "description"));
		add_schema(a, name, text.ptr ? text : json_str(json_find(post, "summary")),
			json_find(json_find(body, "properties"), "kwargs"));
	}
	ask_executor(a);
}

static void ask_server(struct add *a, const struct outside_wish *wish)
{
	static const struct fetch_ops ops = { .on_body = on_answer, .on_done = on_openapi };
	auto_json struct json *keys = NULL;
	if (a->keys.len)
		json_parse(buf_str(&a->keys), &keys, NULL);
	a->url = mem_printf("%.*s%sopenapi.json", STR_ARG(wish->server),
		str_ends(wish->server, STR("/")) ? "" : "/");
	const struct fetch_request request = {
		.method = "GET",
		.url = a->url,
		.headers = outside_headers(keys, &a->arena),
		.timeout_ms = ASK_MS,
	};
	a->fetch = fetch_new(a->o->fetcher, &request, &ops, a);
}

/* ---- the wish ---- */

static int check_wish(const struct outside *o, const struct outside_wish *wish, struct str name,
	struct error *err)
{
	int n = (wish->url.ptr != NULL) + (wish->server.ptr != NULL) + (wish->mcp != NULL);
	struct str url = wish->url.ptr ? wish->url : wish->server;
	if (n != 1)
		return error_set(err, ERROR_INVALID,
			"such a pack is one of url, server and mcp; %d are given", n);
	if (!wish->server.ptr && tool_check_name(name, err) < 0)
		return -1;
	if (url.ptr && outside_check_url(url, err) < 0)
		return -1;
	if (wish->parameters && json_kind(wish->parameters) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INVALID, "parameters: a JSON Schema is an object");
	if (wish->headers.n > OUTSIDE_HEADERS_MAX)
		return error_set(err, ERROR_INVALID, "headers: more than %d", OUTSIDE_HEADERS_MAX);
	for (size_t i = 0; i < wish->headers.n; i++)
		if (str_find_char(wish->headers.values[i], '\n') >= 0 ||
			str_find_char(wish->headers.values[i], '\r') >= 0 ||
			str_find_char(wish->headers.keys[i], ':') >= 0 ||
			str_find_char(wish->headers.keys[i], '\n') >= 0)
			return error_set(err, ERROR_INVALID, "headers: '%.*s' is no header",
				STR_ARG(str_first(wish->headers.keys[i], 60)));
	for (size_t i = 0; i < json_len(o->packs); i++)
		if (str_eq(json_str(json_find(json_at(o->packs, i), "pack")), name))
			return error_set(err, ERROR_EXISTS, "there is a pack of that name already");
	return 0;
}

static void put_wish(const struct outside_wish *wish, struct str name, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "pack", name);
	jsonw_key_str(&w, "kind",
		wish->url.ptr       ? STR("http")
			: wish->mcp ? STR("mcp")
				    : STR("server"));
	jsonw_key_int(&w, "timeout_ms", wish->timeout_ms);
	if (wish->url.ptr || wish->server.ptr)
		jsonw_key_str(&w, "url", wish->url.ptr ? wish->url : wish->server);
	put_member(&w, "mcp", wish->mcp);
	jsonw_key(&w, "headers");
	jsonw_open_array(&w);
	for (size_t i = 0; i < wish->headers.n; i++)
		jsonw_str(&w, wish->headers.keys[i]);
	jsonw_close_array(&w);
}

static void put_keys(const struct outside_wish *wish, struct buf *b)
{
	struct jsonw w = JSONW(b);
	if (!wish->headers.n)
		return;
	jsonw_open(&w);
	for (size_t i = 0; i < wish->headers.n; i++) {
		jsonw_key_dyn(&w, wish->headers.keys[i]);
		jsonw_str(&w, wish->headers.values[i]);
	}
	jsonw_close(&w);
}

static int begin(struct add *a, struct sandbox *s, const struct outside_wish *wish, struct str name)
{
	struct error *err = &a->err;
	if (call_check_usable(s, err) < 0 || check_wish(a->o, wish, name, err) < 0)
		return -1;
	put_wish(wish, name, &a->pack);
	put_keys(wish, &a->keys);
	if (wish->mcp) {
		auto_json struct json *keys = NULL;
		if (a->keys.len)
			json_parse(buf_str(&a->keys), &keys, NULL);
		a->client = outside_client_new(s, name, wish->mcp, keys, err);
		if (!a->client)
			return -1;
		ask_mcp(a, STR_NONE);
	} else if (wish->server.ptr) {
		ask_server(a, wish);
	} else {
		add_schema(a, name, wish->description, wish->parameters);
		ask_executor(a);
	}
	return 0;
}

void outside_add(struct sandbox *s, const struct outside_wish *wish, outside_done_fn *done,
	void *arg)
{
	struct outside *o = outside_of(s);
	struct add *a = mem_new(struct add);
	struct str name = wish->server.ptr ? wish->server : wish->name.ptr ? wish->name : STR("");
	a->o = o;
	a->done = done;
	a->arg = arg;
	a->name = str_dup(name);
	a->arena = ARENA_INIT(ARENA_MAX);
	list_init(&a->wait.link);
	buf_init(&a->pack, OUTSIDE_JSON_MAX);
	buf_init(&a->tools, OUTSIDE_JSON_MAX);
	buf_init(&a->keys, OUTSIDE_JSON_MAX);
	buf_init(&a->answer, ANSWER_MAX);
	list_append(&o->adds, &a->link);
	if (begin(a, s, wish, name) < 0)
		loop_defer(o->rt->loop, fail_later, a);
}

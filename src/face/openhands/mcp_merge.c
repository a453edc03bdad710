/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A request becomes work: one request to one server (tools/call), or the same
 * to all of them (tools/list), page by page, whose items are put together. Work hangs on its turn,
 * so that a client that leaves, or cancels, ends it; and on the proxy, so that an update that takes
 * a server away can.
 *
 * Two clients may use the same progress token, so each call gets one of ours while it is under way.
 */
#include "face/openhands/mcp.h"

#include "base/auto.h"
#include "base/bug.h"

enum {
	LIST_MS = 120 * 1000,
	CALL_MS = 3600 * 1000, /* clients have deadlines of their own */
	PAGES_MAX = 64,
	ITEMS_MAX = 16 * 1024 * 1024,
};

struct list_kind {
	const char *method;
	const char *key; /* of the result */
	const char *uri; /* the key of an item that is a URI, or NULL */
};

static const struct list_kind list_kinds[] = {
	{ "tools/list", "tools", NULL },
	{ "prompts/list", "prompts", NULL },
	{ "resources/list", "resources", "uri" },
	{ "resources/templates/list", "resourceTemplates", "uriTemplate" },
};

/* What one server was asked for. */
struct part {
	struct work *work;
	struct mcp_server *server;
	struct mcp_request *request; /* NULL: answered */
	struct buf items;            /* of a list: JSON, with commas between */
	struct error failure;
	bool has_failed;
	int pages;
};

struct work {
	struct list link; /* mcp_proxy::forwards */
	struct mcp_proxy *proxy;
	struct mcphub_turn *turn;
	const struct list_kind *kind; /* NULL: a call */
	int64_t token;                /* of its progress; 0: none is wanted */
	bool is_call;                 /* tools/call: failures are results */
	int n_pending;
	size_t n_parts;
	struct part parts[];
};

/* ---- work ---- */

static struct work *work_new(struct mcp_proxy *proxy, struct mcphub_turn *turn, size_t n_parts)
{
	struct work *w = mem_zalloc(sizeof(*w) + n_parts * sizeof(struct part));
	w->proxy = proxy;
	w->turn = turn;
	w->n_parts = n_parts;
	turn->state = w;
	list_append(&proxy->forwards, &w->link);
	for (size_t i = 0; i < n_parts; i++) {
		w->parts[i].work = w;
		buf_init(&w->parts[i].items, ITEMS_MAX);
	}
	return w;
}

/* The turn is to be answered by the caller. */
static struct mcphub_turn *work_free(struct work *w)
{
	struct mcphub_turn *turn = w->turn;
	for (size_t i = 0; i < w->n_parts; i++) {
		if (w->parts[i].request)
			mcp_request_cancel(w->parts[i].request);
		buf_fini(&w->parts[i].items);
	}
	list_remove(&w->link);
	turn->state = NULL;
	free(w);
	return turn;
}

static bool has_prefix(const struct mcp_proxy *proxy)
{
	return proxy->n_servers > 1;
}

static void answer_text_error(struct mcphub_turn *turn, const char *text)
{
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "content");
	jsonw_open_array(&w);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("text"));
	jsonw_key_str(&w, "text", str_from(text));
	jsonw_close(&w);
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "isError", true);
	jsonw_close(&w);
	mcphub_answer(turn, buf_str(&b));
}

/* ---- lists ---- */

/* "note://today" of server alpha is "note://alpha/today". */
static void put_uri(struct jsonw *w, const char *server, struct str uri)
{
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	ptrdiff_t at = str_find(uri, STR("://"));
	if (at < 0) {
		jsonw_str(w, uri);
		return;
	}
	buf_put(&b, str_first(uri, (size_t)at + 3));
	buf_printf(&b, "%s/", server);
	buf_put(&b, str_skip(uri, (size_t)at + 3));
	jsonw_str(w, buf_str(&b));
}

static void put_item(struct part *p, const struct json *item, struct buf *b)
{
	const char *uri = p->work->kind->uri;
	const char *server = p->server->name;
	bool is_prefixed = has_prefix(p->work->proxy);
	struct jsonw w = JSONW(b);
	void *it = NULL;
	struct str key;
	struct json *value;
	jsonw_open(&w);
	while ((value = json_next(item, &it, &key))) {
		jsonw_key_dyn(&w, key);
		bool is_str = json_kind(value) == JSON_KIND_STR;
		if (is_prefixed && is_str && str_is(key, "name")) {
			auto_buf struct buf name = BUF_INIT(64 * 1024);
			buf_printf(&name, "%s_%.*s", server, STR_ARG(json_str(value)));
			jsonw_str(&w, buf_str(&name));
		} else if (is_prefixed && is_str && uri && str_is(key, uri)) {
			put_uri(&w, server, json_str(value));
		} else {
			json_write(value, b);
			w.needs_comma = true;
		}
	}
	jsonw_close(&w);
}

static void answer_list(struct work *w)
{
	auto_buf struct buf b = BUF_INIT(ITEMS_MAX + 4096);
	struct error failure;
	size_t n_failed = 0;
	bool is_first = true;
	buf_printf(&b, "{\"%s\":[", w->kind->key);
	for (size_t i = 0; i < w->n_parts; i++) {
		struct part *p = &w->parts[i];
		if (p->has_failed || p->items.is_full) {
			failure = p->failure;
			n_failed++;
			continue;
		}
		if (p->items.len && !is_first)
			buf_putc(&b, ',');
		buf_put(&b, buf_str(&p->items));
		is_first = is_first && !p->items.len;
	}
	buf_puts(&b, "]}");
	bool is_alone = w->n_parts == 1 && n_failed;
	struct mcphub_turn *turn = work_free(w);
	if (is_alone)
		mcphub_refuse(turn, JSONRPC_INTERNAL_ERROR, "Client failed to connect: %s",
			failure.text);
	else if (b.is_full)
		mcphub_refuse(turn, JSONRPC_INTERNAL_ERROR, "the list has over %d bytes",
			ITEMS_MAX);
	else
		mcphub_answer(turn, buf_str(&b));
}

static void on_list(void *arg, const struct mcp_answer *answer);

static void ask_page(struct part *p, struct str cursor)
{
	auto_buf struct buf params = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	if (cursor.len)
		jsonw_key_str(&w, "cursor", cursor);
	jsonw_close(&w);
	p->request = mcp_request_new(p->server->client, p->work->kind->method, buf_str(&params),
		LIST_MS, on_list, p);
}

/* A server without prompts has an empty list of them. */
static bool is_unknown_method(const struct mcp_answer *a)
{
	return a->refusal && json_int(json_find(a->refusal, "code")) == JSONRPC_METHOD_NOT_FOUND;
}

static void on_list(void *arg, const struct mcp_answer *answer)
{
	struct part *p = arg;
	struct work *w = p->work;
	const struct json *items = json_find(answer->result, w->kind->key);
	struct str cursor = json_str(json_find(answer->result, "nextCursor"));
	p->request = NULL;
	for (size_t i = 0; i < json_len(items) && !p->items.is_full; i++) {
		if (p->items.len)
			buf_putc(&p->items, ',');
		put_item(p, json_at(items, i), &p->items);
	}
	if (!answer->result && !is_unknown_method(answer)) {
		p->has_failed = true;
		p->failure = answer->err;
	}
	if (cursor.len && ++p->pages < PAGES_MAX) {
		ask_page(p, cursor);
		return;
	}
	if (--w->n_pending == 0)
		answer_list(w);
}

static void start_list(struct mcp_proxy *proxy, struct mcphub_turn *turn,
	const struct list_kind *kind)
{
	struct work *w = work_new(proxy, turn, proxy->n_servers);
	w->kind = kind;
	w->n_pending = (int)proxy->n_servers;
	for (size_t i = 0; i < proxy->n_servers; i++) {
		w->parts[i].server = proxy->servers[i];
		ask_page(&w->parts[i], STR_NONE);
	}
}

/* ---- calls ---- */

static void on_called(void *arg, const struct mcp_answer *answer)
{
	struct part *p = arg;
	bool is_call = p->work->is_call;
	auto_buf struct buf b = BUF_INIT(2 * MCP_MESSAGE_MAX);
	p->request = NULL;
	struct mcphub_turn *turn = work_free(p->work);
	if (answer->result) {
		json_write(answer->result, &b);
		mcphub_answer(turn, buf_str(&b));
	} else if (answer->refusal) {
		mcphub_refuse_as(turn, answer->refusal);
	} else if (is_call) {
		buf_printf(&b, "Client failed to connect: %s", answer->err.text);
		answer_text_error(turn, b.ptr);
	} else {
		mcphub_refuse(turn, JSONRPC_INTERNAL_ERROR, "Client failed to connect: %s",
			answer->err.text);
	}
}

/*
 * The server whose name and '_' the text begins with: the longest, if one name begins with another.
 */
static struct mcp_server *server_of(const struct mcp_proxy *proxy, struct str name,
	struct str *ret_own)
{
	struct mcp_server *best = NULL;
	*ret_own = name;
	if (!has_prefix(proxy))
		return proxy->servers[0];
	for (size_t i = 0; i < proxy->n_servers; i++) {
		struct str own = str_from(proxy->servers[i]->name);
		bool fits = name.len > own.len + 1 && str_starts(name, own) &&
			name.ptr[own.len] == '_';
		if (fits && (!best || own.len > strlen(best->name))) {
			best = proxy->servers[i];
			*ret_own = str_skip(name, own.len + 1);
		}
	}
	return best;
}

static struct mcp_server *server_of_uri(const struct mcp_proxy *proxy, struct str uri,
	struct buf *ret_own)
{
	ptrdiff_t at = str_find(uri, STR("://"));
	buf_put(ret_own, uri);
	if (!has_prefix(proxy))
		return proxy->servers[0];
	struct str rest = at < 0 ? STR_NONE : str_skip(uri, (size_t)at + 3);
	for (size_t i = 0; i < proxy->n_servers; i++) {
		struct str own = str_from(proxy->servers[i]->name);
		if (rest.len <= own.len || !str_starts(rest, own) || rest.ptr[own.len] != '/')
			continue;
		buf_reset(ret_own);
		buf_put(ret_own, str_first(uri, (size_t)at + 3));
		buf_put(ret_own, str_skip(rest, own.len + 1));
		return proxy->servers[i];
	}
	return NULL;
}

/* The client's _meta, with our progress token for its own. */
static void put_meta(struct work *work, const struct json *meta, struct jsonw *w)
{
	void *it = NULL;
	struct str key;
	struct json *value;
	jsonw_open(w);
	while ((value = json_next(meta, &it, &key))) {
		jsonw_key_dyn(w, key);
		if (str_is(key, "progressToken")) {
			work->token = ++work->proxy->next_token;
			jsonw_int(w, work->token);
		} else {
			json_write(value, w->b);
			w->needs_comma = true;
		}
	}
	jsonw_close(w);
}

/* Passes the turn's request on, its `key` ("name", "uri") replaced by what the server calls it. */
static void forward(struct mcp_proxy *proxy, struct mcphub_turn *turn, struct mcp_server *server,
	const char *key, struct str own)
{
	auto_buf struct buf method = BUF_INIT(256);
	auto_buf struct buf params = BUF_INIT(2 * MCPHUB_BODY_MAX);
	struct work *work = work_new(proxy, turn, 1);
	struct jsonw w = JSONW(&params);
	void *it = NULL;
	struct str name;
	struct json *value;
	jsonw_open(&w);
	while ((value = json_next(turn->message.params, &it, &name))) {
		jsonw_key_dyn(&w, name);
		if (str_is(name, key)) {
			jsonw_str(&w, own);
		} else if (str_is(name, "_meta") && json_kind(value) == JSON_KIND_OBJECT) {
			put_meta(work, value, &w);
		} else {
			json_write(value, &params);
			w.needs_comma = true;
		}
	}
	jsonw_close(&w);
	buf_put(&method, turn->message.method);
	work->is_call = str_is(turn->message.method, "tools/call");
	work->n_pending = 1;
	work->parts[0].server = server;
	work->parts[0].request = mcp_request_new(server->client, method.ptr, buf_str(&params),
		CALL_MS, on_called, &work->parts[0]);
}

static void call_tool(struct mcp_proxy *proxy, struct mcphub_turn *turn)
{
	struct str name = json_str(json_find(turn->message.params, "name")), own;
	auto_buf struct buf text = BUF_INIT(1024);
	if (!name.ptr) {
		mcphub_refuse(turn, JSONRPC_INVALID_PARAMS, "Invalid request parameters");
		return;
	}
	struct mcp_server *server = server_of(proxy, name, &own);
	if (server) {
		forward(proxy, turn, server, "name", own);
		return;
	}
	buf_printf(&text, "Unknown tool: %.*s", STR_ARG(str_first(name, 256)));
	answer_text_error(turn, text.ptr);
}

static void get_prompt(struct mcp_proxy *proxy, struct mcphub_turn *turn)
{
	struct str name = json_str(json_find(turn->message.params, "name")), own;
	struct mcp_server *server = name.ptr ? server_of(proxy, name, &own) : NULL;
	if (server)
		forward(proxy, turn, server, "name", own);
	else
		mcphub_refuse(turn, JSONRPC_INVALID_PARAMS, "Unknown prompt: %.*s",
			STR_ARG(str_first(name, 256)));
}

static void read_resource(struct mcp_proxy *proxy, struct mcphub_turn *turn)
{
	struct str uri = json_str(json_find(turn->message.params, "uri"));
	auto_buf struct buf own = BUF_INIT(MCPHUB_BODY_MAX);
	struct mcp_server *server = uri.ptr ? server_of_uri(proxy, uri, &own) : NULL;
	if (server)
		forward(proxy, turn, server, "uri", buf_str(&own));
	else
		mcphub_refuse(turn, JSONRPC_INVALID_PARAMS, "Unknown resource: %.*s",
			STR_ARG(str_first(uri, 256)));
}

/* ---- the hub's side ---- */

static void initialize(struct mcp_proxy *proxy, struct mcphub_turn *turn)
{
	struct str revision = json_str(json_find(turn->message.params, "protocolVersion"));
	auto_buf struct buf b = BUF_INIT(1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "protocolVersion",
		mcp_revision_is_known(revision) ? revision : STR(MCP_REVISION));
	jsonw_key(&w, "capabilities");
	jsonw_raw(&w,
		STR("{\"experimental\":{},\"prompts\":{\"listChanged\":true},\"resources\":{"
		    "\"subscribe\":false,\"listChanged\":true},\"tools\":{\"listChanged\":true}}"));
	jsonw_key(&w, "serverInfo");
	jsonw_raw(&w, STR("{\"name\":\"cay\",\"version\":\"1\"}"));
	jsonw_close(&w);
	mcphub_answer(turn, buf_str(&b));
}

static void answer_empty(struct mcp_proxy *proxy, struct mcphub_turn *turn)
{
	mcphub_answer(turn, STR("{}"));
}

static const struct {
	const char *method;
	void (*handle)(struct mcp_proxy *proxy, struct mcphub_turn *turn);
} methods[] = {
	{ "initialize", initialize },
	{ "logging/setLevel", answer_empty },
	{ "ping", answer_empty },
	{ "prompts/get", get_prompt },
	{ "resources/read", read_resource },
	{ "tools/call", call_tool },
};

static void on_request(void *arg, struct mcphub_turn *turn)
{
	struct mcp_proxy *proxy = arg;
	struct str method = turn->message.method;
	if (!proxy->n_servers) {
		mcphub_refuse(turn, JSONRPC_INTERNAL_ERROR, "there are no MCP servers any more");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (str_is(method, methods[i].method)) {
			methods[i].handle(proxy, turn);
			return;
		}
	for (size_t i = 0; i < ARRAY_LEN(list_kinds); i++)
		if (str_is(method, list_kinds[i].method)) {
			start_list(proxy, turn, &list_kinds[i]);
			return;
		}
	mcphub_refuse(turn, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}

static void on_gone(void *arg, struct mcphub_turn *turn)
{
	struct work *w = turn->state;
	if (!w)
		return;
	work_free(w);
	mcphub_refuse(turn, 0, "Request cancelled");
}

const struct mcphub_ops mcp_merge_ops = { .on_request = on_request, .on_gone = on_gone };

void mcp_merge_drop_all(struct mcp_proxy *proxy)
{
	while (!list_is_empty(&proxy->forwards)) {
		struct work *w = list_get_first(&proxy->forwards, struct work, link);
		mcphub_refuse(work_free(w), JSONRPC_INTERNAL_ERROR, "the MCP servers are changed");
	}
}

static struct work *find_token(struct mcp_proxy *proxy, int64_t token)
{
	struct work *w;
	list_for_each(w, &proxy->forwards, link)
		if (token && w->token == token)
			return w;
	return NULL;
}

static void pass_progress(struct mcp_proxy *proxy, const struct json *params)
{
	struct work *work = find_token(proxy, json_int(json_find(params, "progressToken")));
	if (!work)
		return;
	const struct json *theirs = json_find(json_find(work->turn->message.params, "_meta"),
		"progressToken");
	auto_buf struct buf b = BUF_INIT(MCP_MESSAGE_MAX);
	struct jsonw w = JSONW(&b);
	void *it = NULL;
	struct str key;
	struct json *value;
	jsonw_open(&w);
	while ((value = json_next(params, &it, &key))) {
		jsonw_key_dyn(&w, key);
		json_write(str_is(key, "progressToken") ? theirs : value, &b);
		w.needs_comma = true;
	}
	jsonw_close(&w);
	mcphub_tell(work->turn, "notifications/progress", buf_str(&b));
}

void mcp_merge_notice(void *arg, struct str method, const struct json *params)
{
	static const char *const passed[] = { "notifications/tools/list_changed",
		"notifications/prompts/list_changed", "notifications/resources/list_changed",
		"notifications/message" };
	struct mcp_server *server = arg;
	auto_buf struct buf b = BUF_INIT(MCP_MESSAGE_MAX);
	if (str_is(method, "notifications/progress")) {
		pass_progress(server->proxy, params);
		return;
	}
	if (params)
		json_write(params, &b);
	for (size_t i = 0; i < ARRAY_LEN(passed); i++)
		if (str_is(method, passed[i]))
			mcphub_tell_all(server->proxy->hub, passed[i],
				params ? buf_str(&b) : STR_NONE);
}

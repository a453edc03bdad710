/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which MCP servers a sandbox has, and the routes of their proxy. An update brings the whole list
 * that is wanted: servers that stay the same go on running, others end. Clients that are connected
 * see the new ones.
 */
#include "face/openhands/mcp.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/openhands/handlers.h"
#include "face/openhands/reply.h"
#include "face/openhands/state.h"

enum { ARGS_MAX = 1024, CONFIG_MAX = 1024 * 1024, NAME_MAX_BYTES = 100 };

/* ---- one server's configuration ---- */

struct server_args {
	struct str name, command, type;
	const struct json *args, *env;
};

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || c == '_' || c == '-';
		if (!is_good)
			return false;
	}
	return s.len > 0 && s.len <= NAME_MAX_BYTES;
}

static bool has_blank(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (strchr(" \t\r\n\v\f", s.ptr[i]) || !s.ptr[i])
			return true;
	return false;
}

/* A word of a shell's command line, quotes taken off. False: there is none any more, or *is_bad. */
static bool next_word(struct str *rest, struct buf *word, bool *is_bad)
{
	char quote = 0;
	bool has_begun = false;
	buf_reset(word);
	for (; rest->len; *rest = str_skip(*rest, 1)) {
		char c = rest->ptr[0];
		bool is_blank = !quote && strchr(" \t\r\n", c);
		if (is_blank && has_begun)
			return true;
		if (is_blank)
			continue;
		has_begun = true;
		if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? 0 : c;
		} else if (c == '\\' && quote != '\'' && rest->len > 1) {
			*rest = str_skip(*rest, 1);
			buf_putc(word, rest->ptr[0]);
		} else {
			buf_putc(word, c);
		}
	}
	*is_bad = *is_bad || quote;
	return has_begun && !quote;
}

static int read_args(const struct json *json, struct arena *arena, struct field_strings *ret)
{
	auto_buf struct buf word = BUF_INIT(CONFIG_MAX);
	struct str rest = json_str(json);
	bool is_bad = false;
	ret->items = arena_new_n(arena, struct str, ARGS_MAX);
	if (!json || json_kind(json) == JSON_KIND_NULL)
		return 0;
	if (json_kind(json) == JSON_KIND_STR) {
		while (ret->n < ARGS_MAX && next_word(&rest, &word, &is_bad))
			ret->items[ret->n++] = (struct str){ arena_str(arena, buf_str(&word)),
				word.len };
		return is_bad ? -1 : 0;
	}
	if (json_kind(json) != JSON_KIND_ARRAY || json_len(json) > ARGS_MAX)
		return -1;
	for (size_t i = 0; i < json_len(json); i++) {
		ret->items[ret->n++] = json_str(json_at(json, i));
		if (!json_str(json_at(json, i)).ptr)
			return -1;
	}
	return 0;
}

/* "K=V,K2=V2", the values in quotes or not. */
static int read_env_text(struct str rest, struct arena *arena, struct field_map *ret)
{
	struct str piece;
	while (rest.len && str_split(&rest, ',', &piece)) {
		piece = str_trim(piece);
		ptrdiff_t eq = str_find_char(piece, '=');
		if (!piece.len)
			continue;
		if (eq < 1 || ret->n == ARGS_MAX)
			return -1;
		ret->keys[ret->n] = str_trim(str_first(piece, (size_t)eq));
		ret->values[ret->n++] = str_trim(str_skip(piece, (size_t)eq + 1));
	}
	return 0;
}

static int read_env(const struct json *json, struct arena *arena, struct field_map *ret)
{
	void *it = NULL;
	struct str key;
	struct json *value;
	ret->keys = arena_new_n(arena, struct str, ARGS_MAX);
	ret->values = arena_new_n(arena, struct str, ARGS_MAX);
	if (json_kind(json) == JSON_KIND_STR)
		return read_env_text(json_str(json), arena, ret);
	if (json && json_kind(json) != JSON_KIND_OBJECT && json_kind(json) != JSON_KIND_NULL)
		return -1;
	while ((value = json_next(json, &it, &key))) {
		if (!json_str(value).ptr || ret->n == ARGS_MAX)
			return -1;
		ret->keys[ret->n] = key;
		ret->values[ret->n++] = json_str(value);
	}
	return 0;
}

/* Views into the tree and the arena. */
static int read_spec(const struct json *entry, struct arena *arena, struct mcp_spec *ret)
{
	*ret = (struct mcp_spec){ .name = json_str(json_find(entry, "name")),
		.command = json_str(json_find(entry, "command")) };
	if (!is_name(ret->name) || !ret->command.len || has_blank(ret->command))
		return -1;
	if (read_args(json_find(entry, "args"), arena, &ret->args) < 0)
		return -1;
	return read_env(json_find(entry, "env"), arena, &ret->env);
}

/* ---- proxies ---- */

static void server_free(struct mcp_server *server)
{
	mcp_client_free(server->client);
	free(server->name);
	free(server->config);
	free(server);
}

static void proxy_free(struct mcp_proxy *proxy)
{
	list_remove(&proxy->link);
	mcp_merge_drop_all(proxy);
	for (size_t i = 0; i < proxy->n_servers; i++)
		server_free(proxy->servers[i]);
	proxy->n_servers = 0;
	mcphub_free(proxy->hub);
	free(proxy);
}

void mcp_drop_all(struct openhands *oh)
{
	while (!list_is_empty(&oh->mcp_proxies))
		proxy_free(list_get_first(&oh->mcp_proxies, struct mcp_proxy, link));
}

/* Those of sandboxes that are gone go, too. */
static void sweep(struct openhands *oh)
{
	struct mcp_proxy *proxy, *next;
	list_for_each_safe(proxy, next, &oh->mcp_proxies, link) {
		const struct sandbox *s = runtime_find(oh->rt, str_from(proxy->id), NULL);
		if (!s || sandbox_state_is_final(s->state))
			proxy_free(proxy);
	}
}

static struct mcp_proxy *find_proxy(struct openhands *oh, const struct sandbox *s)
{
	struct mcp_proxy *proxy;
	list_for_each(proxy, &oh->mcp_proxies, link)
		if (!strcmp(proxy->id, s->id))
			return proxy;
	return NULL;
}

static struct mcp_proxy *get_proxy(struct openhands *oh, const struct sandbox *s)
{
	struct mcp_proxy *proxy = find_proxy(oh, s);
	if (proxy)
		return proxy;
	proxy = mem_new(struct mcp_proxy);
	proxy->oh = oh;
	memcpy(proxy->id, s->id, sizeof(proxy->id));
	list_init(&proxy->forwards);
	proxy->hub = mcphub_new(runtime_loop(oh->rt), false, &mcp_merge_ops, proxy);
	list_append(&oh->mcp_proxies, &proxy->link);
	return proxy;
}

static struct mcp_server *server_new(struct mcp_proxy *proxy, struct sandbox *s,
	const struct mcp_spec *spec, const char *config)
{
	struct mcp_server *server = mem_new(struct mcp_server);
	server->proxy = proxy;
	server->name = str_dup(spec->name);
	server->config = mem_strdup(config);
	server->client = mcp_client_new(s, spec);
	mcp_client_on_notice(server->client, mcp_merge_notice, server);
	return server;
}

static void reply_unexpected(struct http_request *r)
{
	reply_detail(r, 500, "An unexpected error occurred. Please try again later.");
}

/* One of the same configuration, taken out of the old list; or NULL. */
static struct mcp_server *take_same(struct mcp_server **old, size_t n, const char *config)
{
	for (size_t i = 0; i < n; i++)
		if (old[i] && !strcmp(old[i]->config, config))
			return take_ptr(old[i]);
	return NULL;
}

struct update {
	size_t n;
	struct mcp_spec specs[MCP_SERVERS_MAX];
	const struct json *entries[MCP_SERVERS_MAX];
};

static void apply(struct mcp_proxy *proxy, struct sandbox *s, const struct update *update)
{
	struct mcp_server *old[MCP_SERVERS_MAX];
	size_t n_old = proxy->n_servers;
	memcpy(old, proxy->servers, sizeof(old));
	mcp_merge_drop_all(proxy);
	for (size_t i = 0; i < update->n; i++) {
		auto_buf struct buf config = BUF_INIT(CONFIG_MAX);
		json_write(update->entries[i], &config);
		struct mcp_server *same = take_same(old, n_old, config.ptr);
		proxy->servers[i] = same ? same
					 : server_new(proxy, s, &update->specs[i], config.ptr);
	}
	proxy->n_servers = update->n;
	for (size_t i = 0; i < n_old; i++)
		if (old[i])
			server_free(old[i]);
	mcphub_tell_all(proxy->hub, "notifications/tools/list_changed", STR_NONE);
}

/* ---- handlers ---- */

/* Of two entries with one name the last counts, at the place of the first. */
static void update_add(struct update *update, const struct mcp_spec *spec, const struct json *entry)
{
	size_t i = 0;
	while (i < update->n && !str_eq(update->specs[i].name, spec->name))
		i++;
	update->specs[i] = *spec;
	update->entries[i] = entry;
	update->n = MAX(update->n, i + 1);
}

static void reply_updated(struct http_request *r, const char *log)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "detail", STR("MCP server updated successfully"));
	jsonw_key_str(&w, "router_error_log", str_from(log));
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void update_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	auto_json struct json *list = NULL;
	struct update *update = arena_new(&r->arena, struct update);
	struct mcp_spec spec;
	if (json_parse(r->body, &list, NULL) < 0) {
		reply_unexpected(r);
		return;
	}
	if (json_kind(list) != JSON_KIND_ARRAY) {
		reply_detail(r, 400, "Request must be a list of MCP tools to sync");
		return;
	}
	for (size_t i = 0; i < json_len(list); i++) {
		if (!arena_has_room(&r->arena, 4 * ARGS_MAX * sizeof(struct str)) ||
			read_spec(json_at(list, i), &r->arena, &spec) < 0) {
			reply_unexpected(r);
			return;
		}
		if (update->n == MCP_SERVERS_MAX) {
			reply_updated(r,
				"a sandbox has at most 64 MCP servers; nothing was changed");
			return;
		}
		update_add(update, &spec, json_at(list, i));
	}
	sweep(oh);
	apply(get_proxy(oh, s), s, update);
	reply_updated(r, "");
}

void update_mcp_server(struct http_request *r)
{
	openhands_with_sandbox(r, update_in);
}

/* NULL: there is none, and the request has been answered. */
static struct mcp_proxy *proxy_of(struct http_request *r)
{
	struct openhands *oh = openhands_of(r);
	struct str name = http_param(r, "sandbox");
	const struct sandbox *s = runtime_find(oh->rt, name.ptr ? name : STR(OPENHANDS_SANDBOX),
		NULL);
	struct mcp_proxy *proxy = s ? find_proxy(oh, s) : NULL;
	if (proxy && proxy->n_servers)
		return proxy;
	reply_detail(r, 404, "Not Found");
	return NULL;
}

/* Messages go to where the stream came from: …/sse to …/messages/. */
void mcp_sse(struct http_request *r)
{
	struct mcp_proxy *proxy = proxy_of(r);
	if (!proxy)
		return;
	struct str base = str_first(r->path, r->path.len - 3);
	mcphub_sse(proxy->hub, r, arena_printf(&r->arena, "%.*smessages/", STR_ARG(base)));
}

void mcp_messages(struct http_request *r)
{
	struct mcp_proxy *proxy = proxy_of(r);
	if (proxy)
		mcphub_sse_post(proxy->hub, r);
}

void mcp_post(struct http_request *r)
{
	struct mcp_proxy *proxy = proxy_of(r);
	if (proxy)
		mcphub_post(proxy->hub, r);
}

void mcp_get(struct http_request *r)
{
	struct mcp_proxy *proxy = proxy_of(r);
	if (proxy)
		mcphub_get(proxy->hub, r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MCP servers of packs of that kind: a program in the sandbox, or one that is reached over
 * HTTP.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "runtime/outside_internal.h"

enum { ARENA_MAX = 1024 * 1024 };

struct mcp_spec_fields {
	struct str url, command, cwd;
	struct field_strings args;
	struct field_map env;
};

static const struct field mcp_fields[] = {
	{ "url", FIELD_STRING, FIELD_AT(struct mcp_spec_fields, url),
		.help = "of one that is reached over HTTP; without one:" },
	{ "command", FIELD_STRING, FIELD_AT(struct mcp_spec_fields, command),
		.help = "the program" },
	{ "args", FIELD_STRINGS, FIELD_AT(struct mcp_spec_fields, args), .help = "its arguments" },
	{ "env", FIELD_MAP, FIELD_AT(struct mcp_spec_fields, env), .help = "its variables" },
	{ "cwd", FIELD_STRING, FIELD_AT(struct mcp_spec_fields, cwd), .help = "where it runs" },
	{ 0 },
};

int outside_check_url(struct str url, struct error *err)
{
	if (str_starts(url, STR("http://")) || str_starts(url, STR("https://")))
		return 0;
	return error_set(err, ERROR_INVALID, "'%.*s' is no http:// or https:// URL",
		STR_ARG(str_first(url, 100)));
}

static int check_mcp(const struct mcp_spec_fields *p, const struct json *keys, struct error *err)
{
	if (json_len(keys) && !p->url.ptr)
		return error_set(err, ERROR_INVALID, "mcp: headers belong to a url");
	if (!p->url.ptr == !p->command.ptr)
		return error_set(err, ERROR_INVALID, "mcp: one of command and url is wanted");
	if (p->url.ptr && (p->args.n || p->env.n || p->cwd.ptr))
		return error_set(err, ERROR_INVALID, "mcp: args, env and cwd belong to a command");
	return p->url.ptr ? outside_check_url(p->url, err) : 0;
}

/* keys: values of headers, or NULL. */
static struct field_map headers_from(const struct json *keys, struct arena *arena)
{
	size_t n = json_len(keys);
	struct field_map map = {
		.keys = arena_new_n(arena, struct str, n + 1),
		.values = arena_new_n(arena, struct str, n + 1),
	};
	void *it = NULL;
	struct str key;
	const struct json *value;
	while (keys && (value = json_next(keys, &it, &key))) {
		map.keys[map.n] = key;
		map.values[map.n++] = json_str(value);
	}
	return map;
}

struct mcp_client *outside_client_new(struct sandbox *s, struct str name, const struct json *mcp,
	const struct json *keys, struct error *err)
{
	auto_arena struct arena arena = ARENA_INIT(ARENA_MAX);
	auto_free char *process = mem_printf("tool-%.*s", STR_ARG(str_first(name, 40)));
	void *params;
	if (fields_decode(mcp_fields, sizeof(struct mcp_spec_fields), "mcp", mcp, &arena, &params,
		    err) < 0 ||
		check_mcp(params, keys, err) < 0)
		return NULL;
	const struct mcp_spec_fields *p = params;
	const struct mcp_spec spec = {
		.name = str_from(process),
		.url = p->url,
		.headers = headers_from(keys, &arena),
		.command = p->command,
		.args = p->args,
		.env = p->env,
		.cwd = p->cwd,
	};
	return mcp_client_new(s, &spec);
}

struct mcp_client *outside_client(struct outside *o, size_t i)
{
	const struct json *pack = json_at(o->packs, i);
	struct sandbox *s = runtime_find(o->rt, str_from(o->sandbox), NULL);
	if (!o->clients[i] && s)
		o->clients[i] = outside_client_new(s, json_str(json_find(pack, "pack")),
			json_find(pack, "mcp"),
			outside_keys_of(o, json_str(json_find(pack, "pack"))), NULL);
	return o->clients[i];
}

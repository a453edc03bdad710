/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. What this face offers, printed from its routes and the fields of its
 * actions: as an OpenAPI document, and as a page without a script or anything from elsewhere. The
 * bare paths describe the fleet too; those below a sandbox's describe what acts on it, with its own
 * path as the server's.
 */
#include "base/auto.h"
#include "face/openhands/handlers.h"
#include "face/openhands/kinds.h"
#include "version.h"
#include "wire/json.h"

#include <string.h>

enum { DOCUMENT_MAX = 256 * 1024 };

#define BASH_COMMAND                                                                                         \
	"{\"type\":\"object\",\"required\":[\"command\"],\"properties\":{\"command\":{\"type\":\"string\"}," \
	"\"cwd\":{\"type\":[\"string\",\"null\"]},\"timeout\":{\"type\":\"integer\"}}}"
#define ONE_FILE                                                                                      \
	"{\"type\":\"object\",\"required\":[\"file\"],\"properties\":{\"file\":{\"type\":\"string\"," \
	"\"format\":\"binary\"}}}"

/* What a request carries that is no table of fields. NULL: nothing. */
static const struct shape {
	const char *tail, *query, *body_type, *body; /* `query` and `body` are JSON */
} shapes[] = {
	{ "/api/bash/bash_events/search",
		"[\"kind__eq\",\"command_id__eq\",\"timestamp__gte\",\"timestamp__lt\",\"order__gt\","
		"\"sort_order\",\"page_id\",\"limit\"]",
		NULL, NULL },
	{ "/api/bash/execute_bash_command", NULL, "application/json", BASH_COMMAND },
	{ "/api/bash/start_bash_command", NULL, "application/json", BASH_COMMAND },
	{ "/api/file/create_directory", "[\"path\"]", NULL, NULL },
	{ "/api/file/download", "[\"path\"]", NULL, NULL },
	{ "/api/file/home", "[\"include_hidden\"]", NULL, NULL },
	{ "/api/file/search_subdirs", "[\"path\",\"page_id\",\"limit\",\"include_hidden\"]", NULL,
		NULL },
	{ "/api/file/upload", "[\"path\"]", "multipart/form-data", ONE_FILE },
	{ "/api/git/changes", "[\"path\",\"ref\"]", NULL, NULL },
	{ "/api/git/commits", "[\"path\",\"limit\"]", NULL, NULL },
	{ "/api/git/commits/{sha}/changes", "[\"path\"]", NULL, NULL },
	{ "/api/git/diff", "[\"path\",\"ref\",\"commit\"]", NULL, NULL },
	{ "/build", NULL, "multipart/form-data",
		"{\"type\":\"object\",\"required\":[\"context\",\"target_image\"],\"properties\":{\"context\":{"
		"\"type\":\"string\",\"description\":\"base64 of a tar.gz\"},\"target_image\":{\"type\":\"string\"},"
		"\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}" },
	{ "/build_status", "[\"build_id\"]", NULL, NULL },
	{ "/download_files", "[\"path\"]", NULL, NULL },
	{ "/image_exists", "[\"image\"]", NULL, NULL },
	{ "/list_files", NULL, "application/json",
		"{\"type\":\"object\",\"properties\":{\"path\":{\"type\":[\"string\",\"null\"]}}}" },
	{ "/pause", NULL, "application/json", "{\"$ref\":\"#/components/schemas/runtime\"}" },
	{ "/resume", NULL, "application/json", "{\"$ref\":\"#/components/schemas/runtime\"}" },
	{ "/sessions/batch", "[\"ids\"]", NULL, NULL },
	{ "/start", NULL, "application/json",
		"{\"type\":\"object\",\"required\":[\"image\",\"command\"],\"properties\":{\"image\":{\"type\":\"string\"},"
		"\"command\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"environment\":{\"type\":\"object\"},"
		"\"session_id\":{\"type\":\"string\"},\"working_dir\":{\"type\":\"string\"},"
		"\"resource_factor\":{\"type\":\"number\"}}}" },
	{ "/stop", NULL, "application/json", "{\"$ref\":\"#/components/schemas/runtime\"}" },
	{ "/update_mcp_server", NULL, "application/json",
		"{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\",\"command\"],\"properties\":{"
		"\"name\":{\"type\":\"string\"},\"command\":{\"type\":\"string\"},\"args\":{\"type\":\"array\"},"
		"\"env\":{\"type\":\"object\"}}}}" },
	{ "/upload_file", "[\"destination\",\"recursive\"]", "multipart/form-data", ONE_FILE },
};

/* ---- which rows ---- */

/* The pattern of the request's own row without its last segment: "" for the bare paths. */
static struct str base_of(const struct http_request *r)
{
	struct str pattern = str_from(r->route->pattern);
	const char *last = strrchr(pattern.ptr, '/');
	return str_first(pattern, (size_t)(last - pattern.ptr));
}

/* The path below the base; STR_NONE if the row belongs to another base. */
static struct str tail_of(const struct http_route *row, struct str base)
{
	struct str pattern = str_from(row->pattern);
	if (!str_starts(pattern, base) || pattern.ptr[base.len] != '/')
		return STR_NONE;
	bool is_named = str_starts(pattern, STR("/{sandbox}")) ||
		str_starts(pattern, STR("/openhands/{sandbox}"));
	return base.len || !is_named ? str_skip(pattern, base.len) : STR_NONE;
}

static bool is_first(const struct http_route *row)
{
	for (const struct http_route *before = openhands_routes; before < row; before++)
		if (strcmp(before->pattern, row->pattern) == 0)
			return false;
	return true;
}

static const struct shape *shape_find(const struct http_route *row, struct str tail)
{
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (str_is(tail, shapes[i].tail) &&
			(shapes[i].body || shapes[i].query || strcmp(row->method, "GET") == 0))
			return &shapes[i];
	return NULL;
}

/* ---- /openapi.json ---- */

static void put_parameter(struct jsonw *w, struct str name, const char *in)
{
	jsonw_open(w);
	jsonw_key_str(w, "name", name);
	jsonw_key_str(w, "in", str_from(in));
	jsonw_key_bool(w, "required", strcmp(in, "path") == 0);
	jsonw_key(w, "schema");
	jsonw_raw(w, STR("{\"type\":\"string\"}"));
	jsonw_close(w);
}

static void put_parameters(struct jsonw *w, struct str tail, const struct shape *shape)
{
	auto_json struct json *query = NULL;
	struct str segment;
	jsonw_key(w, "parameters");
	jsonw_open_array(w);
	while (str_split(&tail, '/', &segment))
		if (str_starts(segment, STR("{")))
			put_parameter(w, str_first(str_skip(segment, 1), segment.len - 2), "path");
	if (shape && shape->query && json_parse(str_from(shape->query), &query, NULL) == 0)
		for (size_t i = 0; i < json_len(query); i++)
			put_parameter(w, json_str(json_at(query, i)), "query");
	jsonw_close_array(w);
}

/* {"action":{"action":"run","args":{…},"timeout":120.0}}, one form for each action. */
static void put_actions(struct jsonw *w)
{
	jsonw_raw(w,
		STR("{\"type\":\"object\",\"required\":[\"action\"],\"properties\":{\"action\":{\"oneOf\":["));
	w->needs_comma = false;
	for (size_t i = 0; job_kinds[i]; i++) {
		buf_printf(w->b,
			"%s{\"type\":\"object\",\"title\":\"%s\",\"required\":[\"action\"],\"properties\":{"
			"\"action\":{\"const\":\"%s\"},\"timeout\":{\"type\":[\"number\",\"null\"]},\"args\":",
			i ? "," : "", job_kinds[i]->name, job_kinds[i]->name);
		fields_schema(job_kinds[i]->fields, w);
		w->needs_comma = false;
		buf_puts(w->b, "}}");
	}
	buf_puts(w->b, "]}}}");
	w->needs_comma = true;
}

static void put_body(struct jsonw *w, struct str tail, const struct shape *shape)
{
	bool is_action = str_is(tail, "/execute_action");
	if (!is_action && (!shape || !shape->body))
		return;
	jsonw_key(w, "requestBody");
	jsonw_open(w);
	jsonw_key_bool(w, "required", true);
	jsonw_key(w, "content");
	jsonw_open(w);
	jsonw_key(w, is_action ? "application/json" : shape->body_type);
	jsonw_open(w);
	jsonw_key(w, "schema");
	if (is_action)
		put_actions(w);
	else
		jsonw_raw(w, str_from(shape->body));
	jsonw_close(w);
	jsonw_close(w);
	jsonw_close(w);
}

static const char *verb_of(const struct http_route *row)
{
	return strcmp(row->method, "GET") == 0       ? "get"
		: strcmp(row->method, "DELETE") == 0 ? "delete"
						     : "post";
}

static void put_operation(struct jsonw *w, const struct http_route *row, struct str tail)
{
	const struct shape *shape = shape_find(row, tail);
	jsonw_key(w, verb_of(row));
	jsonw_open(w);
	jsonw_key_str(w, "summary", str_from(row->summary));
	put_parameters(w, tail, shape);
	put_body(w, tail, shape);
	jsonw_key(w, "responses");
	jsonw_raw(w,
		STR("{\"200\":{\"description\":\"Successful Response\"},\"default\":{\"$ref\":\"#/components/responses/error\"}}"));
	if (row->flags & HTTP_NO_AUTH) {
		jsonw_key(w, "security");
		jsonw_raw(w, STR("[]"));
	}
	jsonw_close(w);
}

static void put_paths(struct jsonw *w, struct str base)
{
	for (const struct http_route *row = openhands_routes; row->method; row++) {
		struct str tail = tail_of(row, base);
		bool is_any = strcmp(row->method, HTTP_ANY_METHOD) == 0;
		if (!tail.len || is_any || !is_first(row))
			continue;
		jsonw_key_dyn(w, tail);
		jsonw_open(w);
		for (const struct http_route *same = row; same->method; same++)
			if (strcmp(same->pattern, row->pattern) == 0)
				put_operation(w, same, tail);
		jsonw_close(w);
	}
}

void openhands_openapi(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(DOCUMENT_MAX);
	struct jsonw w = JSONW(&b);
	struct str base = base_of(r);
	jsonw_open(&w);
	jsonw_key_str(&w, "openapi", STR("3.1.0"));
	jsonw_key(&w, "info");
	jsonw_raw(&w,
		STR("{\"title\":\"cay action execution server\",\"version\":\"" CAY_VERSION "\"}"));
	jsonw_key(&w, "servers");
	jsonw_raw(&w, STR("[{\"url\":\".\"}]"));
	jsonw_key(&w, "security");
	jsonw_raw(&w,
		base.len ? STR("[{\"session\":[]}]") : STR("[{\"session\":[]},{\"fleet\":[]}]"));
	jsonw_key(&w, "paths");
	jsonw_open(&w);
	put_paths(&w, base);
	jsonw_close(&w);
	jsonw_key(&w, "components");
	jsonw_raw(&w,
		STR("{\"securitySchemes\":{\"session\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":"
		    "\"X-Session-API-Key\"},\"fleet\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\"}},"
		    "\"schemas\":{\"runtime\":{\"type\":\"object\",\"required\":[\"runtime_id\"],\"properties\":{"
		    "\"runtime_id\":{\"type\":\"string\"}}}},\"responses\":{\"error\":{\"description\":"
		    "\"what went wrong\",\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\","
		    "\"required\":[\"detail\"],\"properties\":{\"detail\":{\"type\":\"string\"}}}}}}}}"));
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* ---- /docs, /redoc ---- */

static void put_kinds(struct buf *b)
{
	buf_puts(b, "<h2>Actions</h2>\n");
	for (size_t i = 0; job_kinds[i]; i++) {
		auto_buf struct buf schema = BUF_INIT(DOCUMENT_MAX);
		struct jsonw w = JSONW(&schema);
		fields_schema(job_kinds[i]->fields, &w);
		buf_printf(b, "<h3>%s</h3>\n<pre>", job_kinds[i]->name);
		for (size_t at = 0; at < schema.len; at++)
			if (schema.ptr[at] == '<' || schema.ptr[at] == '&')
				buf_puts(b, schema.ptr[at] == '<' ? "&lt;" : "&amp;");
			else
				buf_putc(b, schema.ptr[at]);
		buf_puts(b, "</pre>\n");
	}
}

void openhands_docs(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(DOCUMENT_MAX);
	struct str base = base_of(r);
	buf_puts(&b,
		"<!DOCTYPE html>\n<meta charset=utf-8>\n<title>Action execution server</title>\n"
		"<h1>Action execution server</h1>\n<p>Also as <a href=openapi.json>openapi.json</a></p>\n"
		"<table>\n");
	for (const struct http_route *row = openhands_routes; row->method; row++) {
		struct str tail = tail_of(row, base);
		if (tail.len)
			buf_printf(&b, "<tr><td>%s<td><code>%.*s</code><td>%s\n", row->method,
				STR_ARG(tail), row->summary);
	}
	buf_puts(&b, "</table>\n");
	put_kinds(&b);
	http_reply(r, 200, "text/html; charset=utf-8", buf_str(&b));
}

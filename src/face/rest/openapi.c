/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenAPI 3.1 document, printed from the rows: a path item for each pattern, and for the
 * pattern that performs actions one for each action.
 */
#include "face/rest/handlers.h"

#include "action/file_actions.h"
#include "base/auto.h"

#include <ctype.h>

#define ACTION_PATTERN "/v1/sandboxes/{id}/actions/{action}"
#define FILES_PATTERN  "/v1/sandboxes/{id}/files"

static void put_media(struct jsonw *w, const char *type, const struct field *fields)
{
	jsonw_key_dyn(w, str_from(type));
	jsonw_open(w);
	jsonw_key(w, "schema");
	if (fields)
		fields_schema(fields, w);
	else
		jsonw_raw(w, STR("{}"));
	jsonw_close(w);
}

static void put_query_parameter(struct jsonw *w, const struct field *f)
{
	struct field plain = *f;
	plain.help = NULL; /* it is told of the parameter */
	jsonw_open(w);
	jsonw_key_str(w, "name", str_from(f->name));
	jsonw_key_str(w, "in", STR("query"));
	jsonw_key_bool(w, "required", f->flags & FIELD_REQUIRED);
	if (f->help)
		jsonw_key_str(w, "description", str_from(f->help));
	jsonw_key(w, "schema");
	field_schema(&plain, w);
	jsonw_close(w);
}

static void put_path_parameters(struct jsonw *w, struct str rest)
{
	struct str piece;
	while (str_split(&rest, '/', &piece)) {
		if (!str_starts(piece, STR("{")))
			continue;
		struct str name = str_first(str_skip(piece, 1), piece.len - 2);
		bool is_id = str_is(name, "id"), is_tail = str_ends(name, STR("*"));
		name.len -= is_tail;
		jsonw_open(w);
		jsonw_key_str(w, "name", name);
		jsonw_key_str(w, "in", STR("path"));
		jsonw_key_bool(w, "required", true);
		if (is_id)
			jsonw_key_str(w, "description",
				STR("id, the first characters of it (4 or more), or name"));
		jsonw_key(w, "schema");
		jsonw_raw(w, STR("{\"type\":\"string\"}"));
		jsonw_close(w);
	}
}

static void put_parameters(struct jsonw *w, const char *pattern, const struct field *query)
{
	jsonw_key(w, "parameters");
	jsonw_open_array(w);
	put_path_parameters(w, str_from(pattern));
	for (const struct field *f = query; f && f->name; f++)
		put_query_parameter(w, f);
	jsonw_close_array(w);
}

static void put_responses(struct jsonw *w, const struct rest_doc *doc)
{
	char status[8];
	snprintf(status, sizeof(status), "%d", doc->status ? doc->status : 200);
	jsonw_key(w, "responses");
	jsonw_open(w);
	jsonw_key_dyn(w, str_from(status));
	jsonw_open(w);
	jsonw_key_str(w, "description", str_from(doc->result));
	if (doc->status != 204 && doc->status != 101) {
		jsonw_key(w, "content");
		jsonw_open(w);
		put_media(w, doc->type ? doc->type : "application/json", NULL);
		if (doc->is_streamed)
			put_media(w, "text/event-stream", NULL);
		jsonw_close(w);
	}
	jsonw_close(w);
	jsonw_key(w, "default");
	jsonw_raw(w, STR("{\"$ref\":\"#/components/responses/error\"}"));
	jsonw_close(w);
}

static bool has_required(const struct field *fields)
{
	for (const struct field *f = fields; f && f->name; f++)
		if (f->flags & FIELD_REQUIRED)
			return true;
	return false;
}

static void put_body(struct jsonw *w, const struct rest_doc *doc)
{
	if (!doc->body && !doc->body_type)
		return;
	jsonw_key(w, "requestBody");
	jsonw_open(w);
	jsonw_key_bool(w, "required", doc->body_type || has_required(doc->body));
	jsonw_key(w, "content");
	jsonw_open(w);
	put_media(w, doc->body_type ? doc->body_type : "application/json", doc->body);
	jsonw_close(w);
	jsonw_close(w);
}

struct operation {
	const char *method, *pattern, *summary;
	const char *name, *tag; /* NULL: from the pattern */
	int flags;
	enum role role; /* the least that may */
	struct rest_doc doc;
};

/* "post_sandboxes_id_stop" */
static void put_id(struct buf *b, const char *method, struct str rest)
{
	struct str piece;
	buf_puts(b, method);
	while (str_split(&rest, '/', &piece)) {
		buf_putc(b, '_');
		for (size_t i = 0; i < piece.len; i++) {
			unsigned char c = (unsigned char)piece.ptr[i];
			if (!strchr("{*}", c))
				buf_putc(b, isalnum(c) ? (char)c : '_');
		}
	}
}

/* What programs that write clients call it, and what they put it under. */
static void put_names(struct jsonw *w, const struct operation *o, const char *method)
{
	auto_buf struct buf id = BUF_INIT(256);
	struct str path = str_skip(str_from(o->pattern), strlen("/v1/")), rest = path, tag;
	str_split(&rest, '/', &tag);
	put_id(&id, method, path);
	jsonw_key_str(w, "operationId", o->name ? str_from(o->name) : buf_str(&id));
	jsonw_key(w, "tags");
	jsonw_open_array(w);
	jsonw_str(w, o->tag ? str_from(o->tag) : tag);
	jsonw_close_array(w);
}

static void put_operation(struct jsonw *w, const struct operation *o)
{
	char method[8] = "";
	for (size_t i = 0; o->method[i] && i + 1 < sizeof(method); i++)
		method[i] = (char)(o->method[i] | 0x20);
	jsonw_key_dyn(w, str_from(method));
	jsonw_open(w);
	put_names(w, o, method);
	jsonw_key_str(w, "summary", str_from(o->summary));
	put_parameters(w, o->pattern, o->doc.query);
	put_body(w, &o->doc);
	put_responses(w, &o->doc);
	if (o->flags & HTTP_NO_AUTH) {
		jsonw_key(w, "security");
		jsonw_raw(w, STR("[]"));
	} else {
		jsonw_key_str(w, "x-cay-role", str_from(role_name(o->role)));
	}
	jsonw_close(w);
}

static void put_row(struct jsonw *w, const struct http_route *row)
{
	struct operation o = { row->method, row->pattern, row->summary, NULL, NULL, row->flags,
		row->role };
	if (row->data)
		o.doc = *(const struct rest_doc *)row->data;
	if (strcmp(row->pattern, FILES_PATTERN) == 0) {
		bool is_upload = row->flags & HTTP_STREAMS_BODY;
		const struct action *action = is_upload ? &upload_action : &download_action;
		o.doc = (struct rest_doc){ .query = action->fields, .result = action->result };
		*(is_upload ? &o.doc.body_type : &o.doc.type) = "application/octet-stream";
	}
	if (strcmp(row->method, HTTP_ANY_METHOD) != 0) {
		put_operation(w, &o);
		return;
	}
	static const char *const any[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE",
		"OPTIONS" };
	for (size_t i = 0; i < ARRAY_LEN(any); i++) {
		o.method = any[i];
		put_operation(w, &o);
	}
}

static bool is_first_of_pattern(const struct http_route *row)
{
	for (const struct http_route *before = rest_routes; before < row; before++)
		if (strcmp(before->pattern, row->pattern) == 0)
			return false;
	return true;
}

static void put_actions(struct jsonw *w)
{
	for (const struct action *const *a = action_table; *a; a++) {
		auto_buf struct buf path = BUF_INIT(256);
		buf_printf(&path, "/v1/sandboxes/{id}/actions/%s", (*a)->name);
		struct operation o = { "POST", path.ptr, (*a)->summary, (*a)->name, (*a)->group,
			.role = ROLE_SANDBOX };
		o.doc.body = (*a)->fields;
		o.doc.result = (*a)->result ? (*a)->result : "an object";
		o.doc.is_streamed = action_can_be_whole(*a);
		o.doc.type = o.doc.is_streamed ? NULL : "text/event-stream";
		jsonw_key_dyn(w, buf_str(&path));
		jsonw_open(w);
		put_operation(w, &o);
		jsonw_close(w);
	}
}

/* The document knows no "rest of the path". */
static void put_pattern(struct buf *b, struct str pattern)
{
	for (size_t i = 0; i < pattern.len; i++)
		if (pattern.ptr[i] != '*')
			buf_putc(b, pattern.ptr[i]);
}

static void put_paths(struct jsonw *w)
{
	for (const struct http_route *row = rest_routes; row->method; row++) {
		if (strcmp(row->pattern, ACTION_PATTERN) == 0) {
			put_actions(w);
			continue;
		}
		if (!is_first_of_pattern(row))
			continue;
		auto_buf struct buf pattern = BUF_INIT(256);
		put_pattern(&pattern, str_from(row->pattern));
		jsonw_key_dyn(w, buf_str(&pattern));
		jsonw_open(w);
		for (const struct http_route *same = row; same->method; same++)
			if (strcmp(same->pattern, row->pattern) == 0)
				put_row(w, same);
		jsonw_close(w);
	}
}

static void put_error_words(struct jsonw *w)
{
	jsonw_open_array(w);
	for (int code = ERROR_OK + 1; code < ERROR_MAX; code++)
		jsonw_str(w, str_from(error_name((enum error_code)code)));
	jsonw_close_array(w);
}

static void put_components(struct jsonw *w)
{
	jsonw_raw(w,
		STR("{\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}},"
		    "\"responses\":{\"error\":{\"description\":\"what went wrong\",\"content\":{"
		    "\"application/json\":{\"schema\":{\"type\":\"object\",\"required\":[\"error\"],"
		    "\"properties\":{\"error\":{\"type\":\"object\",\"required\":[\"code\",\"message\"],"
		    "\"properties\":{\"message\":{\"type\":\"string\"},\"code\":{\"type\":\"string\",\"enum\":"));
	w->needs_comma = false;
	put_error_words(w);
	buf_puts(w->b, "}}}}}}}}}}");
	w->needs_comma = true;
}

void rest_openapi(const char *version, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "openapi", STR("3.1.0"));
	jsonw_key(&w, "info");
	jsonw_open(&w);
	jsonw_key_str(&w, "title", STR("cay"));
	jsonw_key_str(&w, "version", str_from(version));
	jsonw_close(&w);
	jsonw_key(&w, "security");
	jsonw_raw(&w, STR("[{\"token\":[]}]"));
	jsonw_key(&w, "paths");
	jsonw_open(&w);
	put_paths(&w);
	jsonw_close(&w);
	jsonw_key(&w, "components");
	put_components(&w);
	jsonw_close(&w);
}

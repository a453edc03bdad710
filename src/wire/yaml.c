/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/yaml.h"

#include "base/auto.h"
#include "wire/json.h"

#include <yaml.h>

struct reading {
	yaml_parser_t parser;
	struct jsonw w;
	int depth;
	struct error *err;
};

static int fail(struct reading *r, const yaml_mark_t *mark, const char *why)
{
	return error_set(r->err, ERROR_INVALID, "line %zu, column %zu: %s", mark->line + 1,
		mark->column + 1, why);
}

static int next(struct reading *r, yaml_event_t *event)
{
	if (yaml_parser_parse(&r->parser, event))
		return 0;
	return fail(r, &r->parser.problem_mark, r->parser.problem ?: "it cannot be read");
}

static bool is_integer(struct str s)
{
	size_t sign = s.len && s.ptr[0] == '-', n = s.len - sign;
	if (n == 0 || n > 17 || (n > 1 && s.ptr[sign] == '0'))
		return false;
	for (size_t i = sign; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return true;
}

static void put_plain(struct reading *r, struct str text)
{
	bool is_true = str_is(text, "true") || str_is(text, "True") || str_is(text, "TRUE");
	bool is_false = str_is(text, "false") || str_is(text, "False") || str_is(text, "FALSE");
	if (is_true || is_false)
		jsonw_bool(&r->w, is_true);
	else if (!text.len || str_is(text, "~") || str_is(text, "null") || str_is(text, "Null"))
		jsonw_null(&r->w);
	else if (is_integer(text))
		jsonw_raw(&r->w, text);
	else
		jsonw_str(&r->w, text);
}

static int put_node(struct reading *r, yaml_event_t *event);

static int put_sequence(struct reading *r)
{
	int result = 0;
	jsonw_open_array(&r->w);
	while (result == 0) {
		yaml_event_t event;
		if (next(r, &event) < 0)
			return -1;
		bool is_end = event.type == YAML_SEQUENCE_END_EVENT;
		result = is_end ? 0 : put_node(r, &event);
		yaml_event_delete(&event);
		if (is_end)
			break;
	}
	jsonw_close_array(&r->w);
	return result;
}

static int put_pair(struct reading *r, const yaml_event_t *key)
{
	yaml_event_t value;
	if (key->type != YAML_SCALAR_EVENT)
		return fail(r, &key->start_mark, "a key must be a plain value");
	jsonw_key_dyn(&r->w,
		str_from_len((const char *)key->data.scalar.value, key->data.scalar.length));
	if (next(r, &value) < 0)
		return -1;
	int result = put_node(r, &value);
	yaml_event_delete(&value);
	return result;
}

static int put_mapping(struct reading *r)
{
	int result = 0;
	jsonw_open(&r->w);
	while (result == 0) {
		yaml_event_t event;
		if (next(r, &event) < 0)
			return -1;
		bool is_end = event.type == YAML_MAPPING_END_EVENT;
		result = is_end ? 0 : put_pair(r, &event);
		yaml_event_delete(&event);
		if (is_end)
			break;
	}
	jsonw_close(&r->w);
	return result;
}

static int put_scalar(struct reading *r, const yaml_event_t *e)
{
	struct str text = str_from_len((const char *)e->data.scalar.value, e->data.scalar.length);
	if (e->data.scalar.anchor ||
		(e->data.scalar.tag && !e->data.scalar.plain_implicit &&
			!e->data.scalar.quoted_implicit))
		return fail(r, &e->start_mark, "anchors and tags are not taken");
	if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		put_plain(r, text);
	else
		jsonw_str(&r->w, text);
	return 0;
}

static int put_node(struct reading *r, yaml_event_t *event)
{
	bool has_anchor = (event->type == YAML_SEQUENCE_START_EVENT &&
				  event->data.sequence_start.anchor) ||
		(event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor);
	if (event->type == YAML_ALIAS_EVENT || has_anchor)
		return fail(r, &event->start_mark, "anchors and aliases are not taken");
	if (event->type == YAML_SCALAR_EVENT)
		return put_scalar(r, event);
	if (r->depth == YAML_DEPTH_MAX)
		return fail(r, &event->start_mark, "too deeply nested");
	r->depth++;
	int result = event->type == YAML_SEQUENCE_START_EVENT ? put_sequence(r) : put_mapping(r);
	r->depth--;
	return result;
}

/* The stream's start, the document's, its node; what follows is not looked at. */
static int put_document(struct reading *r)
{
	for (;;) {
		yaml_event_t event;
		if (next(r, &event) < 0)
			return -1;
		yaml_event_type_t type = event.type;
		bool is_frame = type == YAML_STREAM_START_EVENT ||
			type == YAML_DOCUMENT_START_EVENT;
		int result = 0;
		if (type == YAML_STREAM_END_EVENT)
			jsonw_null(&r->w);
		else if (!is_frame)
			result = put_node(r, &event);
		yaml_event_delete(&event);
		if (!is_frame)
			return result;
	}
}

int yaml_to_json(struct str text, struct buf *out, struct error *err)
{
	struct error ignored = { 0 };
	struct reading r = { .w = JSONW(out), .err = err ?: &ignored };
	if (text.len > YAML_TEXT_MAX)
		return error_set(err, ERROR_TOO_LARGE, "over %d bytes", YAML_TEXT_MAX);
	if (!yaml_parser_initialize(&r.parser))
		return error_set(err, ERROR_INTERNAL, "libyaml cannot begin");
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
		text.len);
	int result = put_document(&r);
	yaml_parser_delete(&r.parser);
	return result;
}

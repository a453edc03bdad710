/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json.h"

#include "wire/utf8.h"

#include <jansson.h>
#include <math.h>

/* A struct json is a json_t under a name of ours: this file alone knows jansson. */
static const json_t *tree(const struct json *j)
{
	return (const json_t *)j;
}

static struct json *ours(const json_t *j)
{
	return (struct json *)(uintptr_t)j;
}

static int check_depth(struct str text, struct error *err)
{
	int depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '\0') /* jansson passes over it */
			return error_set(err, ERROR_INVALID, "not JSON: a NUL byte");
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return error_set(err, ERROR_INVALID, "JSON nested deeper than %d",
					JSON_DEPTH_MAX);
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return 0;
}

/* One value for each comma, and one for what each bracket opens. */
int json_check_values(struct str text, size_t max, struct error *err)
{
	size_t n = 1;
	bool in_string = false;
	for (size_t i = 0; i < text.len && n <= max; i++) {
		char c = text.ptr[i];
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string)
			n += c == ',' || c == '[' || c == '{';
	}
	return n <= max ? 0 : error_set(err, ERROR_TOO_LARGE, "JSON of more than %zu values", max);
}

static int parse(struct str text, size_t more_flags, struct json **ret, struct error *err)
{
	if (check_depth(text, err) < 0)
		return -1;
	json_error_t e;
	json_t *j = json_loadb(text.ptr ? text.ptr : "", text.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL | more_flags, &e);
	if (!j)
		return error_set(err, ERROR_INVALID, "not JSON: %s at line %d, column %d", e.text,
			e.line, e.column);
	*ret = ours(j);
	return 0;
}

int json_parse(struct str text, struct json **ret, struct error *err)
{
	return parse(text, 0, ret, err);
}

int json_parse_loose(struct str text, struct json **ret, struct error *err)
{
	return parse(text, 0, ret, NULL) == 0 ? 0 : parse(text, JSON_DECODE_INT_AS_REAL, ret, err);
}

void json_free(struct json *root)
{
	json_decref((json_t *)root);
}

enum json_kind json_kind(const struct json *j)
{
	if (!j)
		return JSON_KIND_NULL;
	switch (json_typeof(tree(j))) {
	case JSON_OBJECT:
		return JSON_KIND_OBJECT;
	case JSON_ARRAY:
		return JSON_KIND_ARRAY;
	case JSON_STRING:
		return JSON_KIND_STR;
	case JSON_INTEGER:
		return JSON_KIND_INT;
	case JSON_REAL:
		return JSON_KIND_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_KIND_BOOL;
	default:
		return JSON_KIND_NULL;
	}
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = { "null", "boolean", "integer", "number", "string",
		"array", "object" };
	return names[kind];
}

struct json *json_find(const struct json *object, const char *key)
{
	return ours(json_object_get(tree(object), key));
}

size_t json_len(const struct json *array_or_object)
{
	const json_t *j = tree(array_or_object);
	return json_is_array(j) ? json_array_size(j) : json_object_size(j);
}

struct json *json_at(const struct json *array, size_t i)
{
	return ours(json_array_get(tree(array), i));
}

struct json *json_next(const struct json *object, void **i, struct str *ret_key)
{
	json_t *o = (json_t *)(uintptr_t)object;
	*i = *i ? json_object_iter_next(o, *i) : json_object_iter(o);
	if (!*i)
		return NULL;
	if (ret_key)
		*ret_key = str_from(json_object_iter_key(*i));
	return ours(json_object_iter_value(*i));
}

struct str json_str(const struct json *j)
{
	if (!json_is_string(tree(j)))
		return STR_NONE;
	return str_from_len(json_string_value(tree(j)), json_string_length(tree(j)));
}

double json_double(const struct json *j)
{
	return json_number_value(tree(j));
}

int64_t json_int(const struct json *j)
{
	if (json_is_integer(tree(j)))
		return json_integer_value(tree(j));
	double v = json_double(j);
	return v > -9.2e18 && v < 9.2e18 ? (int64_t)v : 0;
}

bool json_bool(const struct json *j)
{
	return json_is_true(tree(j));
}

static void write_value(const struct json *j, struct jsonw *w)
{
	switch (json_kind(j)) {
	case JSON_KIND_OBJECT:
		jsonw_open(w);
		void *i = NULL;
		struct str key;
		struct json *v;
		while ((v = json_next(j, &i, &key))) {
			jsonw_key_dyn(w, key);
			write_value(v, w);
		}
		jsonw_close(w);
		break;
	case JSON_KIND_ARRAY:
		jsonw_open_array(w);
		for (size_t n = 0; n < json_len(j); n++)
			write_value(json_at(j, n), w);
		jsonw_close_array(w);
		break;
	case JSON_KIND_STR:
		jsonw_str(w, json_str(j));
		break;
	case JSON_KIND_INT:
		jsonw_int(w, json_int(j));
		break;
	case JSON_KIND_REAL:
		jsonw_real(w, json_double(j));
		break;
	case JSON_KIND_BOOL:
		jsonw_bool(w, json_bool(j));
		break;
	case JSON_KIND_NULL:
		jsonw_null(w);
		break;
	}
}

int json_write(const struct json *j, struct buf *b)
{
	struct jsonw w = JSONW(b);
	write_value(j, &w);
	return b->is_full ? -1 : 0;
}

static void before_value(struct jsonw *w)
{
	if (w->needs_comma)
		buf_putc(w->b, ',');
	w->needs_comma = true;
}

static void open_with(struct jsonw *w, char c)
{
	before_value(w);
	buf_putc(w->b, c);
	w->needs_comma = false;
}

static void close_with(struct jsonw *w, char c)
{
	buf_putc(w->b, c);
	w->needs_comma = true;
}

void jsonw_open(struct jsonw *w)
{
	open_with(w, '{');
}

void jsonw_close(struct jsonw *w)
{
	close_with(w, '}');
}

void jsonw_open_array(struct jsonw *w)
{
	open_with(w, '[');
}

void jsonw_close_array(struct jsonw *w)
{
	close_with(w, ']');
}

void jsonw_key(struct jsonw *w, const char *key)
{
	before_value(w);
	buf_putc(w->b, '"');
	buf_puts(w->b, key);
	buf_puts(w->b, "\":");
	w->needs_comma = false;
}

static void put_char(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		buf_puts(b, "\\\"");
		break;
	case '\\':
		buf_puts(b, "\\\\");
		break;
	case '\n':
		buf_puts(b, "\\n");
		break;
	case '\r':
		buf_puts(b, "\\r");
		break;
	case '\t':
		buf_puts(b, "\\t");
		break;
	default:
		buf_printf(b, "\\u%04x", c);
	}
}

static void put_quoted(struct buf *b, struct str s)
{
	buf_putc(b, '"');
	while (s.len) {
		size_t plain = 0; /* a run of bytes that stand for themselves goes in one append */
		while (plain < s.len && (unsigned char)s.ptr[plain] >= 0x20 &&
			s.ptr[plain] != '"' && s.ptr[plain] != '\\' &&
			(unsigned char)s.ptr[plain] < 0x7f)
			plain++;
		buf_add(b, s.ptr, plain);
		s = str_skip(s, plain);
		if (!s.len)
			break;
		unsigned char c = (unsigned char)s.ptr[0];
		if (c < 0x80) {
			put_char(b, c);
			s = str_skip(s, 1);
			continue;
		}
		size_t n = utf8_len(s);
		if (n)
			buf_add(b, s.ptr, n);
		else
			buf_puts(b, "\xef\xbf\xbd");
		s = str_skip(s, n ? n : 1);
	}
	buf_putc(b, '"');
}

void jsonw_key_dyn(struct jsonw *w, struct str key)
{
	before_value(w);
	put_quoted(w->b, key);
	buf_putc(w->b, ':');
	w->needs_comma = false;
}

void jsonw_str(struct jsonw *w, struct str s)
{
	before_value(w);
	put_quoted(w->b, s);
}

void jsonw_int(struct jsonw *w, int64_t v)
{
	before_value(w);
	buf_printf(w->b, "%lld", (long long)v);
}

void jsonw_real(struct jsonw *w, double v)
{
	before_value(w);
	if (!isfinite(v)) {
		buf_puts(w->b, "null");
		return;
	}
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_puts(w->b, text);
	if (!strpbrk(text, ".e"))
		buf_puts(w->b, ".0");
}

void jsonw_bool(struct jsonw *w, bool v)
{
	before_value(w);
	buf_puts(w->b, v ? "true" : "false");
}

void jsonw_null(struct jsonw *w)
{
	before_value(w);
	buf_puts(w->b, "null");
}

void jsonw_raw(struct jsonw *w, struct str json)
{
	before_value(w);
	buf_put(w->b, json);
}

void jsonw_error(struct jsonw *w, const struct error *e)
{
	jsonw_open(w);
	jsonw_key_str(w, "code", str_from(error_name(e->code)));
	jsonw_key_str(w, "message", str_from(e->text));
	jsonw_close(w);
}

int json_to_error(const struct json *j, struct error *err)
{
	struct str code = json_str(json_find(j, "code"));
	struct str message = json_str(json_find(j, "message"));
	if (!code.ptr || !message.ptr)
		return error_set(err, ERROR_PROTOCOL, "an error without code or message");
	return error_set(err, error_code_from_name(code.ptr), "%.*s", STR_ARG(message));
}

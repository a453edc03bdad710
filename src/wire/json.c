/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "wire/json_text.h"

#include <errno.h>
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

/*
 * From text to tree. jansson reads as well, byte by byte; this is ten times as fast, and others
 * wait for it.
 */
struct reader {
	struct str rest;
	struct str text; /* all of it: for where an error is */
	const char *what;
	int depth;
	bool has_reals_only;
};

enum { NUMBER_MAX = 4096 }; /* bytes; what is longer is no number that anybody counts with */

static json_t *refuse(struct reader *r, const char *what)
{
	if (!r->what)
		r->what = what;
	return NULL;
}

static json_t *made(struct reader *r, json_t *value)
{
	return value ? value : refuse(r, "out of memory");
}

static char peek(const struct reader *r)
{
	return r->rest.len ? r->rest.ptr[0] : '\0';
}

static void skip(struct reader *r, size_t n)
{
	r->rest = str_skip(r->rest, n);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char peek_word(struct reader *r)
{
	size_t n = 0;
	while (n < r->rest.len && is_space(r->rest.ptr[n]))
		n++;
	skip(r, n);
	return peek(r);
}

/* The string whose opening quote comes next, as it stands there. */
static int scan_string(struct reader *r, struct str *ret_raw, bool *ret_has_escapes)
{
	const char *what;
	size_t at;
	skip(r, 1);
	ssize_t n = json_scan_string(r->rest, ret_has_escapes, &what, &at);
	if (n < 0) {
		skip(r, at);
		refuse(r, what);
		return -1;
	}
	*ret_raw = str_first(r->rest, (size_t)n);
	skip(r, (size_t)n + 1);
	return 0;
}

static json_t *read_string(struct reader *r)
{
	struct str raw;
	bool has_escapes;
	if (scan_string(r, &raw, &has_escapes) < 0)
		return NULL;
	if (!has_escapes)
		return made(r, json_stringn_nocheck(raw.ptr, raw.len));
	auto_free char *plain = mem_alloc(raw.len);
	return made(r, json_stringn_nocheck(plain, json_unescape(raw, plain)));
}

static json_t *read_real(struct reader *r, const char *digits)
{
	errno = 0;
	double v = num_real(digits, NULL);
	if (errno == ERANGE && fabs(v) == HUGE_VAL)
		return refuse(r, "a number too large");
	return made(r, json_real(v));
}

__attribute__((noinline)) static json_t *read_number(struct reader *r)
{
	char digits[NUMBER_MAX];
	bool is_real;
	size_t n = json_scan_number(r->rest, &is_real);
	if (n == 0)
		return refuse(r, r->rest.len ? "an unknown word" : "it ends too early");
	if (n >= sizeof(digits))
		return refuse(r, "a number too long");
	memcpy(digits, r->rest.ptr, n);
	digits[n] = '\0';
	skip(r, n);
	if (is_real || r->has_reals_only)
		return read_real(r, digits);
	errno = 0;
	long long v = strtoll(digits, NULL, 10);
	return errno == ERANGE ? refuse(r, "an integer too large") : made(r, json_integer(v));
}

static json_t *read_value(struct reader *r);

/* Reads one into `object`, and gives that back; NULL if it is refused. */
static json_t *read_member(struct reader *r, json_t *object)
{
	struct str key;
	bool has_escapes;
	if (peek(r) != '"')
		return refuse(r, "a member without a name");
	if (scan_string(r, &key, &has_escapes) < 0)
		return NULL;
	auto_free char *plain = has_escapes ? mem_alloc(key.len) : NULL;
	if (plain)
		key = str_from_len(plain, json_unescape(key, plain));
	if (str_has_nul(key))
		return refuse(r, "a NUL in the name of a member");
	if (peek_word(r) != ':')
		return refuse(r, "a member without ':'");
	skip(r, 1);
	size_t before = json_object_size(object);
	json_t *v = read_value(r);
	if (!v)
		return NULL;
	if (json_object_setn_new_nocheck(object, key.ptr, key.len, v) < 0)
		return refuse(r, "out of memory");
	return json_object_size(object) > before ? object : refuse(r, "a duplicate member");
}

static json_t *read_item(struct reader *r, json_t *array)
{
	json_t *v = read_value(r);
	if (!v)
		return NULL;
	return json_array_append_new(array, v) == 0 ? array : refuse(r, "out of memory");
}

static json_t *read_items(struct reader *r, json_t *all, char end,
	json_t *(*read_one)(struct reader *r, json_t *all))
{
	skip(r, 1);
	if (peek_word(r) == end) {
		skip(r, 1);
		return all;
	}
	for (;;) {
		peek_word(r);
		if (!read_one(r, all))
			return NULL;
		char next = peek_word(r);
		if (next != ',' && next != end)
			return refuse(r, "no ',' between two values");
		skip(r, 1);
		if (next == end)
			return all;
	}
}

static json_t *read_many(struct reader *r)
{
	bool is_object = peek(r) == '{';
	if (++r->depth > JSON_DEPTH_MAX)
		return refuse(r, "nested too deep");
	json_t *all = made(r, is_object ? json_object() : json_array());
	if (all &&
		!read_items(r, all, is_object ? '}' : ']', is_object ? read_member : read_item)) {
		json_decref(all);
		return NULL;
	}
	r->depth--;
	return all;
}

static json_t *read_value(struct reader *r)
{
	char c = peek_word(r);
	if (c == '"')
		return read_string(r);
	if (c == '{' || c == '[')
		return read_many(r);
	if (str_starts(r->rest, STR("true")))
		return skip(r, 4), json_true();
	if (str_starts(r->rest, STR("false")))
		return skip(r, 5), json_false();
	if (str_starts(r->rest, STR("null")))
		return skip(r, 4), json_null();
	return read_number(r);
}

static int tell_where(const struct reader *r, struct error *err)
{
	size_t at = r->text.len - r->rest.len, line = 1, start = 0;
	if (r->depth > JSON_DEPTH_MAX)
		return error_set(err, ERROR_INVALID, "JSON nested deeper than %d", JSON_DEPTH_MAX);
	const char *what = r->rest.len && !r->rest.ptr[0] ? "a NUL byte" : r->what;
	for (size_t i = 0; i < at; i++) {
		if (r->text.ptr[i] != '\n')
			continue;
		line++;
		start = i + 1;
	}
	return error_set(err, ERROR_INVALID, "not JSON: %s at line %zu, column %zu", what, line,
		at - start + 1);
}

static int parse(struct str text, bool has_reals_only, struct json **ret, struct error *err)
{
	struct reader r = { .rest = text, .text = text, .has_reals_only = has_reals_only };
	json_t *j = read_value(&r);
	if (j) {
		peek_word(&r);
		if (r.rest.len == 0) {
			*ret = ours(j);
			return 0;
		}
		json_decref(j);
		refuse(&r, "something after the value");
	}
	return tell_where(&r, err);
}

static bool is_escaped(const char *quote, const char *start)
{
	const char *p = quote;
	while (p > start && p[-1] == '\\')
		p--;
	return (quote - p) % 2 != 0;
}

/*
 * What follows the string that s begins with, without its opening quote; it need not be
 * well-formed.
 */
static struct str after_string(struct str s)
{
	const char *start = s.ptr, *quote;
	while ((quote = memchr(s.ptr, '"', s.len))) {
		s = str_skip(s, (size_t)(quote - s.ptr) + 1);
		if (!is_escaped(quote, start))
			return s;
	}
	return STR("");
}

/* One value for each comma, and one for what each bracket opens. */
int json_check_values(struct str text, size_t max, struct error *err)
{
	size_t n = 1;
	while (text.len && n <= max) {
		const char *quote = memchr(text.ptr, '"', text.len);
		size_t len = quote ? (size_t)(quote - text.ptr) : text.len;
		for (size_t i = 0; i < len; i++) {
			char c = text.ptr[i];
			n += (c == ',') | (c == '[') | (c == '{');
		}
		text = quote ? after_string(str_skip(text, len + 1)) : STR("");
	}
	return n <= max ? 0 : error_set(err, ERROR_TOO_LARGE, "JSON of more than %zu values", max);
}

int json_parse(struct str text, struct json **ret, struct error *err)
{
	return parse(text, false, ret, err);
}

int json_parse_loose(struct str text, struct json **ret, struct error *err)
{
	return parse(text, false, ret, NULL) == 0 ? 0 : parse(text, true, ret, err);
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

int64_t json_count(const struct json *j)
{
	return MIN(MAX(json_int(j), 0), JSON_COUNT_MAX);
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

int json_to_error(const struct json *j, struct error *err)
{
	struct str code = json_str(json_find(j, "code"));
	struct str message = json_str(json_find(j, "message"));
	if (!code.ptr || !message.ptr)
		return error_set(err, ERROR_PROTOCOL, "an error without code or message");
	return error_set(err, error_code_from_name(code.ptr), "%.*s", STR_ARG(message));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The text is searched for a name with a "(" behind it; from there a call is
 * tried. If that is none, the search goes on behind the "(": a suffix of the name cannot become a
 * call either. What is tried in vain is read again, so the number of steps is limited, not only the
 * length of the text.
 */
#include "wire/pycall.h"

#include "base/auto.h"
#include "base/num.h"
#include "wire/json.h"
#include "wire/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS_MAX = 16 * 1024 * 1024, NUMBER_MAX = 64 };

struct reader {
	struct str text;
	size_t at;
	size_t steps;
	struct arena *arena;
	int depth;
	bool is_over; /* a ceiling was met: give up */
};

static int peek(const struct reader *r)
{
	return r->at < r->text.len ? (unsigned char)r->text.ptr[r->at] : -1;
}

static int next(struct reader *r)
{
	int c = peek(r);
	if (++r->steps > STEPS_MAX)
		r->is_over = true;
	if (c < 0 || r->is_over)
		return -1;
	r->at++;
	return c;
}

static bool is_name_start(int c)
{
	return isalpha(c) || c == '_' || c >= 0x80;
}

static bool is_name(int c)
{
	return is_name_start(c) || isdigit(c);
}

static void skip_comment(struct reader *r)
{
	while (peek(r) >= 0 && peek(r) != '\n')
		next(r);
}

static void skip_blank(struct reader *r)
{
	while (!r->is_over) {
		if (peek(r) == '#')
			skip_comment(r);
		else if (peek(r) >= 0 && isspace(peek(r)))
			next(r);
		else
			return;
	}
}

static bool take(struct reader *r, char c)
{
	skip_blank(r);
	if (peek(r) != c)
		return false;
	next(r);
	return true;
}

static struct str read_name(struct reader *r)
{
	size_t start = r->at;
	while (is_name(peek(r)) && next(r) >= 0)
		;
	return str_from_len(r->text.ptr + start, r->at - start);
}

static bool has_room(struct reader *r, size_t size)
{
	if (!arena_has_room(r->arena, size))
		r->is_over = true;
	return !r->is_over;
}

/* ---- strings ---- */

/* At most n digits of a base, at least `least`. */
static bool read_digits(struct reader *r, int base, int least, int n, uint32_t *ret)
{
	uint32_t value = 0;
	int i = 0;
	for (; i < n; i++) {
		int c = peek(r);
		int digit = c >= '0' && c <= '9' ? c - '0'
			: c >= 0 && isxdigit(c)  ? tolower(c) - 'a' + 10
						 : 99;
		if (digit >= base)
			break;
		value = value * (uint32_t)base + (uint32_t)digit;
		next(r);
	}
	*ret = value;
	return i >= least;
}

/* Behind a backslash. An escape that Python does not know stays as it is. */
static bool read_escape(struct reader *r, struct buf *b)
{
	static const char names[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
	uint32_t code;
	int c = peek(r);
	if (c >= '0' && c <= '7') {
		read_digits(r, 8, 1, 3, &code);
		utf8_put(b, code);
		return true;
	}
	if (next(r) < 0)
		return false;
	if (c == '\n')
		return true;
	if (c == 'x' || c == 'u' || c == 'U') {
		int n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
		if (!read_digits(r, 16, n, n, &code) || code > 0x10ffff)
			return false;
		utf8_put(b, code);
		return true;
	}
	const char *known = c ? strchr(names, c) : NULL;
	if (!known)
		buf_putc(b, '\\');
	buf_putc(b, known ? values[known - names] : (char)c);
	return true;
}

static bool is_at(const struct reader *r, struct str s)
{
	return str_starts(str_skip(r->text, r->at), s);
}

static bool read_string(struct reader *r, bool is_raw, struct py_value *v)
{
	char quotes[4] = { 0 };
	auto_buf struct buf b = BUF_INIT(4 * PYCALL_TEXT_MAX);
	memset(quotes, peek(r), 3);
	bool is_long = is_at(r, str_from_len(quotes, 3));
	struct str end = str_from_len(quotes, is_long ? 3 : 1);
	r->at += end.len;
	while (!is_at(r, end)) {
		int c = next(r);
		if (c < 0 || (c == '\n' && !is_long))
			return false;
		if (c == '\\' && is_raw) {
			buf_putc(&b, '\\');
			c = next(r);
		} else if (c == '\\') {
			if (!read_escape(r, &b))
				return false;
			continue;
		}
		if (c < 0)
			return false;
		buf_putc(&b, (char)c);
	}
	r->at += end.len;
	if (b.is_full || !has_room(r, b.len + 1))
		return false;
	*v = (struct py_value){ .kind = PY_STR };
	v->text = str_from_len(arena_str(r->arena, buf_str(&b)), b.len);
	return true;
}

/* ---- other literals ---- */

static bool read_number(struct reader *r, struct py_value *v)
{
	char text[NUMBER_MAX + 1] = "", *end;
	size_t n = 0;
	bool is_real = false;
	for (; n < NUMBER_MAX; n++) {
		int c = peek(r);
		bool is_sign = (c == '+' || c == '-') &&
			(n == 0 || text[n - 1] == 'e' || text[n - 1] == 'E');
		if (c < 0 || !(isdigit(c) || c == '.' || c == 'e' || c == 'E' || is_sign))
			break;
		is_real |= c == '.' || c == 'e' || c == 'E';
		text[n] = (char)c;
		next(r);
	}
	text[n] = '\0';
	errno = 0;
	*v = (struct py_value){ .kind = PY_REAL, .real = num_real(text, &end) };
	if (n == 0 || *end || is_name(peek(r)) || !isfinite(v->real))
		return false;
	if (is_real)
		return true;
	v->kind = PY_INT;
	errno = 0;
	v->integer = strtoll(text, NULL, 10);
	return errno == 0;
}

static bool read_value(struct reader *r, struct py_value *v);

/* One item, or key and value, at the end of a list that grows by doubling. */
static bool read_item(struct reader *r, struct py_value *v, size_t *room, bool is_dict)
{
	size_t step = is_dict ? 2 : 1;
	if (v->n + step > PYCALL_ITEMS_MAX)
		return false;
	if (v->n + step > *room) {
		size_t wanted = *room ? 2 * *room : 4;
		if (!has_room(r, wanted * sizeof(*v)))
			return false;
		struct py_value *items = arena_new_n(r->arena, struct py_value, wanted);
		if (v->n)
			memcpy(items, v->items, v->n * sizeof(*items));
		v->items = items;
		*room = wanted;
	}
	if (!read_value(r, &v->items[v->n]))
		return false;
	if (is_dict && (!take(r, ':') || !read_value(r, &v->items[v->n + 1])))
		return false;
	v->n += step;
	return true;
}

static bool read_items(struct reader *r, enum py_kind kind, char end, struct py_value *v)
{
	size_t room = 0;
	bool has_comma = true;
	*v = (struct py_value){ .kind = kind };
	next(r);
	while (!take(r, end)) {
		if (!has_comma || r->is_over || !read_item(r, v, &room, kind == PY_DICT))
			return false;
		has_comma = take(r, ',');
	}
	if (kind == PY_TUPLE && v->n == 1 && !has_comma) { /* only a parenthesis */
		struct py_value inner = v->items[0];
		*v = inner;
	}
	return true;
}

static bool read_word(struct reader *r, struct py_value *v)
{
	struct str word = read_name(r);
	bool is_quote = peek(r) == '"' || peek(r) == '\'';
	if (is_quote && (str_is(word, "r") || str_is(word, "R")))
		return read_string(r, true, v);
	if (is_quote && (str_is(word, "u") || str_is(word, "U")))
		return read_string(r, false, v);
	*v = (struct py_value){ .kind = PY_BOOL, .boolean = str_is(word, "True") };
	if (str_is(word, "None"))
		v->kind = PY_NONE;
	return v->kind == PY_NONE || v->boolean || str_is(word, "False");
}

static bool read_value(struct reader *r, struct py_value *v)
{
	bool is_read = false;
	skip_blank(r);
	int c = peek(r);
	if (r->depth >= PYCALL_DEPTH_MAX || r->is_over)
		return false;
	r->depth++;
	if (c == '"' || c == '\'')
		is_read = read_string(r, false, v);
	else if (c == '[')
		is_read = read_items(r, PY_LIST, ']', v);
	else if (c == '(')
		is_read = read_items(r, PY_TUPLE, ')', v);
	else if (c == '{')
		is_read = read_items(r, PY_DICT, '}', v);
	else if (is_name_start(c))
		is_read = read_word(r, v);
	else
		is_read = read_number(r, v);
	r->depth--;
	return is_read;
}

/* ---- calls ---- */

/* "name=", or nothing. */
static struct str read_keyword(struct reader *r)
{
	struct reader ahead = *r;
	skip_blank(&ahead);
	if (!is_name_start(peek(&ahead)))
		return STR_NONE;
	struct str name = read_name(&ahead);
	r->steps = ahead.steps;
	if (!take(&ahead, '=') || peek(&ahead) == '=')
		return STR_NONE;
	*r = ahead;
	return name;
}

/* From behind the "(" on. */
static bool read_arguments(struct reader *r, struct py_call *call)
{
	size_t room = 0;
	bool has_comma = true;
	while (!take(r, ')')) {
		if (!has_comma || r->is_over || call->n == PYCALL_ITEMS_MAX)
			return false;
		if (call->n == room) {
			room = room ? 2 * room : 4;
			if (!has_room(r, room * sizeof(struct py_argument)))
				return false;
			struct py_argument *more = arena_new_n(r->arena, struct py_argument, room);
			if (call->n)
				memcpy(more, call->arguments, call->n * sizeof(*more));
			call->arguments = more;
		}
		struct py_argument *a = &call->arguments[call->n++];
		a->name = read_keyword(r);
		if (!read_value(r, &a->value))
			return false;
		if (!a->name.ptr && call->n > 1 && a[-1].name.ptr)
			return false; /* by position after one by name */
		has_comma = take(r, ',');
	}
	return true;
}

/* The next call; false at the end of the text. */
static bool find_call(struct reader *r, struct py_call *call)
{
	while (peek(r) >= 0 && !r->is_over) {
		if (peek(r) == '#') {
			skip_comment(r);
			continue;
		}
		if (!is_name_start(peek(r))) {
			/* A digit takes the name behind it along: "2nd(1)" is no call. */
			bool is_digit = isdigit(peek(r));
			next(r);
			if (is_digit)
				read_name(r);
			continue;
		}
		size_t start = r->at;
		*call = (struct py_call){ .name = read_name(r) };
		if (!take(r, '('))
			continue;
		size_t behind = r->at;
		if (read_arguments(r, call)) {
			call->source = str_from_len(r->text.ptr + start, r->at - start);
			return true;
		}
		r->at = behind;
	}
	return false;
}

int pycall_parse(struct str text, struct arena *arena, struct py_call **ret_calls, size_t *ret_n,
	struct error *err)
{
	struct reader r = { .text = text, .arena = arena };
	struct py_call call;
	size_t n = 0;
	if (text.len > PYCALL_TEXT_MAX)
		return error_set(err, ERROR_TOO_LARGE, "a program of %zu bytes; the limit is %d",
			text.len, PYCALL_TEXT_MAX);
	if (!arena_has_room(arena, PYCALL_CALLS_MAX * sizeof(call)))
		return error_set(err, ERROR_TOO_LARGE, "no room for the program");
	struct py_call *calls = arena_new_n(arena, struct py_call, PYCALL_CALLS_MAX);
	while (find_call(&r, &call)) {
		if (n == PYCALL_CALLS_MAX)
			return error_set(err, ERROR_TOO_LARGE, "a program of more than %d calls",
				PYCALL_CALLS_MAX);
		calls[n++] = call;
	}
	if (r.is_over)
		return error_set(err, ERROR_TOO_LARGE, "the program is too involved");
	*ret_calls = calls;
	*ret_n = n;
	return 0;
}

/* Ranges that Python's repr() escapes: spaces but ' ', controls, formats, private use. */
static const struct {
	uint32_t first, last;
} unprintable[] = {
	{ 0, 0x1f },
	{ 0x7f, 0xa0 },
	{ 0xad, 0xad },
	{ 0x61c, 0x61c },
	{ 0x180e, 0x180e },
	{ 0x2000, 0x200f },
	{ 0x2028, 0x202f },
	{ 0x205f, 0x206f },
	{ 0x3000, 0x3000 },
	{ 0xe000, 0xf8ff },
	{ 0xfeff, 0xfeff },
	{ 0xfff0, 0xfffb },
	{ 0xe0000, 0xe0fff },
	{ 0xf0000, 0x10ffff },
};

static bool is_printable(uint32_t c)
{
	for (size_t i = 0; i < ARRAY_LEN(unprintable); i++)
		if (c >= unprintable[i].first && c <= unprintable[i].last)
			return false;
	return true;
}

static void put_repr_char(struct buf *b, uint32_t c, struct str bytes, char quote)
{
	if (c == '\\' || c == (uint32_t)quote)
		buf_printf(b, "\\%c", (char)c);
	else if (c == '\n' || c == '\r' || c == '\t')
		buf_puts(b, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
	else if (is_printable(c))
		buf_put(b, bytes);
	else
		buf_printf(b, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

int pycall_put_repr(struct buf *b, struct str text)
{
	bool has_single = str_find_char(text, '\'') >= 0;
	bool has_double = str_find_char(text, '"') >= 0;
	char quote = has_single && !has_double ? '"' : '\'';
	buf_putc(b, quote);
	while (text.len) {
		size_t len;
		uint32_t c = utf8_char(text, &len);
		if (utf8_len(text))
			put_repr_char(b, c, str_first(text, len), quote);
		else
			utf8_put(b, c);
		text = str_skip(text, len);
	}
	return buf_putc(b, quote);
}

int pycall_put_json(struct buf *b, const struct json *value)
{
	switch (json_kind(value)) {
	case JSON_KIND_STR:
		return pycall_put_repr(b, json_str(value));
	case JSON_KIND_BOOL:
		return buf_puts(b, json_bool(value) ? "True" : "False");
	case JSON_KIND_NULL:
		return buf_puts(b, "None");
	case JSON_KIND_ARRAY:
		buf_putc(b, '[');
		for (size_t i = 0; i < json_len(value); i++) {
			buf_puts(b, i ? ", " : "");
			pycall_put_json(b, json_at(value, i));
		}
		return buf_putc(b, ']');
	default:
		return json_write(value, b);
	}
}

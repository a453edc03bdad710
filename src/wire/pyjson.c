/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the bytes, without recursion: `open` is the stack of brackets. What is expected
 * next is the state; each function consumes one thing and says what is next, or fails as CPython's
 * scanner would.
 */
#include "wire/pyjson.h"

#include "base/auto.h"

enum state {
	WANT_VALUE, /* of the text, behind a colon, behind a comma in an array */
	WANT_FIRST, /* behind [: a value or ] */
	WANT_KEY,   /* behind a comma in an object */
	WANT_FIRST_KEY,
	WANT_COLON,
	WANT_COMMA, /* or the bracket that closes */
	WANT_END,
};

struct scan {
	struct str text;
	size_t at;
	enum state state;
	char open[PYJSON_DEPTH_MAX];
	int depth;
	struct pyjson_fault *fault;
};

static size_t characters(struct str text, size_t bytes)
{
	size_t n = 0;
	for (size_t i = 0; i < bytes && i < text.len; i++)
		n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return n;
}

static int fail(struct scan *s, size_t at, const char *what)
{
	*s->fault = (struct pyjson_fault){ characters(s->text, at), what };
	return -1;
}

static int peek(const struct scan *s, size_t ahead)
{
	size_t at = s->at + ahead;
	return at < s->text.len ? (unsigned char)s->text.ptr[at] : -1;
}

static void skip_blanks(struct scan *s)
{
	int c;
	while ((c = peek(s, 0)) == ' ' || c == '\t' || c == '\n' || c == '\r')
		s->at++;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* At the quote. */
static int take_string(struct scan *s)
{
	size_t begin = s->at++;
	for (;;) {
		int c = peek(s, 0);
		if (c < 0)
			return fail(s, begin, "Unterminated string starting at");
		if (c < 0x20)
			return fail(s, s->at, "Invalid control character at");
		s->at++;
		if (c == '"')
			return 0;
		if (c != '\\')
			continue;
		c = peek(s, 0);
		if (c < 0)
			return fail(s, begin, "Unterminated string starting at");
		if (c == 'u') {
			/* It looks for the closing quote first. */
			bool is_whole = peek(s, 5) >= 0;
			for (size_t i = 1; i <= 4; i++)
				is_whole = is_whole && is_hex(peek(s, i));
			if (!is_whole)
				return fail(s, s->at, "Invalid \\uXXXX escape");
			s->at += 5;
		} else if (c && strchr("\"\\/bfnrt", c)) {
			s->at++;
		} else {
			return fail(s, s->at - 1, "Invalid \\escape");
		}
	}
}

/* False: there is no number here. */
static bool take_number(struct scan *s)
{
	size_t i = peek(s, 0) == '-';
	if (!is_digit(peek(s, i)))
		return false;
	if (peek(s, i) == '0')
		i++;
	else
		while (is_digit(peek(s, i)))
			i++;
	if (peek(s, i) == '.' && is_digit(peek(s, i + 1))) {
		i++;
		while (is_digit(peek(s, i)))
			i++;
	}
	if (peek(s, i) == 'e' || peek(s, i) == 'E') {
		size_t j = i + 1;
		j += peek(s, j) == '-' || peek(s, j) == '+';
		if (is_digit(peek(s, j))) {
			while (is_digit(peek(s, j)))
				j++;
			i = j;
		}
	}
	s->at += i;
	return true;
}

static bool take_word(struct scan *s)
{
	static const char *const words[] = { "null", "true", "false", "NaN", "Infinity",
		"-Infinity" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_starts(str_skip(s->text, s->at), str_from(words[i]))) {
			s->at += strlen(words[i]);
			return true;
		}
	return false;
}

static void after_value(struct scan *s)
{
	s->state = s->depth ? WANT_COMMA : WANT_END;
}

static int take_value(struct scan *s)
{
	int c = peek(s, 0);
	if (c == '{' || c == '[') {
		if (s->depth == PYJSON_DEPTH_MAX)
			return fail(s, s->at, "Nested too deeply");
		s->open[s->depth++] = (char)c;
		s->state = c == '{' ? WANT_FIRST_KEY : WANT_FIRST;
		s->at++;
		return 0;
	}
	if (c == '"' && take_string(s) < 0)
		return -1;
	if (c != '"' && !take_number(s) && !take_word(s))
		return fail(s, s->at, "Expecting value");
	after_value(s);
	return 0;
}

static void close_bracket(struct scan *s)
{
	s->at++;
	s->depth--;
	after_value(s);
}

static int take_comma(struct scan *s)
{
	char open = s->open[s->depth - 1];
	int c = peek(s, 0);
	if (c == (open == '{' ? '}' : ']')) {
		close_bracket(s);
		return 0;
	}
	if (c != ',')
		return fail(s, s->at, "Expecting ',' delimiter");
	s->at++;
	s->state = open == '{' ? WANT_KEY : WANT_VALUE;
	return 0;
}

static int take_key(struct scan *s)
{
	int c = peek(s, 0);
	if (c == '}' && s->state == WANT_FIRST_KEY) {
		close_bracket(s);
		return 0;
	}
	if (c != '"')
		return fail(s, s->at, "Expecting property name enclosed in double quotes");
	s->state = WANT_COLON;
	return take_string(s);
}

static int step(struct scan *s)
{
	switch (s->state) {
	case WANT_FIRST:
		if (peek(s, 0) == ']') {
			close_bracket(s);
			return 0;
		}
		return take_value(s);
	case WANT_VALUE:
		return take_value(s);
	case WANT_FIRST_KEY:
	case WANT_KEY:
		return take_key(s);
	case WANT_COLON:
		if (peek(s, 0) != ':')
			return fail(s, s->at, "Expecting ':' delimiter");
		s->at++;
		s->state = WANT_VALUE;
		return 0;
	case WANT_COMMA:
		return take_comma(s);
	case WANT_END:
		break;
	}
	return s->at < s->text.len ? fail(s, s->at, "Extra data") : 0;
}

static int scan_all(struct scan *s)
{
	for (;;) {
		skip_blanks(s);
		bool is_end = s->state == WANT_END;
		if (step(s) < 0)
			return -1;
		if (is_end)
			return 0;
	}
}

int pyjson_check(struct str text, struct pyjson_fault *ret_fault)
{
	struct scan s = { .text = text, .fault = ret_fault };
	return scan_all(&s);
}

enum json_kind pyjson_kind(struct str text)
{
	text = str_trim(text);
	switch (text.len ? text.ptr[0] : 'n') {
	case '{':
		return JSON_KIND_OBJECT;
	case '[':
		return JSON_KIND_ARRAY;
	case '"':
		return JSON_KIND_STR;
	case 't':
	case 'f':
		return JSON_KIND_BOOL;
	case 'n':
		return JSON_KIND_NULL;
	default:
		for (size_t i = 0; i < text.len; i++)
			if (strchr(".eENI", text.ptr[i]))
				return JSON_KIND_REAL;
		return JSON_KIND_INT;
	}
}

bool pyjson_is_true(struct str text)
{
	text = str_trim(text);
	switch (pyjson_kind(text)) {
	case JSON_KIND_NULL:
		return false;
	case JSON_KIND_BOOL:
		return text.ptr[0] == 't';
	case JSON_KIND_STR:
		return text.len > 2;
	case JSON_KIND_ARRAY:
	case JSON_KIND_OBJECT:
		return str_trim(str_first(str_skip(text, 1), text.len - 2)).len > 0;
	default:
		break;
	}
	/* A number is 0 if it has no other digit before the exponent. */
	for (size_t i = 0; i < text.len && text.ptr[i] != 'e' && text.ptr[i] != 'E'; i++)
		if ((text.ptr[i] >= '1' && text.ptr[i] <= '9') || strchr("NI", text.ptr[i]))
			return true;
	return false;
}

/* A key as it stands between its quotes, against a plain ASCII name; escapes are looked through. */
static bool key_is(struct str raw, const char *name)
{
	if (str_find_char(raw, '\\') < 0)
		return str_is(raw, name);
	auto_buf struct buf quoted = BUF_INIT(4096);
	auto_json struct json *key = NULL;
	buf_printf(&quoted, "[\"%.*s\"]", STR_ARG(raw));
	return json_parse(buf_str(&quoted), &key, NULL) == 0 &&
		str_is(json_str(json_at(key, 0)), name);
}

struct members {
	const char *const *names;
	struct str *values;
	int n;
	struct str key;
	size_t begin;
	bool is_open; /* a member's value has begun */
};

static void end_member(struct members *m, const struct scan *s)
{
	for (int i = 0; i < m->n; i++)
		if (key_is(m->key, m->names[i]))
			m->values[i] = str_from_len(s->text.ptr + m->begin, s->at - m->begin);
	m->is_open = false;
}

int pyjson_members(struct str text, const char *const *names, struct str *ret_values, int n,
	struct pyjson_fault *ret_fault)
{
	struct scan s = { .text = text, .fault = ret_fault };
	struct members m = { names, ret_values, n, STR_NONE, 0, false };
	for (int i = 0; i < n; i++)
		ret_values[i] = STR_NONE;
	for (;;) {
		skip_blanks(&s);
		enum state before = s.state;
		size_t begin = s.at;
		bool is_top = s.depth == 1 && s.open[0] == '{';
		if (step(&s) < 0)
			return -1;
		if (before == WANT_END)
			return 0;
		if (is_top && s.state == WANT_COLON)
			m.key = str_from_len(text.ptr + begin + 1, s.at - begin - 2);
		if (is_top && before == WANT_VALUE) {
			m.is_open = true;
			m.begin = begin;
		}
		if (m.is_open && s.depth == 1 && s.state == WANT_COMMA)
			end_member(&m, &s);
	}
}

void pyjson_put_compact(struct buf *b, struct str text)
{
	bool is_string = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (is_string && c == '\\' && i + 1 < text.len) {
			buf_putc(b, c);
			c = text.ptr[++i];
		} else if (c == '"') {
			is_string = !is_string;
		} else if (!is_string && strchr(" \t\r\n", c)) {
			continue;
		}
		buf_putc(b, c);
	}
}

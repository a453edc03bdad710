/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/trim.h"

#include "wire/json.h"
#include "wire/json_text.h"
#include "wire/utf8.h"

struct trim {
	struct str in;
	size_t at;     /* next byte to look at */
	size_t copied; /* bytes of `in` that are in `out`, or are left out on purpose */
	size_t string_max;
	struct buf *out;
	int depth;
	struct error *err;
};

static int refuse(struct trim *t, const char *what)
{
	return error_set(t->err, ERROR_PROTOCOL, "not JSON: %s at byte %zu", what, t->at);
}

static int peek(const struct trim *t)
{
	return t->at < t->in.len ? (unsigned char)t->in.ptr[t->at] : -1;
}

/* Copies what was looked at and not copied yet. */
static void flush(struct trim *t)
{
	if (t->out)
		buf_add(t->out, t->in.ptr + t->copied, t->at - t->copied);
	t->copied = t->at;
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct trim *t)
{
	if (!is_space(peek(t)))
		return;
	flush(t);
	while (is_space(peek(t)))
		t->at++;
	t->copied = t->at;
}

static bool is_hex(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Steps over one character of a string: its bytes, or -1. */
static int string_char(struct trim *t)
{
	struct str rest = str_skip(t->in, t->at);
	unsigned char c = (unsigned char)rest.ptr[0];
	if (c < 0x20)
		return refuse(t, "a control byte in a string");
	if (c >= 0x80) {
		size_t n = utf8_len(rest);
		return n ? (int)n : refuse(t, "invalid UTF-8");
	}
	if (c != '\\')
		return 1;
	if (rest.len < 2)
		return refuse(t, "an unfinished escape");
	if (rest.ptr[1] == 'u' && rest.len >= 6 && is_hex(rest.ptr[2]) && is_hex(rest.ptr[3]) &&
		is_hex(rest.ptr[4]) && is_hex(rest.ptr[5]))
		return 6;
	if (!json_short_escape(rest.ptr[1]))
		return refuse(t, "an unknown escape");
	return 2;
}

/* Bytes of escapes of two bytes at the front. */
static size_t escape_run(struct str s)
{
	size_t n = 0;
	while (n + 2 <= s.len && s.ptr[n] == '\\' && json_short_escape(s.ptr[n + 1]))
		n += 2;
	return n;
}

/* Steps over what nearly all of a string is, up to `end`: plain characters and short escapes. */
static void plain_run(struct trim *t, size_t end)
{
	size_t n = 1;
	end = end < t->in.len ? end : t->in.len;
	while (n && t->at < end) {
		struct str rest = str_first(str_skip(t->in, t->at), end - t->at);
		unsigned char c = (unsigned char)rest.ptr[0];
		n = c >= 0x80 ? utf8_run(rest) : c == '\\' ? escape_run(rest) : json_plain(rest);
		t->at += n;
	}
}

/* True for the second half of a pair of \u escapes: a cut must not part them. */
static bool is_low_surrogate(const struct trim *t)
{
	struct str rest = str_skip(t->in, t->at);
	return rest.len >= 4 && rest.ptr[0] == '\\' && rest.ptr[1] == 'u' &&
		(rest.ptr[2] == 'd' || rest.ptr[2] == 'D') && strchr("cdefCDEF", rest.ptr[3]);
}

static int string_tail(struct trim *t)
{
	flush(t);
	size_t from = t->at;
	while (plain_run(t, t->in.len), peek(t) >= 0 && peek(t) != '"') {
		int n = string_char(t);
		if (n < 0)
			return -1;
		t->at += (size_t)n;
	}
	if (t->out)
		buf_printf(t->out, "… [%zu more bytes]", t->at - from);
	t->copied = t->at;
	return 0;
}

static int string(struct trim *t)
{
	size_t start = ++t->at;
	size_t max = t->string_max < t->in.len - start ? start + t->string_max : t->in.len;
	while (plain_run(t, max), peek(t) >= 0 && peek(t) != '"') {
		if (t->at - start >= t->string_max && !is_low_surrogate(t)) {
			if (string_tail(t) < 0)
				return -1;
			break;
		}
		int n = string_char(t);
		if (n < 0)
			return -1;
		t->at += (size_t)n;
	}
	if (peek(t) != '"')
		return refuse(t, "an unfinished string");
	t->at++;
	return 0;
}

static bool digits(struct trim *t)
{
	size_t start = t->at;
	while (peek(t) >= '0' && peek(t) <= '9')
		t->at++;
	return t->at > start;
}

static int number(struct trim *t)
{
	if (peek(t) == '-')
		t->at++;
	if (peek(t) == '0')
		t->at++;
	else if (!digits(t))
		return refuse(t, "an unknown word");
	if (peek(t) == '.') {
		t->at++;
		if (!digits(t))
			return refuse(t, "a number without digits after its point");
	}
	if (peek(t) == 'e' || peek(t) == 'E') {
		t->at++;
		if (peek(t) == '+' || peek(t) == '-')
			t->at++;
		if (!digits(t))
			return refuse(t, "a number without exponent");
	}
	return 0;
}

static int value(struct trim *t);

static int member(struct trim *t)
{
	if (peek(t) != '"')
		return refuse(t, "a member without name");
	if (string(t) < 0)
		return -1;
	skip_space(t);
	if (peek(t) != ':')
		return refuse(t, "a member without ':'");
	t->at++;
	skip_space(t);
	return value(t);
}

static int list(struct trim *t, int (*item)(struct trim *t), int end)
{
	if (++t->depth > JSON_DEPTH_MAX)
		return refuse(t, "nested too deep");
	t->at++;
	skip_space(t);
	while (peek(t) != end) {
		if (item(t) < 0)
			return -1;
		skip_space(t);
		if (peek(t) == end)
			break;
		if (peek(t) != ',')
			return refuse(t, "no ',' between two values");
		t->at++;
		skip_space(t);
		if (peek(t) == end)
			return refuse(t, "a ',' with nothing after it");
	}
	t->at++;
	t->depth--;
	return 0;
}

static int value(struct trim *t)
{
	static const char *const words[] = { "true", "false", "null" };
	int c = peek(t);
	if (c == '{')
		return list(t, member, '}');
	if (c == '[')
		return list(t, value, ']');
	if (c == '"')
		return string(t);
	for (int i = 0; i < 3; i++) {
		if (!str_starts(str_skip(t->in, t->at), str_from(words[i])))
			continue;
		t->at += strlen(words[i]);
		return 0;
	}
	return number(t);
}

int trim_json(struct str json, size_t string_max, struct buf *out, char *ret_kind,
	struct error *err)
{
	struct trim t = { .in = json, .string_max = string_max, .out = out, .err = err };
	skip_space(&t);
	int kind = peek(&t);
	if (value(&t) < 0)
		return -1;
	skip_space(&t);
	if (t.at != json.len)
		return refuse(&t, "something after the value");
	flush(&t);
	if (ret_kind)
		*ret_kind = (char)kind;
	return 0;
}

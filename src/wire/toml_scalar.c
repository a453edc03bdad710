/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/toml_scan.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/num.h"
#include "wire/utf8.h"

#include <math.h>

enum { SCALAR_MAX = 1024, DATE_LEN = 10, TIME_LEN = 8 };

/* Strings. */

static int put_code_point(struct toml_scan *s, struct buf *b, uint32_t c)
{
	if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return toml_fail(s, "\\u%04x is no character", c);
	utf8_put(b, c);
	return 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	char lower = (char)(c | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static int scan_unicode(struct toml_scan *s, struct buf *b, int digits)
{
	uint32_t c = 0;
	for (int i = 0; i < digits; i++) {
		int value = hex_value(toml_peek(s, 0));
		if (value < 0)
			return toml_fail(s, "an escape wants %d hexadecimal digits", digits);
		c = c << 4 | (uint32_t)value;
		s->at++;
	}
	return put_code_point(s, b, c);
}

/* A backslash at the end of a line takes the line feed and all blanks behind it away. */
static bool skip_folded(struct toml_scan *s)
{
	size_t n = 0;
	while (toml_peek(s, n) == ' ' || toml_peek(s, n) == '\t')
		n++;
	if (toml_peek(s, n) == '\r')
		n++;
	if (toml_peek(s, n) != '\n')
		return false;
	s->at += n;
	while (memchr(" \t\r\n", toml_peek(s, 0) ?: 'x', 4)) {
		s->line += toml_peek(s, 0) == '\n';
		s->at++;
	}
	return true;
}

static int scan_escape(struct toml_scan *s, struct buf *b, bool is_multiline)
{
	static const char names[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
	if (is_multiline && skip_folded(s))
		return 0;
	char c = toml_peek(s, 0);
	s->at++;
	if (c == 'u' || c == 'U')
		return scan_unicode(s, b, c == 'u' ? 4 : 8);
	const char *found = c ? strchr(names, c) : NULL;
	if (!found)
		return toml_fail(s, "'\\%c' is no escape", c >= ' ' && c < 0x7f ? c : '?');
	return buf_putc(b, values[found - names]);
}

/* CR LF counts as LF; other control characters but the tab are refused. */
static int scan_char(struct toml_scan *s, struct buf *b, bool is_multiline)
{
	unsigned char c = (unsigned char)toml_peek(s, 0);
	if (c == '\r' && toml_peek(s, 1) == '\n' && is_multiline) {
		s->at++;
		c = '\n';
	}
	if (c == '\n' && is_multiline)
		s->line++;
	else if (c == '\n' || s->at >= s->text.len)
		return toml_fail(s, "a string has no end");
	else if ((c < 0x20 && c != '\t') || c == 0x7f)
		return toml_fail(s, "a control character in a string");
	s->at++;
	return buf_putc(b, (char)c);
}

static size_t count(const struct toml_scan *s, char quote)
{
	size_t n = 0;
	while (n < 6 && toml_peek(s, n) == quote)
		n++;
	return n;
}

static int scan_body(struct toml_scan *s, char quote, bool is_multiline, struct buf *b)
{
	for (;;) {
		size_t n = count(s, quote);
		if (!is_multiline && n) {
			s->at++;
			return 0;
		}
		if (is_multiline && n >= 3) {
			if (n > 5)
				return toml_fail(s, "more quotes than end a string");
			for (size_t i = 3; i < n; i++)
				buf_putc(b, quote);
			s->at += n;
			return 0;
		}
		int r;
		if (quote == '"' && toml_peek(s, 0) == '\\') {
			s->at++;
			r = scan_escape(s, b, is_multiline);
		} else {
			r = scan_char(s, b, is_multiline);
		}
		if (r < 0)
			return -1;
	}
}

int toml_scan_string(struct toml_scan *s, bool is_key, struct str *ret)
{
	auto_buf struct buf b = BUF_INIT(TOML_TEXT_MAX);
	char quote = toml_peek(s, 0);
	bool is_multiline = toml_peek(s, 1) == quote && toml_peek(s, 2) == quote;
	if (is_multiline && is_key)
		return toml_fail(s, "a key is one line");
	s->at += is_multiline ? 3 : 1;
	if (is_multiline && toml_peek(s, 0) == '\r' && toml_peek(s, 1) == '\n')
		s->at++;
	if (is_multiline && toml_peek(s, 0) == '\n') {
		s->at++;
		s->line++;
	}
	if (scan_body(s, quote, is_multiline, &b) < 0)
		return -1;
	*ret = str_from_len(arena_str(s->arena, buf_str(&b)), b.len);
	return 0;
}

/* Dates and times. */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits where the pattern has a 0, itself elsewhere. */
static bool fits(struct str text, const char *pattern)
{
	size_t n = strlen(pattern);
	if (text.len < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (pattern[i] == '0' ? !is_digit(text.ptr[i]) : text.ptr[i] != pattern[i])
			return false;
	return true;
}

static int two(struct str text, size_t at)
{
	return (text.ptr[at] - '0') * 10 + text.ptr[at + 1] - '0';
}

static bool is_date(struct str text)
{
	static const char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (!fits(text, "0000-00-00"))
		return false;
	int year = two(text, 0) * 100 + two(text, 2), month = two(text, 5), day = two(text, 8);
	bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	if (month < 1 || month > 12 || day < 1)
		return false;
	return day <= days[month - 1] + (month == 2 && is_leap);
}

/* How long a time at the front is, its fraction included; 0: there is none. */
static size_t time_len(struct str text)
{
	if (!fits(text, "00:00:00") || two(text, 0) > 23 || two(text, 3) > 59 || two(text, 6) > 60)
		return 0;
	size_t n = TIME_LEN;
	if (n + 1 < text.len && text.ptr[n] == '.' && is_digit(text.ptr[n + 1]))
		for (n++; n < text.len && is_digit(text.ptr[n]); n++)
			;
	return n;
}

static bool is_offset(struct str text)
{
	if (text.len == 1)
		return (text.ptr[0] | 0x20) == 'z';
	return text.len == 6 && (fits(text, "+00:00") || fits(text, "-00:00")) &&
		two(text, 1) <= 23 && two(text, 4) <= 59;
}

static enum toml_kind date_kind(struct str text)
{
	size_t n = time_len(text);
	if (n && n == text.len)
		return TOML_TIME;
	if (!is_date(text))
		return 0;
	if (text.len == DATE_LEN)
		return TOML_DATE;
	char separator = (char)(text.ptr[DATE_LEN] | 0x20);
	struct str rest = str_skip(text, DATE_LEN + 1);
	n = time_len(rest);
	if ((separator != 't' && separator != ' ') || !n)
		return 0;
	rest = str_skip(rest, n);
	if (rest.len == 0)
		return TOML_LOCAL_DATETIME;
	return is_offset(rest) ? TOML_DATETIME : 0;
}

static int make_date(struct toml_scan *s, struct str text, struct toml **ret)
{
	enum toml_kind kind = date_kind(text);
	if (!kind)
		return toml_fail(s, "'%.*s' is no date or time", STR_ARG(str_first(text, 60)));
	*ret = toml_node(s, kind);
	if (!*ret)
		return -1;
	char *copy = arena_str(s->arena, text);
	if (kind == TOML_DATETIME || kind == TOML_LOCAL_DATETIME)
		copy[DATE_LEN] = 'T';
	if (copy[text.len - 1] == 'z')
		copy[text.len - 1] = 'Z';
	(*ret)->text = str_from_len(copy, text.len);
	return 0;
}

/* Numbers. */

static bool is_digit_of(char c, int base)
{
	int value = hex_value(c);
	return value >= 0 && value < base;
}

/* Digits with single underscores between them, which are left out. */
static size_t take_digits(struct str text, int base, struct buf *b)
{
	size_t n = 0;
	while (n < text.len && is_digit_of(text.ptr[n], base)) {
		buf_putc(b, text.ptr[n++]);
		if (n + 1 < text.len && text.ptr[n] == '_' && is_digit_of(text.ptr[n + 1], base))
			n++;
	}
	return n;
}

static int not_a_value(struct toml_scan *s, struct str text)
{
	return toml_fail(s, "'%.*s' is no value: a string stands in quotes",
		STR_ARG(str_first(text, 60)));
}

static int make_int(struct toml_scan *s, struct str text, int64_t value, struct toml **ret)
{
	*ret = toml_node(s, TOML_INT);
	if (!*ret)
		return -1;
	(*ret)->number = value;
	return 0;
}

static int make_based(struct toml_scan *s, struct str text, struct toml **ret)
{
	int base = text.ptr[1] == 'x' ? 16 : text.ptr[1] == 'o' ? 8 : 2;
	auto_buf struct buf digits = BUF_INIT(SCALAR_MAX);
	if (take_digits(str_skip(text, 2), base, &digits) != text.len - 2 || !digits.len)
		return not_a_value(s, text);
	uint64_t value = 0;
	for (size_t i = 0; i < digits.len; i++) {
		if (value > (uint64_t)INT64_MAX / (uint64_t)base)
			return toml_fail(s, "%.*s is too large", STR_ARG(text));
		value = value * (uint64_t)base + (uint64_t)hex_value(digits.ptr[i]);
	}
	if (value > INT64_MAX)
		return toml_fail(s, "%.*s is too large", STR_ARG(text));
	return make_int(s, text, (int64_t)value, ret);
}

static int make_float(struct toml_scan *s, const char *digits, struct toml **ret)
{
	*ret = toml_node(s, TOML_FLOAT);
	if (!*ret)
		return -1;
	(*ret)->real = num_real(digits, NULL);
	return 0;
}

static int make_decimal(struct toml_scan *s, struct str text, struct toml **ret)
{
	auto_buf struct buf b = BUF_INIT(SCALAR_MAX);
	struct str rest = text;
	bool has_sign = rest.ptr[0] == '+' || rest.ptr[0] == '-', is_float = false;
	if (rest.ptr[0] == '-')
		buf_putc(&b, '-');
	rest = str_skip(rest, has_sign);
	size_t n = take_digits(rest, 10, &b);
	if (!n || (rest.ptr[0] == '0' && n > 1))
		return not_a_value(s, text);
	rest = str_skip(rest, n);
	if (rest.len && rest.ptr[0] == '.') {
		is_float = true;
		buf_putc(&b, '.');
		n = take_digits(str_skip(rest, 1), 10, &b);
		rest = str_skip(rest, n + 1);
	}
	if (n && rest.len && (rest.ptr[0] | 0x20) == 'e') {
		is_float = true;
		buf_putc(&b, 'e');
		rest = str_skip(rest, 1);
		if (rest.len && (rest.ptr[0] == '+' || rest.ptr[0] == '-')) {
			buf_putc(&b, rest.ptr[0]);
			rest = str_skip(rest, 1);
		}
		n = take_digits(rest, 10, &b);
		rest = str_skip(rest, n);
	}
	if (!n || rest.len || b.is_full)
		return not_a_value(s, text);
	if (is_float)
		return make_float(s, b.ptr, ret);
	int64_t value;
	if (num_parse_i64(buf_str(&b), INT64_MIN, INT64_MAX, &value, NULL) < 0)
		return toml_fail(s, "%.*s is too large", STR_ARG(text));
	return make_int(s, text, value, ret);
}

static int make_word(struct toml_scan *s, struct str text, struct toml **ret)
{
	bool is_negative = text.ptr[0] == '-', has_sign = is_negative || text.ptr[0] == '+';
	struct str word = str_skip(text, has_sign);
	bool is_bool = !has_sign && (str_is(word, "true") || str_is(word, "false"));
	if (!is_bool && !str_is(word, "inf") && !str_is(word, "nan"))
		return not_a_value(s, text);
	*ret = toml_node(s, is_bool ? TOML_BOOL : TOML_FLOAT);
	if (!*ret)
		return -1;
	(*ret)->number = is_bool && word.ptr[0] == 't';
	if (!is_bool)
		(*ret)->real = copysign(word.ptr[0] == 'i' ? INFINITY : NAN,
			is_negative ? -1.0 : 1.0);
	return 0;
}

/* Up to what may follow a value. A date and a time may have a blank between them. */
static struct str take_text(struct toml_scan *s)
{
	size_t n = 0;
	while (s->at + n < s->text.len && !memchr(" \t\r\n,]}#=", toml_peek(s, n), 9))
		n++;
	if (n == DATE_LEN && toml_peek(s, n) == ' ' && is_digit(toml_peek(s, n + 1)) &&
		is_date(str_from_len(s->text.ptr + s->at, n)))
		for (n++; s->at + n < s->text.len && !memchr(" \t\r\n,]}#", toml_peek(s, n), 8);
			n++)
			;
	struct str text = str_from_len(s->text.ptr + s->at, n);
	s->at += n;
	return text;
}

int toml_scan_scalar(struct toml_scan *s, struct toml **ret)
{
	struct str text = take_text(s);
	if (text.len == 0)
		return toml_fail(s, "a value is missing");
	bool is_based = text.len > 2 && text.ptr[0] == '0' && memchr("xob", text.ptr[1], 3);
	if (is_based)
		return make_based(s, text, ret);
	if (fits(text, "0000-") || fits(text, "00:"))
		return make_date(s, text, ret);
	bool has_sign = text.ptr[0] == '+' || text.ptr[0] == '-';
	if (is_digit(text.ptr[0]) || (has_sign && text.len > 1 && is_digit(text.ptr[1])))
		return make_decimal(s, text, ret);
	return make_word(s, text, ret);
}

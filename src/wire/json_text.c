/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_text.h"

#include "wire/utf8.h"

#define EACH(byte) (0x0101010101010101u * (uint64_t)(byte))

/* Whether a byte of the word is zero; what is beyond it may be told wrongly. */
static uint64_t has_zero(uint64_t word)
{
	return (word - EACH(0x01)) & ~word & EACH(0x80);
}

static bool is_plain_word(uint64_t word)
{
	uint64_t below_space = (word - EACH(0x20)) & ~word & EACH(0x80);
	return !((word & EACH(0x80)) | below_space | has_zero(word ^ EACH('"')) |
		has_zero(word ^ EACH('\\')) | has_zero(word ^ EACH(0x7f)));
}

size_t json_plain(struct str s)
{
	size_t n = 0;
	for (uint64_t word; n + sizeof(word) <= s.len; n += sizeof(word)) {
		memcpy(&word, s.ptr + n, sizeof(word));
		if (!is_plain_word(word))
			break;
	}
	while (n < s.len && json_is_plain((unsigned char)s.ptr[n]))
		n++;
	return n;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of "\uXXXX" at p, -1 if that is not there. */
static int unit(const char *p, const char *end)
{
	int v = 0;
	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = hex_digit(p[i]);
		if (digit < 0)
			return -1;
		v = v << 4 | digit;
	}
	return v;
}

/* The character of the \u escape or pair of them at p, and its length; -1 if there is none. */
static int32_t unit_char(const char *p, const char *end, size_t *ret_len)
{
	int first = unit(p, end), second;
	*ret_len = 6;
	if (first < 0xd800 || first > 0xdfff)
		return first;
	if (first >= 0xdc00)
		return -1;
	second = unit(p + 6, end);
	*ret_len = 12;
	return second < 0xdc00 || second > 0xdfff
		? -1
		: 0x10000 + ((first & 0x3ff) << 10 | (second & 0x3ff));
}

char json_short_escape(char letter)
{
	static const char meanings[256] = { ['"'] = '"',
		['\\'] = '\\',
		['/'] = '/',
		['b'] = '\b',
		['f'] = '\f',
		['n'] = '\n',
		['r'] = '\r',
		['t'] = '\t' };
	return meanings[(unsigned char)letter];
}

/* Length of the escape at p, 0 if there is none. */
static size_t escape_len(const char *p, const char *end)
{
	size_t len;
	if (end - p < 2)
		return 0;
	if (p[1] != 'u')
		return json_short_escape(p[1]) ? 2 : 0;
	return unit_char(p, end, &len) < 0 ? 0 : len;
}

/*
 * Steps over what is at p, which is no '"'. Its length; 0 and *ret_what: it has no place in a
 * string.
 */
static size_t step(const char *p, const char *end, const char **ret_what)
{
	unsigned char c = (unsigned char)*p;
	struct str rest = str_from_len(p, (size_t)(end - p));
	if (c == '\\') {
		*ret_what = "an unknown escape";
		return escape_len(p, end);
	}
	if (c > 0x7f) {
		*ret_what = "invalid UTF-8";
		return utf8_run(rest);
	}
	*ret_what = "a control byte in a string";
	return c == 0x7f ? 1 : json_plain(rest);
}

ssize_t json_scan_string(struct str s, bool *ret_has_escapes, const char **ret_what, size_t *ret_at)
{
	const char *p = s.ptr, *end = s.ptr + s.len;
	size_t n = 1;
	*ret_has_escapes = false;
	*ret_what = "a string without an end";
	for (; n && p < end && *p != '"'; p += n) {
		*ret_has_escapes |= *p == '\\';
		n = step(p, end, ret_what);
	}
	*ret_at = (size_t)(p - s.ptr);
	if (n && p == end)
		*ret_what = "a string without an end";
	return n && p < end ? p - s.ptr : -1;
}

size_t json_unescape(struct str raw, char *out)
{
	const char *p = raw.ptr, *end = raw.ptr + raw.len;
	char *start = out;
	while (p < end) {
		size_t n = 2;
		if (*p != '\\') {
			const char *next = memchr(p, '\\', (size_t)(end - p));
			n = (size_t)((next ? next : end) - p);
			memcpy(out, p, n);
			out += n;
		} else if (p[1] != 'u') {
			*out++ = json_short_escape(p[1]);
		} else {
			out += utf8_write((uint32_t)unit_char(p, end, &n), out);
		}
		p += n;
	}
	return (size_t)(out - start);
}

static size_t digits(struct str s)
{
	size_t n = 0;
	while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9')
		n++;
	return n;
}

static bool is_at(struct str s, size_t at, char c)
{
	return at < s.len && s.ptr[at] == c;
}

size_t json_scan_number(struct str s, bool *ret_is_real)
{
	size_t at = is_at(s, 0, '-'), n;
	*ret_is_real = false;
	n = is_at(s, at, '0') ? 1 : digits(str_skip(s, at));
	if (n == 0)
		return 0;
	at += n;
	if (is_at(s, at, '.')) {
		*ret_is_real = true;
		n = digits(str_skip(s, at + 1));
		if (n == 0)
			return 0;
		at += 1 + n;
	}
	if (is_at(s, at, 'e') || is_at(s, at, 'E')) {
		*ret_is_real = true;
		at++;
		at += is_at(s, at, '+') || is_at(s, at, '-');
		n = digits(str_skip(s, at));
		if (n == 0)
			return 0;
		at += n;
	}
	return at;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/clean.h"

#include "wire/utf8.h"

enum { ESC = 0x1b, DEL = 0x7f };

/*
 * Length of the SGR sequence at the front of s; 0: there is none; -1: there may be, with more
 * bytes.
 */
static int sgr_len(struct str s)
{
	for (size_t i = 1; i < s.len && i < CLEAN_HOLD_MAX; i++) {
		char c = s.ptr[i];
		if (i == 1 ? c == '[' : (c >= '0' && c <= '9') || c == ';' || c == ':')
			continue;
		return i > 1 && c == 'm' ? (int)i + 1 : 0;
	}
	return s.len < CLEAN_HOLD_MAX ? -1 : 0;
}

/* U+0080 to U+009F are control characters as well: ESC [ is also U+009B. */
static bool is_c1(struct str s, size_t len)
{
	return len == 2 && (unsigned char)s.ptr[0] == 0xc2 && (unsigned char)s.ptr[1] < 0xa0;
}

/*
 * U+202A to U+202E and U+2066 to U+2069 turn the order of what follows: "exe.txt" may be "txt.exe".
 */
static bool is_turn(struct str s, size_t len)
{
	unsigned char last = len == 3 ? (unsigned char)s.ptr[2] : 0;
	if (len != 3 || (unsigned char)s.ptr[0] != 0xe2)
		return false;
	return (unsigned char)s.ptr[1] == 0x80
		? last >= 0xaa && last <= 0xae
		: (unsigned char)s.ptr[1] == 0x81 && last >= 0xa6 && last <= 0xa9;
}

static bool is_harmful(struct str s, size_t len)
{
	return len == 0 || is_c1(s, len) || is_turn(s, len);
}

/* Takes one character that is no escape; 0: more bytes are needed. */
static size_t put_character(struct buf *b, struct str s, bool is_end)
{
	unsigned char c = (unsigned char)s.ptr[0];
	if (c == '\r' && s.len == 1 && !is_end)
		return 0;
	bool is_line_end = c == '\n' || (c == '\r' && s.len > 1 && s.ptr[1] == '\n');
	if (is_line_end || c == '\t') {
		buf_putc(b, (char)c);
		return 1;
	}
	if (c < 0x20 || c == DEL) {
		buf_printf(b, "^%c", c ^ 0x40);
		return 1;
	}
	size_t len = utf8_len(s);
	if (len == 0 && !is_end && utf8_incomplete_tail(s) == s.len)
		return 0;
	if (is_harmful(s, len))
		buf_puts(b, "\xef\xbf\xbd");
	else
		buf_put(b, str_first(s, len));
	return len ? len : 1;
}

size_t clean_put(struct buf *b, struct str s, bool has_colour, bool is_end)
{
	struct str rest = s;
	while (rest.len) {
		int sgr = has_colour && rest.ptr[0] == ESC ? sgr_len(rest) : 0;
		if (sgr < 0 && !is_end)
			break;
		size_t taken = (size_t)sgr;
		if (sgr > 0)
			buf_put(b, str_first(rest, taken));
		else
			taken = put_character(b, rest, is_end);
		if (taken == 0)
			break;
		rest = str_skip(rest, taken);
	}
	return s.len - rest.len;
}

void clean_put_line(struct buf *b, struct str s)
{
	while (s.len) {
		unsigned char c = (unsigned char)s.ptr[0];
		size_t len = utf8_len(s);
		if (c == '\n' || c == '\t')
			buf_putc(b, ' ');
		else if (c < 0x20 || c == DEL)
			buf_putc(b, '?');
		else if (is_harmful(s, len))
			buf_puts(b, "\xef\xbf\xbd");
		else
			buf_put(b, str_first(s, len));
		s = str_skip(s, len ? len : 1);
	}
}

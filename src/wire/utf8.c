/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/utf8.h"

static bool is_between(unsigned char c, unsigned char low, unsigned char high)
{
	return c >= low && c <= high;
}

/* The rows of table 3-7: what the first byte demands of the length and of the second byte. */
static size_t shape(unsigned char first, unsigned char *ret_low, unsigned char *ret_high)
{
	*ret_low = 0x80;
	*ret_high = 0xbf;
	if (first < 0x80)
		return 1;
	if (is_between(first, 0xc2, 0xdf))
		return 2;
	if (is_between(first, 0xe0, 0xef)) {
		if (first == 0xe0)
			*ret_low = 0xa0;
		if (first == 0xed)
			*ret_high = 0x9f; /* no surrogates */
		return 3;
	}
	if (is_between(first, 0xf0, 0xf4)) {
		if (first == 0xf0)
			*ret_low = 0x90;
		if (first == 0xf4)
			*ret_high = 0x8f;
		return 4;
	}
	return 0;
}

/*
 * How many bytes of s fit a character of *ret_need bytes; *ret_need is 0 for an impossible first
 * byte.
 */
static size_t match(struct str s, size_t *ret_need)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	unsigned char low, high;
	*ret_need = s.len ? shape(p[0], &low, &high) : 0;
	if (*ret_need == 0)
		return 0;
	size_t n = 1;
	while (n < *ret_need && n < s.len &&
		is_between(p[n], n == 1 ? low : 0x80, n == 1 ? high : 0xbf))
		n++;
	return n;
}

size_t utf8_len(struct str s)
{
	size_t need;
	size_t n = match(s, &need);
	return need && n == need ? n : 0;
}

/* Length of the character at p if it is one of the common ones; 0: it must be looked at closely. */
static size_t common_len(const unsigned char *p, size_t len)
{
	if (len >= 2 && p[0] >= 0xc2 && p[0] < 0xe0 && p[1] >> 6 == 2)
		return 2;
	if (len >= 3 && p[0] > 0xe0 && p[0] < 0xf0 && p[0] != 0xed && p[1] >> 6 == 2 &&
		p[2] >> 6 == 2)
		return 3;
	return 0;
}

size_t utf8_run(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t at = 0, n = 1;
	while (n && at < s.len && p[at] >= 0x80) {
		n = common_len(p + at, s.len - at);
		if (n == 0)
			n = utf8_len(str_skip(s, at));
		at += n;
	}
	return at;
}

uint32_t utf8_char(struct str s, size_t *ret_len)
{
	static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	size_t len = utf8_len(s);
	uint32_t c = len ? (unsigned char)s.ptr[0] & masks[len] : 0xfffd;
	for (size_t i = 1; i < len; i++)
		c = c << 6 | ((unsigned char)s.ptr[i] & 0x3f);
	*ret_len = len ? len : 1;
	return c;
}

bool utf8_is_valid(struct str s)
{
	while (s.len) {
		size_t n = utf8_len(s);
		if (!n)
			return false;
		s = str_skip(s, n);
	}
	return true;
}

size_t utf8_incomplete_tail(struct str s)
{
	for (size_t back = 1; back <= 3 && back <= s.len; back++) {
		size_t need;
		struct str tail = str_skip(s, s.len - back);
		size_t n = match(tail, &need);
		if (need > back && n == back)
			return back;
	}
	return 0;
}

static int put_mended(struct buf *b, struct str s, bool escapes)
{
	while (s.len) {
		size_t good = 0, n;
		while ((n = utf8_len(str_skip(s, good))))
			good += n;
		buf_put(b, str_first(s, good));
		s = str_skip(s, good);
		if (s.len) {
			if (escapes)
				buf_printf(b, "\\x%02x", (unsigned char)s.ptr[0]);
			else
				buf_puts(b, "\xef\xbf\xbd");
			s = str_skip(s, 1);
		}
	}
	return b->is_full ? -1 : 0;
}

int utf8_put_valid(struct buf *b, struct str s)
{
	return put_mended(b, s, false);
}

int utf8_put_escaped(struct buf *b, struct str s)
{
	return put_mended(b, s, true);
}

size_t utf8_write(uint32_t c, char out[static 4])
{
	static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };
	size_t n = 0;
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd;
	int n_more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	out[n++] = (char)(lead[n_more] | c >> (6 * n_more));
	while (n_more-- > 0)
		out[n++] = (char)(0x80 | (c >> (6 * n_more) & 0x3f));
	return n;
}

int utf8_put(struct buf *b, uint32_t c)
{
	char bytes[4];
	return buf_add(b, bytes, utf8_write(c, bytes));
}

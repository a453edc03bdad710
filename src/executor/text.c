/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/text.h"

#include "base/auto.h"
#include "wire/utf8.h"

static const char *const names[] = { "utf-8", "utf-16le", "utf-16be", "latin-1" };

const char *text_encoding_name(enum text_encoding e)
{
	return names[e];
}

static bool is_utf16(struct str s, enum text_encoding *ret)
{
	if (s.len < 2 || s.len % 2)
		return false;
	*ret = str_starts(s, STR("\xff\xfe")) ? TEXT_UTF16LE : TEXT_UTF16BE;
	return *ret == TEXT_UTF16LE || str_starts(s, STR("\xfe\xff"));
}

enum text_encoding text_detect(struct str bytes)
{
	enum text_encoding e;
	if (is_utf16(bytes, &e))
		return e;
	return utf8_is_valid(bytes) ? TEXT_UTF8 : TEXT_LATIN1;
}

/*
 * https://github.com/binaryornot/binaryornot: helpers.py; its charset detection is UTF-8 and UTF-16
 * here.
 */
bool text_is_binary(struct str head)
{
	head = str_first(head, TEXT_SNIFF_BYTES);
	size_t low = 0, high = 0;
	bool is_odd = false;
	for (size_t i = 0; i < head.len; i++) {
		unsigned char c = (unsigned char)head.ptr[i];
		bool is_printable = (c >= 0x20 && c <= 0x7e) || c == '\n' || c == '\r' ||
			c == '\t' || c == '\f' || c == '\b';
		low += !is_printable;
		high += c < 0x7f || c == 0xff;
		is_odd |= c == 0 || c == 0xff;
	}
	if (head.len == 0)
		return false;
	enum text_encoding e;
	if (is_utf16(head, &e))
		return false;
	double low_part = (double)low / (double)head.len,
	       high_part = (double)high / (double)head.len;
	bool is_likely = (low_part > 0.3 && high_part < 0.05) ||
		(low_part > 0.8 && high_part > 0.8);
	head.len -= utf8_incomplete_tail(head);
	bool is_decodable = utf8_is_valid(head) && low > 0 && !is_odd;
	return !is_decodable && (is_likely || is_odd);
}

static unsigned unit(struct str s, size_t i, enum text_encoding e)
{
	unsigned a = (unsigned char)s.ptr[i], b = (unsigned char)s.ptr[i + 1];
	return e == TEXT_UTF16LE ? a | b << 8 : b | a << 8;
}

static int decode_utf16(struct buf *out, struct str s, enum text_encoding e)
{
	for (size_t i = 0; i + 1 < s.len; i += 2) {
		unsigned c = unit(s, i, e);
		if (c >= 0xd800 && c < 0xe000) {
			unsigned low = i + 3 < s.len ? unit(s, i + 2, e) : 0;
			if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
				return -1;
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		}
		if (utf8_put(out, c) < 0)
			return -1;
	}
	return 0;
}

int text_decode(struct buf *out, struct str bytes, enum text_encoding e)
{
	if (e == TEXT_UTF8)
		return buf_put(out, bytes);
	if (e != TEXT_LATIN1)
		return decode_utf16(out, bytes, e);
	for (size_t i = 0; i < bytes.len; i++)
		if (utf8_put(out, (unsigned char)bytes.ptr[i]) < 0)
			return -1;
	return 0;
}

static int put_unit(struct buf *out, unsigned c, enum text_encoding e)
{
	char b[2] = { (char)(c >> 8), (char)c };
	if (e == TEXT_UTF16LE)
		b[0] = (char)c, b[1] = (char)(c >> 8);
	return buf_add(out, b, 2);
}

static int encode_char(struct buf *out, uint32_t c, enum text_encoding e)
{
	if (e == TEXT_LATIN1)
		return c > 0xff ? -1 : buf_putc(out, (char)c);
	if (c < 0x10000)
		return put_unit(out, c, e);
	put_unit(out, 0xd800 + ((c - 0x10000) >> 10), e);
	return put_unit(out, 0xdc00 + ((c - 0x10000) & 0x3ff), e);
}

int text_encode(struct buf *out, struct str utf8, enum text_encoding e, struct error *err)
{
	if (e == TEXT_UTF8)
		buf_put(out, utf8);
	while (e != TEXT_UTF8 && utf8.len && !out->is_full) {
		size_t n;
		uint32_t c = utf8_char(utf8, &n);
		if (!utf8_len(utf8) || (encode_char(out, c, e) < 0 && !out->is_full))
			return error_set(err, ERROR_INVALID,
				"the new text holds a character that the file's encoding, %s, has not",
				text_encoding_name(e));
		utf8 = str_skip(utf8, n);
	}
	if (out->is_full)
		return error_set(err, ERROR_TOO_LARGE, "the new text is over %zu bytes",
			out->limit);
	return 0;
}

int text_put_lf(struct buf *out, struct str s)
{
	while (s.len) {
		ptrdiff_t at = str_find_char(s, '\r');
		buf_put(out, str_first(s, at < 0 ? s.len : (size_t)at));
		if (at < 0)
			break;
		buf_putc(out, '\n');
		s = str_skip(s, (size_t)at + 1);
		if (s.len && s.ptr[0] == '\n')
			s = str_skip(s, 1);
	}
	return out->is_full ? -1 : 0;
}

int text_put_crlf(struct buf *out, struct str s)
{
	while (s.len) {
		ptrdiff_t at = str_find_char(s, '\n');
		buf_put(out, str_first(s, at < 0 ? s.len : (size_t)at));
		if (at < 0)
			break;
		buf_puts(out, "\r\n");
		s = str_skip(s, (size_t)at + 1);
	}
	return out->is_full ? -1 : 0;
}

bool text_is_crlf(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		bool is_pair = s.ptr[i] == '\r' && i + 1 < s.len && s.ptr[i + 1] == '\n';
		if (s.ptr[i] == '\n' || (s.ptr[i] == '\r' && !is_pair))
			return false;
		i += is_pair;
		n += is_pair;
	}
	return n > 0;
}

int64_t text_count_lines(struct str s)
{
	int64_t n = 0;
	while (s.len) {
		ptrdiff_t at = str_find_char(s, '\n');
		n++;
		s = at < 0 ? STR_NONE : str_skip(s, (size_t)at + 1);
	}
	return n;
}

struct str text_lines(struct str s, int64_t first, int64_t last)
{
	for (int64_t line = 1; line < first && s.len; line++) {
		ptrdiff_t at = str_find_char(s, '\n');
		s = str_skip(s, at < 0 ? s.len : (size_t)at + 1);
	}
	size_t len = 0;
	for (int64_t line = first; line <= last && len < s.len; line++) {
		ptrdiff_t at = str_find_char(str_skip(s, len), '\n');
		len = at < 0 ? s.len : len + (size_t)at + 1;
	}
	return str_first(s, len);
}

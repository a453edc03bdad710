/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/url.h"

enum { NAME_MAX_BYTES = 256 };

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that "%XX" at the front of s stands for, or -1. */
static int escaped_byte(struct str s)
{
	if (s.len < 3)
		return -1;
	int high = hex_value(s.ptr[1]), low = hex_value(s.ptr[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int url_decode(struct str s, enum url_part part, struct buf *out, struct error *err)
{
	while (s.len) {
		int c = (unsigned char)s.ptr[0];
		size_t used = 1;
		if (c == '%') {
			c = escaped_byte(s);
			used = 3;
		} else if (c == '+' && part == URL_QUERY) {
			c = ' ';
		}
		if (c < 0)
			return error_set(err, ERROR_INVALID, "URL: '%%' without two hex digits");
		if (c == 0)
			return error_set(err, ERROR_INVALID, "URL: a NUL byte");
		buf_putc(out, (char)c);
		s = str_skip(s, used);
	}
	if (out->is_full)
		return error_set(err, ERROR_TOO_LARGE, "URL: a part over %zu bytes", out->limit);
	return 0;
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_' || c == '~';
}

int url_encode(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		if (is_unreserved(s.ptr[i]))
			buf_putc(out, s.ptr[i]);
		else
			buf_printf(out, "%%%02X", (unsigned char)s.ptr[i]);
	}
	return out->is_full ? -1 : 0;
}

bool url_query_next(struct str *rest, struct str *ret_name, struct str *ret_value)
{
	struct str piece;
	while (str_split(rest, '&', &piece)) {
		if (piece.len == 0)
			continue;
		ptrdiff_t at = str_find_char(piece, '=');
		*ret_name = at < 0 ? piece : str_first(piece, (size_t)at);
		*ret_value = at < 0 ? str_skip(piece, piece.len) : str_skip(piece, (size_t)at + 1);
		return true;
	}
	return false;
}

int url_query_find(struct str query, const char *name, struct buf *out, struct error *err)
{
	auto_buf struct buf decoded = BUF_INIT(NAME_MAX_BYTES);
	struct str n, v;
	while (url_query_next(&query, &n, &v)) {
		buf_reset(&decoded);
		if (url_decode(n, URL_QUERY, &decoded, NULL) < 0 ||
			!str_is(buf_str(&decoded), name))
			continue;
		return url_decode(v, URL_QUERY, out, err) < 0 ? -1 : 1;
	}
	return 0;
}

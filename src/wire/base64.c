/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct str bytes, struct buf *out)
{
	if (bytes.len > out->limit / 4 * 3 || !buf_room(out, (bytes.len + 2) / 3 * 4)) {
		out->is_full = true;
		return -1;
	}
	char *to = out->ptr + out->len;
	const unsigned char *b = (const unsigned char *)bytes.ptr;
	size_t i = 0, n = 0;
	for (; i + 2 < bytes.len; i += 3) {
		uint32_t v = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];
		to[n++] = alphabet[v >> 18];
		to[n++] = alphabet[v >> 12 & 63];
		to[n++] = alphabet[v >> 6 & 63];
		to[n++] = alphabet[v & 63];
	}
	size_t left = bytes.len - i;
	if (left) {
		uint32_t v = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0);
		to[n++] = alphabet[v >> 18];
		to[n++] = alphabet[v >> 12 & 63];
		to[n++] = left > 1 ? alphabet[v >> 6 & 63] : '=';
		to[n++] = '=';
	}
	buf_grown(out, n);
	return 0;
}

/* 0 to 63, or -1. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/*
 * The 24 bits of four characters, of which the last `n_pads` are '='; -1 if they are not
 * well-formed.
 */
static int32_t quad(const char *c, int n_pads)
{
	int32_t v = 0;
	for (int i = 0; i < 4; i++) {
		int d = i < 4 - n_pads ? value_of(c[i]) : 0;
		if (d < 0)
			return -1;
		v = v << 6 | d;
	}
	int32_t unused = (1 << 8 * n_pads) - 1;
	return v & unused ? -1 : v;
}

int base64_decode(struct str text, struct buf *out, struct error *err)
{
	if (text.len % 4)
		return error_set(err, ERROR_INVALID, "base64: %zu characters, not a multiple of 4",
			text.len);
	char *to = buf_room(out, text.len / 4 * 3);
	if (!to)
		return error_set(err, ERROR_TOO_LARGE, "base64: over %zu bytes", out->limit);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i += 4) {
		const char *c = text.ptr + i;
		bool is_last = i + 4 == text.len;
		int n_pads = is_last ? (c[3] == '=') + (c[3] == '=' && c[2] == '=') : 0;
		int32_t v = quad(c, n_pads);
		if (v < 0)
			return error_set(err, ERROR_INVALID,
				"base64: not well-formed at character %zu", i);
		for (int k = 0; k < 3 - n_pads; k++)
			to[n++] = (char)(v >> (16 - 8 * k));
	}
	buf_grown(out, n);
	return 0;
}

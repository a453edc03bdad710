/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tarcut.h"

#include "base/auto.h"

#include <stdio.h>

enum {
	NAME_LEN = 100,
	SIZE_AT = 124,
	SIZE_LEN = 12,
	SUM_AT = 148,
	SUM_LEN = 8,
	TYPE_AT = 156,
	MAGIC_AT = 257,
	BASE256 = 0x80,
};

const char tarcut_zeros[2 * TARCUT_BLOCK];

/* Octal digits with blanks around them or, for large ones, a big-endian number behind a set bit. */
static int read_size(const char *header, uint64_t *ret, struct error *err)
{
	unsigned char field[SIZE_LEN];
	uint64_t size = 0;
	memcpy(field, header + SIZE_AT, sizeof(field));
	bool is_binary = field[0] & BASE256, has_begun = false, is_past = false;
	for (int i = is_binary; i < SIZE_LEN; i++) {
		unsigned char c = field[i];
		if (size >> 55)
			return error_set(err, ERROR_INVALID, "tar: a member is too large");
		if (is_binary) {
			size = size << 8 | c;
		} else if (c >= '0' && c <= '7' && !is_past) {
			size = size << 3 | (uint64_t)(c - '0');
			has_begun = true;
		} else if (c == '\0' || c == ' ') {
			is_past = has_begun;
		} else {
			return error_set(err, ERROR_INVALID, "tar: the size of a member is none");
		}
	}
	*ret = size;
	return 0;
}

static int take_header(struct tarcut *cut, struct buf *out, struct error *err)
{
	uint64_t size;
	cut->n = 0;
	if (!memcmp(cut->header, tarcut_zeros, TARCUT_BLOCK)) {
		cut->has_ended = true;
		return 0;
	}
	if (read_size(cut->header, &size, err) < 0)
		return -1;
	cut->left = (size + TARCUT_BLOCK - 1) / TARCUT_BLOCK * TARCUT_BLOCK;
	buf_add(out, cut->header, TARCUT_BLOCK);
	return 0;
}

int tarcut_feed(struct tarcut *cut, struct str bytes, struct buf *out, struct error *err)
{
	while (bytes.len && !cut->has_ended) {
		size_t n = cut->left ? MIN(bytes.len, cut->left)
				     : MIN(bytes.len, TARCUT_BLOCK - cut->n);
		if (cut->left) {
			buf_add(out, bytes.ptr, n);
			cut->left -= n;
		} else {
			memcpy(cut->header + cut->n, bytes.ptr, n);
			cut->n += n;
			if (cut->n == TARCUT_BLOCK && take_header(cut, out, err) < 0)
				return -1;
		}
		bytes = str_skip(bytes, n);
	}
	return 0;
}

int tarcut_end(const struct tarcut *cut, struct error *err)
{
	if (!cut->has_ended && (cut->left || cut->n))
		return error_set(err, ERROR_INVALID, "tar: the archive is cut off");
	return 0;
}

void tarcut_put_file(struct buf *out, const char *name, struct str content)
{
	char h[TARCUT_BLOCK] = { 0 };
	unsigned sum = 0;
	snprintf(h, NAME_LEN, "%s", name);
	memcpy(h + NAME_LEN, "0000644\0000000000\0000000000", 24); /* mode, owner, group */
	snprintf(h + SIZE_AT, SIZE_LEN, "%011zo", content.len);
	memcpy(h + SIZE_AT + SIZE_LEN, "00000000000", 12); /* the time */
	memset(h + SUM_AT, ' ', SUM_LEN);
	h[TYPE_AT] = '0';
	memcpy(h + MAGIC_AT, "ustar\00000", 8);
	for (int i = 0; i < TARCUT_BLOCK; i++)
		sum += (unsigned char)h[i];
	snprintf(h + SUM_AT, SUM_LEN - 1, "%06o", sum);
	buf_add(out, h, TARCUT_BLOCK);
	buf_put(out, content);
	buf_add(out, tarcut_zeros, (TARCUT_BLOCK - content.len % TARCUT_BLOCK) % TARCUT_BLOCK);
}

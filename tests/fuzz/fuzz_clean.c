/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever comes in, in whatever pieces: no control character gets out, and the pieces make no
 * difference.
 */
#include "cli/clean.h"

#include "base/bug.h"

#include <stdint.h>

static void put_pieces(struct buf *b, struct str s, bool has_colour, size_t step)
{
	auto_buf struct buf held = BUF_INIT(1 << 20);
	do {
		struct str piece = str_first(s, step);
		s = str_skip(s, piece.len);
		buf_put(&held, piece);
		size_t taken = clean_put(b, buf_str(&held), has_colour, s.len == 0);
		buf_drop_front(&held, taken);
		BUG_IF(held.len > CLEAN_HOLD_MAX, "more is held than promised");
	} while (s.len);
	BUG_IF(held.len, "something is held at the end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 100000)
		return 0;
	struct str s = str_from_len((const char *)data + 2, size - 2);
	auto_buf struct buf whole = BUF_INIT(1 << 20), pieces = BUF_INIT(1 << 20);
	put_pieces(&whole, s, data[0] & 1, size);
	put_pieces(&pieces, s, data[0] & 1, (size_t)data[1] + 1);
	BUG_IF(!str_eq(buf_str(&whole), buf_str(&pieces)), "the pieces made a difference");
	for (size_t i = 0; i < whole.len; i++) {
		unsigned char c = (unsigned char)whole.ptr[i];
		bool is_allowed = c == '\n' || c == '\t' ||
			(c == '\r' && whole.ptr[i + 1] == '\n') ||
			(c == 0x1b && data[0] & 1 && whole.ptr[i + 1] == '[');
		BUG_IF((c < 0x20 && !is_allowed) || c == 0x7f, "a control character got out");
	}
	return 0;
}

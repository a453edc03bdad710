/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes for a terminal: whatever they are, a screen stays within its memory and its bounds. The
 * first two bytes say how the rest is cut, and how wide the terminal is.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "executor/screen.h"

#include <stdint.h>

enum { LIMIT = 4096, PICTURE_MAX = 64 * 24 * 6 * 4, NOTICE_MAX = 120 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t step = 1 + data[0];
	struct screen *s = screen_new(2 + data[1] % 60, 2 + data[1] / 16, LIMIT);
	struct str in = str_from_len((const char *)data + 2, size - 2);
	for (int i = 0; in.len; i++) {
		auto_buf struct buf out = BUF_INIT(SIZE_MAX / 2);
		struct str piece = str_first(in, step);
		screen_feed(s, piece);
		in = str_skip(in, piece.len);
		if (i % 5 == 4)
			screen_take(s, &out, i % 10 == 9 ? SCREEN_LAST : SCREEN_MORE);
		if (i % 7 == 6)
			screen_resize(s, 2 + i % 60, 2 + i % 20);
		BUG_IF(out.len > LIMIT + PICTURE_MAX + NOTICE_MAX,
			"a screen gave more than it may keep");
	}
	auto_buf struct buf out = BUF_INIT(SIZE_MAX / 2);
	screen_take(s, &out, SCREEN_LAST);
	screen_free(s);
	return 0;
}

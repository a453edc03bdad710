/* SPDX-License-Identifier: Apache-2.0 */
/* Items are parts of the text in its order; commands joined by newlines come apart as they were. */
#include "base/buf.h"
#include "base/bug.h"
#include "face/openhands/split.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_order(struct str text, const struct split *split)
{
	const char *at = text.ptr;
	for (size_t i = 0; i < split->n; i++) {
		struct str item = split->items[i];
		BUG_IF(item.len == 0 && split->n > 1, "an item is empty");
		BUG_IF(item.ptr < at || item.ptr + item.len > text.ptr + text.len,
			"an item is no part of the text, or out of order");
		at = item.ptr + item.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct split split, again;
	struct str text = str_from_len((const char *)data, size);
	split_commands(text, &split);
	BUG_IF(split.n == 0 || split.n > SPLIT_MAX, "a text of no commands, or of too many");
	check_order(text, &split);
	if (split.n == 1)
		return 0;
	auto_buf struct buf joined = BUF_INIT(2 * size + 2);
	for (size_t i = 0; i < split.n; i++) {
		/* Trimmed of a joined line with nothing on it: it would join the next item. */
		if (str_ends(split.items[i], STR("\\")))
			return 0;
		buf_put(&joined, split.items[i]);
		buf_putc(&joined, '\n');
	}
	split_commands(buf_str(&joined), &again);
	BUG_IF(again.n != split.n, "joined commands do not come apart as they were");
	for (size_t i = 0; i < split.n; i++)
		BUG_IF(!str_eq(split.items[i], again.items[i]), "an item changed");
	return 0;
}

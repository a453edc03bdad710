/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern up to the first newline, and a text to look through: at once and in pieces. */
#include "wire/pattern.h"

#include "base/bug.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = { (const char *)data, size }, text;
	struct pattern *p = NULL;
	struct error err;
	size_t start = 0, end = 0, piece_end = 0, at = 0;
	if (!str_split(&all, '\n', &text) || pattern_new(text, &p, &err) < 0)
		return 0;
	bool is_found = pattern_find(p, all, &start, &end);
	BUG_IF(is_found && (start > end || end > all.len), "a match outside of the text");
	bool is_found_piecewise = false;
	while (!is_found_piecewise && at < all.len) {
		struct str piece = str_first(str_skip(all, at), 1 + at % 3);
		is_found_piecewise = pattern_feed(p, piece, &piece_end);
		at += is_found_piecewise ? piece_end : piece.len;
	}
	/* With an end in it a pattern may be found sooner in pieces, and no later. */
	BUG_IF(is_found && all.len && (!is_found_piecewise || at > end), "a match that was missed");
	pattern_free(p);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff: what changed between two texts, as a unified diff.
 *
 *	DIFF_PATCH  what patch(1) applies: lines end where the text's lines end, a missing final newline is
 *	            said. The shortest edit script (Myers).
 *	DIFF_BARE   byte for byte what Python's difflib makes of text.split("\n"), each line without
 *	            trailing blanks, joined by "\n": what agent frameworks show.
 *
 * Both texts stay the caller's. Work has a ceiling: texts that differ too much are given as one
 * change of everything between their common beginning and end, which is true as well, only longer.
 */
#pragma once

#include "base/buf.h"

enum diff_style { DIFF_PATCH, DIFF_BARE };

/*
 * Appends to `out`; nothing if the texts are equal. `context`: unchanged lines around each change.
 */
void diff_unified(struct buf *out, const char *name, struct str before, struct str after,
	enum diff_style style, int context);

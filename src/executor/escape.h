/* SPDX-License-Identifier: Apache-2.0 */
/*
 * escape: the control characters and escape sequences of a terminal, recognized one at a time
 * (ECMA-48), and what each means for text on a screen. What is malformed is recognized as far as it
 * goes, and means nothing; what is not known to change a screen means nothing as well, so that an
 * emulator gets only sequences from a short list.
 */
#pragma once

#include "base/str.h"

enum escape_meaning {
	ESCAPE_CUT_OFF, /* more bytes are needed to tell */
	ESCAPE_SILENT,  /* shows nothing anywhere: colours, titles, bells, questions, modes */
	ESCAPE_ERASES, /* nothing, where nothing is right of or below the cursor and nothing was chosen before */
	ESCAPE_NEWLINE, /* CR LF, and LF itself */
	ESCAPE_RETURN,  /* CR alone */
	ESCAPE_MOVES,   /* the cursor, or what it will do */
};

/* How many bytes at the front stand for themselves: no controls but tab and newline. */
size_t escape_plain(struct str in);
/*
 * What the control at the front of `in` (not empty, not plain) is, and its length if it is not cut
 * off.
 */
enum escape_meaning escape_parse(struct str in, size_t *ret_len);

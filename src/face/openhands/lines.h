/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines: text as OpenHands' server cuts it. Lines keep their newline; what follows the last newline
 * is a line too, unless it is empty. Numbers are those of Python's slices: from 0, negative ones
 * from the end, and none is out of range. A character is a code point.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum { LINES_END = -1 }; /* as an end: all the rest */

/* Appends the text with CRLF and CR made LF. */
int lines_put_normal(struct buf *b, struct str text);

/* Appends what a terminal holds of the text: tabs are blanks, and no line has blanks at its end. */
int lines_put_shown(struct buf *b, struct str text);

/*
 * What `read` gives for start and end. It never is empty, unless the text or what is asked for is.
 */
struct str lines_slice(struct str text, int64_t start, int64_t end);

/*
 * What `write` leaves: the lines of `old` before start, each line of `content` with a newline
 * added, and the lines of `old` from end on.
 */
int lines_splice(struct buf *b, struct str old, struct str content, int64_t start, int64_t end);

/* The last n lines; what is after the last newline counts as one, also if empty. */
struct str lines_last(struct str text, size_t n);
/* How many lines lines_last(text, SIZE_MAX) is about: newlines plus one. */
size_t lines_count(struct str text);

/*
 * The text, or its first and last half with a notice between them, if it has over `max` characters.
 */
int lines_put_cut(struct buf *b, struct str text, size_t max);

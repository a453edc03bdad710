/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canvas: the lines and cells of a terminal, without a cursor. Whatever place is asked for, what
 * lies outside is passed over: no number that a program in the sandbox sends leads out of the
 * memory of a canvas.
 *
 * A cell holds a character and the marks that join it. A wide character has two cells; where one
 * half is written over, the other becomes blank. It costs 24 bytes a cell.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum { CELL_CHARS = 6, CELL_SECOND_HALF = 0x110000 };

struct cell {
	/* the first is 0 where nothing was written, or CELL_SECOND_HALF */
	uint32_t chars[CELL_CHARS];
};

struct line {
	struct cell *cells;
	int used; /* cells from here on are blank: what is erased over and over costs nothing */
	bool is_wrapped; /* it goes on in the next one */
};

struct canvas {
	int cols, rows; /* at least 1 */
	struct line *lines;
};

void canvas_init(struct canvas *c, int cols, int rows);
void canvas_fini(struct canvas *c);
/* Lines and cells are cut off or added at their ends. */
void canvas_resize(struct canvas *c, int cols, int rows);
void canvas_clear(struct canvas *c);

/* A character of width 1 or 2, which fits the line from there. */
void canvas_put(struct canvas *c, int row, int col, uint32_t ch, int width);
/* A mark joins the character that is there, if there is room. */
void canvas_join(struct canvas *c, int row, int col, uint32_t mark);
/* Cells from..to-1 become blank. */
void canvas_erase(struct canvas *c, int row, int from, int to);
/*
 * The cells from `col` on move right by `by` (left if negative), out of the line; blanks come in.
 */
void canvas_shift(struct canvas *c, int row, int col, int by);
/*
 * The lines top..bottom move up by `by` (down if negative), out of the region; blank lines come in.
 */
void canvas_scroll(struct canvas *c, int top, int bottom, int by);

/*
 * Appends the text of a line, without blanks at its end beyond `least` columns; none of one that
 * goes on are left out.
 */
void canvas_put_line(const struct canvas *c, int row, int least, struct buf *out);
bool canvas_is_blank(const struct canvas *c, int row);
bool canvas_is_wrapped(const struct canvas *c, int row);
void canvas_set_wrapped(struct canvas *c, int row, bool is_wrapped);

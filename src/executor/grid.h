/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grid: a terminal as it is, cell by cell, for programs that move the cursor. Lines that scroll off
 * its top are given to `on_line`. It costs 24 bytes per cell: made when it is needed, freed when it
 * is not.
 */
#pragma once

#include "base/buf.h"

struct grid;

/*
 * A line that left the screen, without blanks at its end; is_wrapped: it goes on in the next one.
 */
typedef void grid_line_fn(void *arg, struct str line, bool is_wrapped);

struct grid *grid_new(int cols, int rows, grid_line_fn *on_line, void *arg);
void grid_free(struct grid *g);
void grid_resize(struct grid *g, int cols, int rows);
/* Whether a line feed also returns to the first column, as a terminal's ONLCR has it. */
void grid_set_newline(struct grid *g, bool is_on);
/* Text with tabs and newlines. What is not UTF-8 is U+FFFD. */
void grid_feed_text(struct grid *g, struct str text);
/* One control or sequence that executor/escape.h has recognized, whole, and which is not silent. */
void grid_feed(struct grid *g, struct str in);
/* Appends what is on the screen: its lines down to the last one with text or the cursor. */
void grid_put(struct grid *g, struct buf *out);
/* Nothing is below the cursor, and the normal screen is shown. */
bool grid_is_at_end(struct grid *g);

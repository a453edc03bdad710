/* SPDX-License-Identifier: Apache-2.0 */
/*
 * screen: what a terminal would show of a stream of bytes, as text.
 *
 * Colours vanish, a carriage return or a cursor movement overwrites what it would overwrite, a
 * program that addresses the whole screen leaves its last picture. Lines are not wrapped; tabs stay
 * tabs where nothing moves the cursor. Text beyond the limit loses its middle (executor/ring.h).
 * The text may hold invalid UTF-8; whoever writes JSON replaces it.
 *
 *	struct screen *s = screen_new(1000, 50, 1 << 20);
 *	screen_feed(s, bytes);
 *	gap = screen_take(s, &out, SCREEN_MORE);   // what is new; the command is still running
 *	screen_feed(s, bytes);
 *	gap = screen_take(s, &out, SCREEN_LAST);   // what is new since; then all is as at the beginning
 */
#pragma once

#include "executor/ring.h"

enum screen_take { SCREEN_MORE, SCREEN_LAST };

struct screen;

struct screen *screen_new(int cols, int rows, size_t limit_bytes);
void screen_free(struct screen *s);
void screen_resize(struct screen *s, int cols, int rows);
/* Applies to what comes after the next screen_take. */
void screen_set_limit(struct screen *s, size_t limit_bytes);
/* Whether the terminal translates line feeds (ONLCR); it does unless told. */
void screen_set_newline(struct screen *s, bool is_on);
void screen_feed(struct screen *s, struct str in);
/* Appends the text that was not given before. */
struct ring_gap screen_take(struct screen *s, struct buf *out, enum screen_take what);

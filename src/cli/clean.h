/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean: what strangers wrote, made harmless for a terminal. A sandbox's output may hold escape
 * sequences that retitle a window, answer in the reader's name, or hide what came before.
 *
 * Control characters become visible (^[, ^G, ^M), bytes that are no UTF-8 and characters that turn
 * the order of what is shown (U+202E and the like) become U+FFFD. Line feeds and
 * tabs stay, as does a carriage return in front of a line feed. With `has_colour` the sequences
 * that only choose colour and weight (SGR: ESC [ … m) stay, too.
 */
#pragma once

#include "base/buf.h"

enum { CLEAN_HOLD_MAX = 40 }; /* longest sequence that may be the start of one to keep */

/*
 * Appends `s`, cleaned. Unless `is_end`, the last bytes may be the start of a character or
 * sequence: they are left, and the result says how many bytes of `s` were taken. At most
 * CLEAN_HOLD_MAX are left.
 */
size_t clean_put(struct buf *b, struct str s, bool has_colour, bool is_end);
/*
 * Appends `s` as a part of one line: line feeds and tabs become spaces, other control characters
 * '?'.
 */
void clean_put_line(struct buf *b, struct str s);

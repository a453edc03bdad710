/* SPDX-License-Identifier: Apache-2.0 */
/* utf8: well-formed UTF-8 as Unicode 15 table 3-7 defines it. */
#pragma once

#include "base/buf.h"

/* Length in bytes of the well-formed character at the front of s (1 to 4), 0 if there is none. */
size_t utf8_len(struct str s);
/* The character at the front of s (not empty) and its length; a byte that begins none is U+FFFD. */
uint32_t utf8_char(struct str s, size_t *ret_len);
bool utf8_is_valid(struct str s);
/* How many bytes at the front of s are well-formed characters beyond ASCII. */
size_t utf8_run(struct str s);
/*
 * How many bytes at the end of s are the start of a character that more bytes may complete (0 to
 * 3).
 */
size_t utf8_incomplete_tail(struct str s);
/* Appends s with every byte that is not well-formed replaced by U+FFFD. */
int utf8_put_valid(struct buf *b, struct str s);
/* The same with such a byte shown as \xNN, as Python's "backslashreplace" does. */
int utf8_put_escaped(struct buf *b, struct str s);
/* Writes a character; a surrogate, and what is beyond U+10FFFF, as U+FFFD. Its length. */
size_t utf8_write(uint32_t c, char out[static 4]);
/* Appends a character; a surrogate, and what is beyond U+10FFFF, as U+FFFD. */
int utf8_put(struct buf *b, uint32_t c);

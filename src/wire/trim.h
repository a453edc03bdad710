/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trim: JSON text in, the same JSON out on one line, with long strings cut. It builds no tree, so
 * that what a sandbox answers can be checked and logged in one pass whatever its size.
 *
 *	{"content":"aaaa…","n":1}   →   {"content":"aaaa… [1,048,540 more bytes]","n":1}
 *
 * The input must be one value as RFC 8259 has it, in valid UTF-8, at most JSON_DEPTH_MAX deep;
 * anything else is ERROR_PROTOCOL. The sizes are those of the text between the quotes, escapes
 * included.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/*
 * Appends to `out`; NULL checks only. Strings beyond string_max bytes are cut. If `out` grows full,
 * that is no error: its is_full says so. ret_kind (may be NULL) gets the first character of the
 * value: '{'.
 */
int trim_json(struct str json, size_t string_max, struct buf *out, char *ret_kind,
	struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text: strings and numbers of JSON as they stand in a text, in steps of words where that is
 * possible: a body of 16 MiB holds up a server for as long as it is looked at.
 */
#pragma once

#include "base/buf.h"

/* What stands for itself in a string: printable ASCII but '"' and '\\'. */
static inline bool json_is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* What the letter behind a '\\' stands for; 0: nothing by itself, as 'u' does. */
char json_short_escape(char letter);
size_t json_plain(struct str s); /* how many of those are at the front of s */

/*
 * s is what follows an opening '"'. Length up to the closing one, which is there, all escapes and
 * characters well-formed; or -1 with *ret_what, and *ret_at the place of it. A pair of surrogates
 * is one character, a single one is none.
 */
ssize_t json_scan_string(struct str s, bool *ret_has_escapes, const char **ret_what,
	size_t *ret_at);
/*
 * What a string that was scanned so says, into `out`, which has room for raw.len bytes; its length.
 */
size_t json_unescape(struct str raw, char *out);

/* Length of the number at the front of s, 0 if there is none. */
size_t json_scan_number(struct str s, bool *ret_is_real);

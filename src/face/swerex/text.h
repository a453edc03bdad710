/* SPDX-License-Identifier: Apache-2.0 */
/* text: bytes as Python's Path.read_text makes a string of them. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/*
 * Appends UTF-8, with "\r\n" and "\r" as newlines. encoding, errors: as Python names them;
 * STR_NONE: "utf-8", "strict". ERROR_UNSUPPORTED: there is no such encoding or handler here;
 * ERROR_INVALID: the bytes are not of that encoding, in Python's words.
 */
int text_decode(struct str bytes, struct str encoding, struct str errors, struct buf *b,
	struct error *err);

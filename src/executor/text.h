/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text: what kind of text a file holds. Editing works on UTF-8 with LF; a file in another encoding
 * is decoded before and encoded after, so its other bytes stay as they were.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum text_encoding {
	TEXT_UTF8 = 0,
	TEXT_UTF16LE, /* both with a byte order mark */
	TEXT_UTF16BE,
	TEXT_LATIN1, /* anything else: every byte is a character, nothing is lost */
};

enum { TEXT_SNIFF_BYTES = 1024 };

/*
 * Judges by the first TEXT_SNIFF_BYTES, as the `binaryornot` package does. Nothing at all is text.
 */
bool text_is_binary(struct str head);
enum text_encoding text_detect(struct str bytes);
const char *text_encoding_name(enum text_encoding e); /* "utf-8" */
/* Appends UTF-8. -1 if `out` is full, or if UTF-16 is malformed. */
int text_decode(struct buf *out, struct str bytes, enum text_encoding e);
/* Appends the encoded text. ERROR_INVALID if a character has no place in the encoding. */
int text_encode(struct buf *out, struct str utf8, enum text_encoding e, struct error *err);
/* Appends with CRLF and CR turned to LF. */
int text_put_lf(struct buf *out, struct str s);
/* Appends with LF turned to CRLF. */
int text_put_crlf(struct buf *out, struct str s);
/* Every line ends in CRLF, and there is one. */
bool text_is_crlf(struct str s);
/* Lines as a reader counts them: a last one without newline counts. */
int64_t text_count_lines(struct str s);
/* The bytes of lines first ... last (from 1, inclusive), cut to what is there. */
struct str text_lines(struct str s, int64_t first, int64_t last);

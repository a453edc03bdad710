/* SPDX-License-Identifier: Apache-2.0 */
#include "face/swerex/text.h"

#include "base/auto.h"
#include "wire/utf8.h"

enum coding { CODING_UTF8, CODING_ASCII, CODING_LATIN1 };
enum handler { HANDLER_STRICT, HANDLER_IGNORE, HANDLER_REPLACE, HANDLER_ESCAPE };

static const struct {
	const char *name; /* in lower case, with '-' for '_' and ' ' */
	enum coding coding;
} codings[] = {
	{ "utf-8", CODING_UTF8 },
	{ "utf8", CODING_UTF8 },
	{ "u8", CODING_UTF8 },
	{ "ascii", CODING_ASCII },
	{ "us-ascii", CODING_ASCII },
	{ "646", CODING_ASCII },
	{ "latin-1", CODING_LATIN1 },
	{ "latin1", CODING_LATIN1 },
	{ "latin", CODING_LATIN1 },
	{ "l1", CODING_LATIN1 },
	{ "iso-8859-1", CODING_LATIN1 },
	{ "iso8859-1", CODING_LATIN1 },
	{ "8859", CODING_LATIN1 },
};

static const char *const handlers[] = {
	[HANDLER_STRICT] = "strict",
	[HANDLER_IGNORE] = "ignore",
	[HANDLER_REPLACE] = "replace",
	[HANDLER_ESCAPE] = "backslashreplace",
};

static int find_coding(struct str name, enum coding *ret, struct error *err)
{
	char plain[32];
	if (name.len >= sizeof(plain))
		name.len = 0;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		plain[i] = c == '_' || c == ' ' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
		if (!str_is(str_from_len(plain, name.len), codings[i].name))
			continue;
		*ret = codings[i].coding;
		return 0;
	}
	return error_set(err, ERROR_UNSUPPORTED,
		"unknown encoding: only utf-8, ascii and latin-1 are offered");
}

static int find_handler(struct str name, enum handler *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++) {
		if (!str_is(name, handlers[i]))
			continue;
		*ret = (enum handler)i;
		return 0;
	}
	return error_set(err, ERROR_UNSUPPORTED,
		"unknown error handler name '%.*s': strict, ignore, replace and backslashreplace are offered",
		STR_ARG(str_first(name, 40)));
}

/* How many bytes at the front are characters of the coding as they stand. */
static size_t good_run(enum coding coding, struct str s)
{
	size_t n = 0, len;
	if (coding == CODING_UTF8) {
		while ((len = utf8_len(str_skip(s, n))))
			n += len;
		return n;
	}
	while (n < s.len && (unsigned char)s.ptr[n] < 0x80)
		n++;
	return n;
}

/*
 * How many bytes at the front (not good) Python replaces together: what could have begun a
 * character.
 */
static size_t bad_run(enum coding coding, struct str s)
{
	size_t n = 1;
	if (coding != CODING_UTF8)
		return 1;
	while (n < 3 && n < s.len && utf8_incomplete_tail(str_first(s, n + 1)) == n + 1)
		n++;
	return n;
}

static int refuse(enum coding coding, struct str all, size_t at, struct error *err)
{
	return error_set(err, ERROR_INVALID,
		"'%s' codec can't decode byte 0x%02x in position %zu: %s",
		coding == CODING_UTF8 ? "utf-8" : "ascii", (unsigned char)all.ptr[at], at,
		coding == CODING_UTF8 ? "invalid start byte, continuation byte or end of data"
				      : "ordinal not in range(128)");
}

static void put_bad(struct buf *b, struct str bad, enum handler handler)
{
	if (handler == HANDLER_REPLACE)
		buf_puts(b, "\xef\xbf\xbd");
	for (size_t i = 0; handler == HANDLER_ESCAPE && i < bad.len; i++)
		buf_printf(b, "\\x%02x", (unsigned char)bad.ptr[i]);
}

/* Newlines of all kinds become "\n"; *after_return: the piece before ended with "\r". */
static void put_text(struct buf *b, struct str s, bool *after_return)
{
	if (*after_return && s.len && s.ptr[0] == '\n')
		s = str_skip(s, 1);
	*after_return = false;
	while (s.len) {
		ptrdiff_t at = str_find_char(s, '\r');
		buf_put(b, at < 0 ? s : str_first(s, (size_t)at));
		if (at < 0)
			return;
		buf_putc(b, '\n');
		s = str_skip(s, (size_t)at + 1);
		if (!s.len)
			*after_return = true;
		else if (s.ptr[0] == '\n')
			s = str_skip(s, 1);
	}
}

int text_decode(struct str bytes, struct str encoding, struct str errors, struct buf *b,
	struct error *err)
{
	enum coding coding = CODING_UTF8;
	enum handler handler = HANDLER_STRICT;
	bool after_return = false;
	if ((encoding.ptr && find_coding(encoding, &coding, err) < 0) ||
		(errors.ptr && find_handler(errors, &handler, err) < 0))
		return -1;
	for (struct str rest = bytes; rest.len;) {
		size_t n = good_run(coding, rest);
		put_text(b, str_first(rest, n), &after_return);
		rest = str_skip(rest, n);
		if (!rest.len)
			break;
		after_return = false;
		n = bad_run(coding, rest);
		if (coding == CODING_LATIN1)
			utf8_put(b, (unsigned char)rest.ptr[0]);
		else if (handler == HANDLER_STRICT)
			return refuse(coding, bytes, bytes.len - rest.len, err);
		else
			put_bad(b, str_first(rest, n), handler);
		rest = str_skip(rest, n);
	}
	return 0;
}

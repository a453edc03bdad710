/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str: a view of bytes that somebody else owns. Not NUL-terminated, may hold NUL, passed by value.
 *
 *	struct str line;
 *	while (str_split(&rest, '\n', &line))
 *		if (str_starts(line, STR("data: ")))
 *			...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
	const char *ptr;
	size_t len;
};

#define STR(literal) ((struct str){ literal, sizeof(literal) - 1 })
#define STR_NONE     ((struct str){ NULL, 0 })
/* printf("%.*s", STR_ARG(s)); */
#define STR_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct str str_from(const char *c)
{
	return (struct str){ c, c ? strlen(c) : 0 };
}

static inline struct str str_from_len(const char *ptr, size_t len)
{
	return (struct str){ ptr, len };
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_is(struct str a, const char *c)
{
	return str_eq(a, str_from(c));
}

bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s);            /* spaces, tabs, CR, LF at both ends */
struct str str_skip(struct str s, size_t n);  /* without the first n bytes (or all) */
struct str str_first(struct str s, size_t n); /* the first n bytes (or all) */
/* Index of the byte or of the needle; -1 if absent. */
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);
bool str_has_nul(struct str s);
/* Cuts *rest at the next `sep`; false once *rest is used up. A final empty piece is given. */
bool str_split(struct str *rest, char sep, struct str *ret_piece);
/* Compares in time that depends on the lengths alone: for tokens. */
bool str_eq_secret(struct str a, struct str b);
char *str_dup(struct str s); /* heap, NUL-terminated */

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/bug.h"

#include <strings.h>

bool str_eq_nocase(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && str_eq(str_first(s, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.len >= suffix.len && str_eq(str_skip(s, s.len - suffix.len), suffix);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.len && is_space(s.ptr[0]))
		s = str_skip(s, 1);
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

struct str str_skip(struct str s, size_t n)
{
	if (n >= s.len)
		return (struct str){ s.ptr ? s.ptr + s.len : NULL, 0 };
	return (struct str){ s.ptr + n, s.len - n };
}

struct str str_first(struct str s, size_t n)
{
	return (struct str){ s.ptr, n < s.len ? n : s.len };
}

ptrdiff_t str_find_char(struct str s, char c)
{
	const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;
	return p ? p - s.ptr : -1;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
	if (needle.len == 0)
		return 0;
	const char *p = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
	return p ? p - s.ptr : -1;
}

bool str_has_nul(struct str s)
{
	return str_find_char(s, '\0') >= 0;
}

bool str_split(struct str *rest, char sep, struct str *ret_piece)
{
	if (!rest->ptr)
		return false;
	ptrdiff_t at = str_find_char(*rest, sep);
	if (at < 0) {
		*ret_piece = *rest;
		*rest = STR_NONE;
	} else {
		*ret_piece = str_first(*rest, (size_t)at);
		*rest = str_skip(*rest, (size_t)at + 1);
	}
	return true;
}

bool str_eq_secret(struct str a, struct str b)
{
	unsigned char diff = a.len != b.len;
	for (size_t i = 0; i < a.len && b.len; i++)
		diff |= (unsigned char)(a.ptr[i] ^ b.ptr[i % b.len]);
	return diff == 0;
}

char *str_dup(struct str s)
{
	return mem_strndup(s.ptr ? s.ptr : "", s.len);
}

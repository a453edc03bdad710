/* SPDX-License-Identifier: Apache-2.0 */
#include "face/opensandbox/wildcard.h"

#include <stdint.h>

/* "[…]" at *at against c; moves *at behind it. One that does not end is a bracket. */
static bool set_has(struct str p, size_t *at, char c)
{
	size_t i = *at + 1;
	bool is_not = i < p.len && (p.ptr[i] == '!' || p.ptr[i] == '^'), found = false;
	size_t first = i += is_not;
	for (; i < p.len && (p.ptr[i] != ']' || i == first); i++) {
		unsigned char low = (unsigned char)p.ptr[i], high = low;
		if (i + 2 < p.len && p.ptr[i + 1] == '-' && p.ptr[i + 2] != ']') {
			high = (unsigned char)p.ptr[i + 2];
			i += 2;
		}
		found = found || ((unsigned char)c >= low && (unsigned char)c <= high);
	}
	if (i >= p.len) {
		*at += 1;
		return c == '[';
	}
	*at = i + 1;
	return found != is_not;
}

/* One character of the pattern against c; moves *at behind it. */
static bool one_has(struct str p, size_t *at, char c)
{
	if (p.ptr[*at] == '[')
		return set_has(p, at, c);
	if (p.ptr[*at] == '\\' && *at + 1 < p.len)
		*at += 1;
	else if (p.ptr[*at] == '?') {
		*at += 1;
		return true;
	}
	return p.ptr[(*at)++] == c;
}

bool wildcard_has(struct str p, struct str name)
{
	size_t at = 0, i = 0, star = SIZE_MAX, retry = 0;
	while (i < name.len) {
		size_t next = at;
		if (at < p.len && p.ptr[at] == '*') {
			star = ++at;
			retry = i;
		} else if (at < p.len && one_has(p, &next, name.ptr[i])) {
			at = next;
			i++;
		} else if (star != SIZE_MAX) { /* the last star takes one more */
			at = star;
			i = ++retry;
		} else {
			return false;
		}
	}
	while (at < p.len && p.ptr[at] == '*')
		at++;
	return at == p.len;
}

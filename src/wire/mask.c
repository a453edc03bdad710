/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/mask.h"

#include "base/auto.h"
#include "base/bug.h"
#include "wire/json.h"

void mask_fini(struct mask *m)
{
	for (int form = 0; form < MASK_FORMS; form++) {
		for (size_t i = 0; i < m->n; i++)
			free(m->values[form][i]);
		free(m->values[form]);
		m->values[form] = NULL;
	}
	m->n = 0;
}

/* As it stands between the quotes of a string. */
static char *escaped(struct str value)
{
	auto_buf struct buf b = BUF_INIT(8 * MASK_VALUE_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_str(&w, value);
	return mem_strndup(b.ptr + 1, b.len - 2);
}

static bool is_known(const struct mask *m, struct str value)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_is(value, m->values[MASK_PLAIN][i]))
			return true;
	return false;
}

void mask_add(struct mask *m, struct str value)
{
	if (value.len < MASK_MIN || value.len > MASK_VALUE_MAX || m->n == MASK_VALUES_MAX ||
		str_has_nul(value) || is_known(m, value))
		return;
	size_t at = 0;
	while (at < m->n && strlen(m->values[MASK_PLAIN][at]) >= value.len)
		at++;
	for (int form = 0; form < MASK_FORMS; form++) {
		m->values[form] = mem_realloc(m->values[form], (m->n + 1) * sizeof(char *));
		memmove(m->values[form] + at + 1, m->values[form] + at,
			(m->n - at) * sizeof(char *));
	}
	m->values[MASK_PLAIN][at] = str_dup(value);
	m->values[MASK_JSON][at] = escaped(value);
	m->n++;
}

/* The first place where any stands, of several there the longest; its length, 0: there is none. */
static size_t find(const struct mask *m, struct str text, enum mask_form form, size_t *ret_at)
{
	size_t best = text.len, len = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct str value = str_from(m->values[form][i]);
		ptrdiff_t at = str_find(str_first(text, MIN(best + value.len, text.len)), value);
		if (at >= 0 && ((size_t)at < best || len == 0)) {
			best = (size_t)at;
			len = value.len;
		}
	}
	*ret_at = best;
	return len;
}

bool mask_finds(const struct mask *m, struct str text, enum mask_form form)
{
	size_t at;
	return m->n && find(m, text, form, &at);
}

void mask_put(const struct mask *m, struct str text, enum mask_form form, struct buf *out)
{
	size_t at, len;
	while (m->n && (len = find(m, text, form, &at)) > 0) {
		buf_put(out, str_first(text, at));
		buf_puts(out, MASK_TEXT);
		text = str_skip(text, at + len);
	}
	buf_put(out, text);
}

size_t mask_tail(const struct mask *m, struct str text)
{
	size_t longest = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct str value = str_from(m->values[MASK_PLAIN][i]);
		size_t n = MIN(value.len - 1, text.len);
		for (; n > longest; n--)
			if (!memcmp(text.ptr + text.len - n, value.ptr, n))
				longest = n;
	}
	return longest;
}

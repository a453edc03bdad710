/* SPDX-License-Identifier: Apache-2.0 */
/* toml_scan: what toml.c and toml_scalar.c share: a place in the text, and values without parts. */
#pragma once

#include "wire/toml.h"

struct toml_scan {
	struct str text;
	size_t at;
	int line, depth, n_nodes;
	struct arena *arena;
	struct error *err;
};

/* The byte at an offset from here; NUL behind the end (a NUL in the text is refused before). */
static inline char toml_peek(const struct toml_scan *s, size_t ahead)
{
	return s->at + ahead < s->text.len ? s->text.ptr[s->at + ahead] : '\0';
}

/* "line 3: …"; always -1. */
int toml_fail(struct toml_scan *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NULL: too many. */
struct toml *toml_node(struct toml_scan *s, enum toml_kind kind);
/*
 * A string in one of its four forms, from its first quote on; a key takes only the two of one line.
 */
int toml_scan_string(struct toml_scan *s, bool is_key, struct str *ret);
/* A number, truth value, date or time. */
int toml_scan_scalar(struct toml_scan *s, struct toml **ret);

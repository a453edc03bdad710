/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toml: TOML 1.0.0 in, a tree out.
 *
 *	auto_arena struct arena arena = ARENA_INIT(TOML_ARENA_MAX);
 *	struct toml *root;
 *	if (toml_parse(text, &arena, &root, err) < 0) …   "line 3: a key is defined twice: 'x'"
 *	const struct toml *port = toml_find(toml_find(root, "server"), "port");
 *
 * Everything lives in the arena, and the tree is read only. Dates and times are checked and kept as
 * text, in the form of RFC 3339: 'T' between date and time, 'Z' for UTC.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

enum {
	TOML_TEXT_MAX = 1024 * 1024,
	TOML_NODES_MAX = 65536,
	TOML_KEYS_MAX = 8192, /* in one table */
	TOML_DEPTH_MAX = 64,
	TOML_ARENA_MAX = 32 * 1024 * 1024,
};

enum toml_kind {
	TOML_STRING = 1,
	TOML_INT,
	TOML_FLOAT,
	TOML_BOOL,
	TOML_DATETIME,       /* with an offset */
	TOML_LOCAL_DATETIME, /* without one */
	TOML_DATE,
	TOML_TIME,
	TOML_ARRAY,
	TOML_TABLE,
};

struct toml {
	enum toml_kind kind;
	struct str key;            /* in its table */
	struct str text;           /* TOML_STRING (may hold NUL), dates and times; NUL-terminated */
	int64_t number;            /* TOML_INT, TOML_BOOL */
	double real;               /* TOML_FLOAT */
	struct toml *first, *last; /* of an array or table, in order */
	struct toml *next;
	int n;    /* how many */
	int line; /* where it was defined */
	int how;  /* private: how a table came to be */
};

int toml_parse(struct str text, struct arena *arena, struct toml **ret, struct error *err);
/* NULL: absent, or no table. */
struct toml *toml_find(const struct toml *table, struct str key);
const char *toml_kind_name(enum toml_kind kind); /* "string" */

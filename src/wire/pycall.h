/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pycall: a program of calls as agents write them for a browser, in Python's syntax:
 *
 *	# log in
 *	fill("12", "me@example.org")
 *	click('15', button="left", modifiers=["Shift"])
 *
 * Arguments are literals: strings (also raw and triple-quoted), numbers, True, False, None, lists,
 * tuples, dicts; by position, then by name. Comments are ignored, and so is any text that is no
 * call: what a model says around its calls. Nothing is evaluated.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

struct json;

enum {
	PYCALL_TEXT_MAX = 256 * 1024,
	PYCALL_CALLS_MAX = 256,
	PYCALL_ITEMS_MAX = 4096, /* arguments of a call, or entries of one list */
	PYCALL_DEPTH_MAX = 16,
};

enum py_kind { PY_NONE, PY_BOOL, PY_INT, PY_REAL, PY_STR, PY_LIST, PY_TUPLE, PY_DICT };

struct py_value {
	enum py_kind kind;
	bool boolean;
	int64_t integer;
	double real;            /* PY_INT too */
	struct str text;        /* UTF-8; may hold NUL */
	struct py_value *items; /* of a dict: key, value, key, value, … */
	size_t n;
};

struct py_argument {
	struct str name; /* STR_NONE: by position */
	struct py_value value;
};

struct py_call {
	struct str name;
	struct str source; /* the whole call as it was written */
	struct py_argument *arguments;
	size_t n;
};

/* Everything is in the arena or points into the text. ERROR_TOO_LARGE beyond the ceilings. */
int pycall_parse(struct str text, struct arena *arena, struct py_call **ret_calls, size_t *ret_n,
	struct error *err);

/* Appends the text as Python's repr() shows a string: 'it' or "it's". */
int pycall_put_repr(struct buf *b, struct str text);
/* The same for any value: True, None, [1, 'a']; an object stays JSON. */
int pycall_put_json(struct buf *b, const struct json *value);

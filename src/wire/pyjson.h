/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pyjson: JSON as Python's json module reads it, looked at without a tree: NaN and Infinity,
 * numbers of any size, doubled keys of which the last counts. For bodies that go on to a Python
 * program as they are, and whose faults are answered in the words and with the positions of
 * json.JSONDecodeError.
 *
 *	struct str values[2];
 *	static const char *const names[] = { "args", "kwargs" };
 *	if (pyjson_members(body, names, values, 2, &fault) < 0)
 *		… fault.what at character fault.at
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "wire/json.h"

enum { PYJSON_DEPTH_MAX = 512 };

struct pyjson_fault {
	size_t at; /* in characters, not bytes */
	const char *what;
};

/* One value, with blanks around it. -1: *ret_fault says why not. The text is UTF-8. */
int pyjson_check(struct str text, struct pyjson_fault *ret_fault);
/* Of a text that pyjson_check accepts. */
enum json_kind pyjson_kind(struct str text);
/* As Python's bool() of the value: false for null, false, 0, "", [] and {}. */
bool pyjson_is_true(struct str text);
/*
 * The text of each named member of an object, STR_NONE where there is none; of several the last. 0,
 * or -1 with *ret_fault. What is no object has no members.
 */
int pyjson_members(struct str text, const char *const *names, struct str *ret_values, int n,
	struct pyjson_fault *ret_fault);
/* Appends the text without the blanks between its parts. */
void pyjson_put_compact(struct buf *b, struct str text);

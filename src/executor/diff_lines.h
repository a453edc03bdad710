/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff_lines: two texts as numbered lines, and which of them are marked as changed. Shared by
 * diff.c and the two ways of finding changes. Equal lines, on either side, have equal ids.
 */
#pragma once

#include "base/str.h"

struct diff_side {
	struct str *lines; /* views of the text, without their newlines */
	int *ids;          /* from 0 to diff_lines::n_ids - 1 */
	bool *is_changed;
	int n;
};

struct diff_lines {
	struct diff_side a, b;
	int n_ids;
};

/* Marks a shortest edit script between the parts that differ. */
void diff_myers(struct diff_lines *l);
/*
 * Marks what Python's difflib.SequenceMatcher finds; false, with nothing marked, if that is too
 * much work.
 */
bool diff_matcher(struct diff_lines *d);

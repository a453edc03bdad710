/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split: how many commands does a text hold, as OpenHands counts them?
 *
 * A command is what an interactive bash reads up to a newline that ends it: lists joined by ; && ||
 * | and &, compound commands, functions, here-documents and quoted newlines are one each. Comments
 * and blank lines belong to the command before them; a comment before the first command counts by
 * itself.
 *
 * A text that is not understood is one command, whatever it holds: wrong syntax, quotes or
 * here-documents without an end, and what OpenHands' own parser does not know (case, select, time,
 * coproc, [[ ]], $(( )), arrays, for ((;;)), here-documents with a quoted delimiter). Agents rely
 * on sending such scripts whole.
 *
 * The text is only looked at: never expanded, never changed.
 */
#pragma once

#include "base/str.h"

enum { SPLIT_MAX = 256 };

struct split {
	size_t n;                    /* 1 at least */
	struct str items[SPLIT_MAX]; /* parts of the text, without blanks at their ends */
};

/* Beyond SPLIT_MAX commands the last item is all the rest. */
void split_commands(struct str text, struct split *ret);

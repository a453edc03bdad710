/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glob: patterns of paths.
 *
 *	*  ?  [a-z]  [!a-z]   within one component; ? and [] take one character of UTF-8
 *	**                    as a whole component: any number of them, also none
 *	{a,b{c,d}}            alternatives
 *	\x                    x itself
 *
 * A leading dot is only matched by a dot, unless hidden is set. Matching takes time in proportion
 * to the pattern times the path, whatever the pattern.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { GLOB_ALTERNATIVES_MAX = 64, GLOB_COMPONENTS_MAX = 62 };

struct glob_alternative {
	struct str components[GLOB_COMPONENTS_MAX + 1];
	int n;
};

struct glob {
	struct glob_alternative *alternatives;
	int n;
	bool hidden;
};

/* The pattern is copied into the arena. ERROR_INVALID for too many alternatives or components. */
int glob_compile(struct glob *ret, struct str pattern, bool hidden, struct arena *arena,
	struct error *err);
/* As glob_compile, but a pattern without a slash matches names in any directory. */
int glob_compile_name(struct glob *ret, struct str pattern, struct arena *arena, struct error *err);
bool glob_match(const struct glob *g, struct str path);
/* Whether something below this directory can match. */
bool glob_may_match_below(const struct glob *g, struct str dir);
/*
 * The leading components without wildcards, joined by slashes: where a search can start. They are
 * taken out of the pattern. Appends to `dir`, with a slash after each.
 */
void glob_take_prefix(struct glob *g, struct buf *dir);

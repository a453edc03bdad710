/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern_tree: the text of a pattern (wire/pattern.h) taken apart: what it says, not yet how it is
 * looked for. Private to wire.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

enum { NO_NODE = -1, WITHOUT_END = -1 };

struct byte_set {
	uint64_t bits[4];
};

enum node_kind { NODE_EMPTY, NODE_SET, NODE_CAT, NODE_ALT, NODE_REPEAT, NODE_BEGIN, NODE_END };

struct node {
	enum node_kind kind;
	int a, b;     /* nodes; of NODE_SET: a is its set */
	int min, max; /* NODE_REPEAT; max WITHOUT_END: any number */
};

struct pattern_tree {
	struct node *nodes;
	struct byte_set *sets;
	int n_nodes, n_sets;
	int root;
};

/* text: at most PATTERN_TEXT_MAX bytes. */
int pattern_tree_new(struct str text, struct pattern_tree *ret, struct error *err);
void pattern_tree_fini(struct pattern_tree *t);
/* Puts the beginning of the pattern before what is wrong with it. */
int pattern_refuse(struct str text, enum error_code code, const char *what, struct error *err);
static inline bool byte_set_has(const struct byte_set *s, unsigned char c)
{
	return s->bits[c / 64] >> (c % 64) & 1;
}

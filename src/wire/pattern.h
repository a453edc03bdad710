/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern: a regular expression looked for in a stream, as clients that drive interactive programs
 * write them (Python's re with DOTALL, over bytes): literals, ., [...], \d \s \w \D \S \W \n \t \r
 * \f \v \xHH, ( ) (?: ) | * + ? {m,n} and their lazy forms, ^ at the beginning of what is looked
 * through, $ at its end as far as it has come. What looks around or back, inline flags and classes
 * with characters beyond ASCII are ERROR_UNSUPPORTED.
 *
 * The time is linear in the bytes, whatever the expression: all states go on side by side, and none
 * is tried twice. A match is the first that ends, and of those that end there the one that begins
 * first.
 *
 *	struct pattern *p;
 *	if (pattern_new(STR(">>> $"), &p, err) < 0) …
 *	if (pattern_feed(p, bytes, &end)) …            // it ends `end` bytes into these bytes
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

enum {
	PATTERN_TEXT_MAX = 4096,
	PATTERN_STATES_MAX = 2000, /* after {m,n} was written out */
	PATTERN_DEPTH_MAX = 50,    /* of groups */
};

struct pattern;

int pattern_new(struct str text, struct pattern **ret, struct error *err);
void pattern_free(struct pattern *p); /* NULL is fine */
/* Forgets what it has seen: what comes is the beginning. */
void pattern_reset(struct pattern *p);
/*
 * Goes on with these bytes. True: there is a match, and *ret_end is where it ends in them (0: with
 * none of them); it has begun anew then. Bytes behind that were not looked at.
 */
bool pattern_feed(struct pattern *p, struct str bytes, size_t *ret_end);
/* In a text by itself, from its beginning. The pattern is reset before and after. */
bool pattern_find(struct pattern *p, struct str text, size_t *ret_start, size_t *ret_end);

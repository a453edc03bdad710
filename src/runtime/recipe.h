/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipe: what a sandbox is made of whose wish names no image, where the server's configuration
 * says it: a base, and a command that adds to it what is missing. What that gives is built when it
 * is first wanted, under the name that build_extend gives it, whose digest is of the base and of
 * all that is done to it: the same is built once, and who wants it meanwhile waits for that one
 * build. Without a command the base is the image, and nothing is built.
 *
 * The settings, all of them optional:
 *
 *	{"base":…, "is_usual": it is the one that everybody's configuration names, "command":…, "args":{…},
 *	 "labels":{…}, "network":…, "allow":[…], "memory_bytes":…, "is_forced": what is there already does not count}
 *
 * "is_usual" is OpenHands' own standard. Where images are the backend's own (an engine's), it is
 * the base; elsewhere the usual base is `host`, which every server has.
 *
 * Forced: it is built anew, and without a cache, when it is first wanted after the server was
 * started.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct json;
struct recipe;
struct recipe_wait;
struct runtime;

struct recipe_ops {
	void (*building)(void *arg); /* it will take a while; at most once */
	/*
	 * An image of the server's or of its backend's, or a path; exactly once, unless it was
	 * left.
	 */
	void (*done)(void *arg, struct str image, const struct error *err);
};

/* *ret is NULL if the settings say nothing. */
int recipe_new(struct runtime *rt, const struct json *settings, struct recipe **ret,
	struct error *err);
void recipe_free(struct recipe *r); /* NULL is fine; nobody who waits is told */
/* Neither of the two is called from within. */
struct recipe_wait *recipe_ask(struct recipe *r, const struct recipe_ops *ops, void *arg);
/* Returns the `arg`. A build that nobody waits for any more is stopped. */
void *recipe_leave(struct recipe_wait *wait);

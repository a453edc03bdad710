/* SPDX-License-Identifier: Apache-2.0 */
/* expects: what a wait of a session looks for (struct expects in executor/session.h). */
#pragma once

#include "executor/session.h"

#include "action/action.h"

/*
 * In the arena, but for the patterns, which expects_fini frees. *ret is NULL if there are none to
 * look for.
 */
int expects_new(const struct field_strings *list, struct arena *arena, struct expects **ret,
	struct error *err);
void expects_fini(struct expects *e);
/* All of these take NULL. The first that is found stays the one. */
void expects_feed(struct expects *e, struct str bytes);
bool expects_are_met(const struct expects *e);

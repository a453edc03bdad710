/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/expects.h"

#include "action/session_actions.h"
#include "wire/pattern.h"

void expects_fini(struct expects *e)
{
	for (size_t i = 0; e && i < e->n; i++)
		pattern_free(e->patterns[i]);
	if (e)
		e->n = 0;
}

int expects_new(const struct field_strings *list, struct arena *arena, struct expects **ret,
	struct error *err)
{
	*ret = NULL;
	if (list->n > RUN_EXPECT_MAX)
		return error_set(err, ERROR_LIMIT, "expect: more than %d patterns", RUN_EXPECT_MAX);
	if (list->n == 0)
		return 0;
	struct expects *e = arena_new(arena, struct expects);
	e->patterns = arena_new_n(arena, struct pattern *, list->n);
	e->found = -1;
	for (; e->n < list->n; e->n++)
		if (pattern_new(list->items[e->n], &e->patterns[e->n], err) < 0) {
			expects_fini(e);
			return error_wrap(err, "expect");
		}
	*ret = e;
	return 0;
}

void expects_feed(struct expects *e, struct str bytes)
{
	size_t nearest = SIZE_MAX, end;
	if (!e || e->found >= 0)
		return;
	for (size_t i = 0; i < e->n; i++) {
		if (!pattern_feed(e->patterns[i], bytes, &end) || end >= nearest)
			continue;
		nearest = end;
		e->found = (ptrdiff_t)i;
	}
}

bool expects_are_met(const struct expects *e)
{
	return e && e->found >= 0;
}

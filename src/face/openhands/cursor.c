/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/cursor.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/runtime.h"

enum { SWEEP_MIN = 64 };

static void cursor_free(struct cursor *c)
{
	list_remove(&c->link);
	free(c->cwd);
	free(c->workdir);
	free(c->username);
	free(c->hostname);
	free(c->kernel_cwd);
	free(c->session_key);
	free(c->editor_token);
	free(c);
}

void cursors_init(struct cursors *c)
{
	*c = (struct cursors){ .sweep_at = SWEEP_MIN };
	list_init(&c->all);
}

void cursors_fini(struct cursors *c)
{
	struct cursor *cursor, *tmp;
	list_for_each_safe(cursor, tmp, &c->all, link)
		cursor_free(cursor);
	map_fini(&c->by_id);
}

/*
 * Forgets the sandboxes that are gone; costs little, since it happens when their number has
 * doubled.
 */
static void sweep(struct cursors *c, struct runtime *rt)
{
	struct cursor *cursor, *tmp;
	list_for_each_safe(cursor, tmp, &c->all, link) {
		const struct sandbox *s = runtime_find(rt, str_from(cursor->id), NULL);
		if (cursor->active || (s && !sandbox_state_is_final(s->state)))
			continue;
		map_remove(&c->by_id, str_from(cursor->id));
		cursor_free(cursor);
	}
	c->sweep_at = MAX(SWEEP_MIN, 2 * c->by_id.count);
}

struct cursor *cursors_find(const struct cursors *c, const char *id)
{
	return map_find(&c->by_id, str_from(id));
}

struct cursor *cursors_get(struct cursors *c, struct runtime *rt, const char *id)
{
	struct cursor *cursor = cursors_find(c, id);
	if (cursor)
		return cursor;
	if (c->by_id.count >= c->sweep_at)
		sweep(c, rt);
	cursor = mem_new(struct cursor);
	snprintf(cursor->id, sizeof(cursor->id), "%s", id);
	list_init(&cursor->queue);
	cursor->active_ms = clock_mono_ms();
	list_append(&c->all, &cursor->link);
	map_put(&c->by_id, str_from(id), cursor);
	return cursor;
}

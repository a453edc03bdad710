/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/lost.h"

#include "base/id.h"

#include <stdio.h>

enum {
	AGAIN_MS = 3000,
	STEP = 64, /* of them at a time: a turn has its ceiling */
};

static void on_timer(void *arg)
{
	struct lost *l = arg;
	char ids[STEP][ID_SIZE];
	size_t i = 0, n = 0;
	struct str id;
	while (n < STEP && map_next(&l->ids, &i, &id))
		snprintf(ids[n++], ID_SIZE, "%.*s", STR_ARG(id));
	for (i = 0; i < n; i++) {
		map_remove(&l->ids, str_from(ids[i]));
		l->fn(l->arg, ids[i]);
	}
	if (l->ids.count)
		timer_set(l->timer, AGAIN_MS);
}

void lost_init(struct lost *l, struct loop *loop, void (*fn)(void *arg, const char *id), void *arg)
{
	*l = (struct lost){ .timer = timer_new(loop, on_timer, l), .fn = fn, .arg = arg };
}

void lost_fini(struct lost *l)
{
	timer_free(l->timer);
	map_fini(&l->ids);
	*l = (struct lost){ 0 };
}

void lost_add(struct lost *l, struct str id)
{
	if (!l->timer)
		return;
	map_put(&l->ids, id, l);
	timer_set(l->timer, AGAIN_MS);
}

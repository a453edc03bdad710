/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost: ids of records that could not be written to the store. A turn that has failed is forgotten,
 * so a while later whoever knows the records is asked for each of them, until it is written: what
 * fails once more is lost once more. Private to the store.
 */
#pragma once

#include "base/map.h"
#include "event/loop.h"

struct lost {
	struct map ids;      /* as many as there are sandboxes */
	struct timer *timer; /* NULL: nobody puts them once more, and none is kept */
	void (*fn)(void *arg, const char *id);
	void *arg;
};

void lost_init(struct lost *l, struct loop *loop, void (*fn)(void *arg, const char *id), void *arg);
void lost_fini(struct lost *l); /* also of one that is zeroed */
void lost_add(struct lost *l, struct str id);

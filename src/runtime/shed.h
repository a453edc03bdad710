/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shed: the oldest events of one sandbox go before those of all others, when it has had far more
 * than its share of the log (store.h). Orders are carried out a few rows at a time, with the
 * transactions that bring new events.
 */
#pragma once

#include "base/id.h"
#include "runtime/db.h"

enum {
	SHED_ORDERS_MAX = 16,
	SHED_PARTS = 16,         /* of a share, more than it, are shed at once */
	SHED_EVENT_BYTES = 2048, /* what an event counts for at least: 1/1,000,000 of the log */
};

/* What an event with so many bytes of data is counted for. */
static inline int64_t shed_cost(int64_t data_bytes)
{
	return data_bytes + 160 > SHED_EVENT_BYTES ? data_bytes + 160 : SHED_EVENT_BYTES;
}

struct shed {
	struct shed_order {
		char id[ID_SIZE];
		int64_t bytes; /* still to go */
		int64_t taken; /* of that, in the open transaction; -1: there are no more */
	} orders[SHED_ORDERS_MAX];
	int n;
	int64_t rows; /* that went in the open transaction */
};

/* False: so many sandboxes shed already. */
bool shed_add(struct shed *shed, const char *id, int64_t bytes);
/* Within a transaction: at most `step` rows of each, all older than event `before`. */
int shed_run(struct shed *shed, struct db *db, int64_t before, int64_t step, struct error *err);
/* It was committed, or rolled back. */
void shed_settle(struct shed *shed, bool is_committed);

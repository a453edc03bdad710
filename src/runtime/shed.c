/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shed.h"

#include "base/auto.h"

bool shed_add(struct shed *shed, const char *id, int64_t bytes)
{
	struct shed_order *o = shed->orders;
	while (o < shed->orders + shed->n && strcmp(o->id, id) != 0)
		o++;
	if (o == shed->orders + SHED_ORDERS_MAX)
		return false;
	if (o == shed->orders + shed->n) {
		*o = (struct shed_order){ 0 };
		snprintf(o->id, sizeof(o->id), "%s", id);
		shed->n++;
	}
	o->bytes += bytes;
	return true;
}

struct oldest {
	int64_t wanted, taken;
	int64_t last; /* the newest one that goes; 0: none does */
	int64_t rows;
};

static void on_size(void *arg, struct db_row *row)
{
	struct oldest *found = arg;
	if (found->taken >= found->wanted)
		return;
	found->last = db_row_int(row, 0);
	found->taken += shed_cost(db_row_int(row, 1));
	found->rows++;
}

static int run_order(struct shed *shed, struct shed_order *o, struct db *db, int64_t before,
	int64_t step, struct error *err)
{
	struct oldest found = { .wanted = o->bytes };
	const struct db_value which[] = { db_text(str_from(o->id)), db_int(before), db_int(step) };
	if (db_query(db, DB_EVENT_SIZES, which, ARRAY_LEN(which), on_size, &found, err) < 0)
		return -1;
	const struct db_value to[] = { db_text(str_from(o->id)), db_int(found.last) };
	if (found.last && db_run(db, DB_EVENT_SHED, to, ARRAY_LEN(to), err) < 0)
		return -1;
	o->taken = found.last ? found.taken : -1;
	shed->rows += found.rows;
	return 0;
}

int shed_run(struct shed *shed, struct db *db, int64_t before, int64_t step, struct error *err)
{
	for (int i = 0; i < shed->n; i++)
		if (run_order(shed, &shed->orders[i], db, before, step, err) < 0)
			return -1;
	return 0;
}

void shed_settle(struct shed *shed, bool is_committed)
{
	int n = 0;
	for (int i = 0; i < shed->n; i++) {
		struct shed_order o = shed->orders[i];
		o.bytes -= is_committed ? o.taken : 0;
		bool is_over = is_committed && (o.taken < 0 || o.bytes <= 0);
		o.taken = 0;
		if (!is_over)
			shed->orders[n++] = o;
	}
	shed->n = n;
	shed->rows = 0;
}

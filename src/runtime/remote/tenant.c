/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/remote/tenant.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/remote/house.h"

enum { WAIT_MAX_MS = 2000 };

static void on_timer(void *arg)
{
	struct tenant *m = arg;
	m->house->kind->look(m);
}

void tenant_init(struct tenant *m, struct house *house, const char *id, const struct site_ops *ops)
{
	m->house = house;
	snprintf(m->id, sizeof(m->id), "%s", id);
	m->timer = timer_new(house->loop, on_timer, m);
	site_init(&m->site, &house->asker, ops, m);
	list_append(&house->tenants, &m->link);
	house->n_tenants++;
}

void tenant_fini(struct tenant *m)
{
	list_remove(&m->link);
	m->house->n_tenants--;
	ask_drop(m->ask);
	timer_free(m->timer);
	site_fini(&m->site);
}

/* ---- errands ---- */

void tenant_begin(struct tenant *m, errand_fn *errand, backend_fn *done, void *arg)
{
	m->errand = errand;
	m->done = done;
	m->arg = arg;
}

void tenant_end(struct tenant *m, const struct error *err)
{
	errand_fn *errand = m->errand;
	m->errand = NULL;
	timer_clear(m->timer);
	errand(m, err);
}

static void on_answer(void *arg, int status, struct str body, const struct error *err)
{
	struct tenant *m = arg;
	m->ask = NULL;
	m->then(m, body, err);
}

void tenant_ask(struct tenant *m, const struct ask_plan *plan, tenant_fn *then)
{
	struct ask_plan ours = *plan;
	BUG_IF(m->ask, "two questions about one sandbox at once");
	ours.done = on_answer;
	ours.arg = m;
	m->then = then;
	m->ask = ask_new(&m->house->asker, &ours);
}

void tenant_expect(struct tenant *m, int64_t at_most_ms, int64_t first_ms)
{
	m->deadline_ms = clock_mono_ms() + at_most_ms;
	m->wait_ms = first_ms;
}

bool tenant_wait(struct tenant *m)
{
	if (clock_mono_ms() >= m->deadline_ms)
		return false;
	timer_set(m->timer, m->wait_ms);
	m->wait_ms = MIN(2 * m->wait_ms, (int64_t)WAIT_MAX_MS);
	return true;
}

/* ---- their ends ---- */

void tenant_tell(struct tenant *m, const struct error *err)
{
	struct backend_reply *reply = answers_add(&m->house->answers, m->id, m->done, m->arg);
	if (err)
		reply->error = *err;
}

void tenant_made(struct tenant *m, const struct error *err)
{
	tenant_tell(m, err);
	if (!err)
		return;
	m->house->kind->give_up(m);
	m->house->kind->free(m);
}

void tenant_gone(struct tenant *m, const struct error *err)
{
	bool is_gone = !err || err->code == ERROR_NOT_FOUND;
	tenant_tell(m, is_gone ? NULL : err);
	if (is_gone)
		m->house->kind->free(m);
}

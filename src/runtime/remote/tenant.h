/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant: a sandbox of a server that is not ours, and what is being done with it as a whole: its
 * errand. Embedded in what its kind adds to it; private to runtime/remote.
 *
 * An errand is a chain of questions, each asked when the one before is answered; a sandbox has one
 * at a time. It is begun by tenant_begin and ends, once, with the function given there, which may
 * free the tenant. Between two questions it may wait: such servers have no other way to tell that a
 * sandbox has become ready than to be asked again.
 *
 *	tenant_begin(m, tenant_gone, done, arg);
 *	tenant_ask(m, &plan, on_deleted);         and on_deleted: tenant_end(m, err)
 */
#pragma once

#include "base/list.h"
#include "event/loop.h"
#include "runtime/backend.h"
#include "runtime/remote/site.h"

struct house;
struct tenant;

typedef void errand_fn(struct tenant *m, const struct error *err);
typedef void tenant_fn(struct tenant *m, struct str body, const struct error *err);

struct tenant {
	struct list link; /* house::tenants */
	struct house *house;
	char id[ID_SIZE];
	struct site site;
	/* The errand: */
	struct ask *ask;
	tenant_fn *then; /* of the ask */
	struct timer *timer;
	int64_t deadline_ms, wait_ms;
	errand_fn *errand; /* its end; NULL: nothing is being done */
	backend_fn *done;
	void *arg;
};

/* It is its house's from now on. */
void tenant_init(struct tenant *m, struct house *house, const char *id, const struct site_ops *ops);
void tenant_fini(struct tenant *m);

void tenant_begin(struct tenant *m, errand_fn *errand, backend_fn *done, void *arg);
void tenant_end(struct tenant *m, const struct error *err);
/* One question at a time. Its `done` and `arg` are ours. */
void tenant_ask(struct tenant *m, const struct ask_plan *plan, tenant_fn *then);
/* It is going to wait, so long at most; the first pause is that long, and they grow. */
void tenant_expect(struct tenant *m, int64_t at_most_ms, int64_t first_ms);
/* Another pause, then house_ops::look; false: that would be too long. */
bool tenant_wait(struct tenant *m);

/* Ends of errands. The runtime is told: */
void tenant_tell(struct tenant *m, const struct error *err);
/* the same, and one that could not be made is given up; */
void tenant_made(struct tenant *m, const struct error *err);
/* the same, and one that is not there any more is freed. */
void tenant_gone(struct tenant *m, const struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * house: a backend whose sandboxes are tenants of another server: what is the same whatever that
 * server speaks. Private to runtime/remote.
 *
 *	house.c, tenant.c                  the backend's common part, and its sandboxes'
 *	remote.c, remote_member.c, …       OpenHands' Remote Runtime API, and its bare action server
 *	daytona.c, daytona_member.c, …     Daytona's API
 */
#pragma once

#include "runtime/answers.h"
#include "runtime/remote/query.h"
#include "runtime/remote/tenant.h"

struct house_ops {
	/* Finds out what lives there: house_adopt for each, then house_started. */
	void (*list)(struct house *house);
	void (*look)(struct tenant *m); /* a pause is over: how is it now? */
	/*
	 * It could not be made: what there is of it ends, as nobody will ever ask for it. No answer
	 * is waited for.
	 */
	void (*give_up)(struct tenant *m);
	void (*free)(struct tenant *m);
};

struct house {
	struct backend base;
	const struct house_ops *kind;
	struct loop *loop;
	struct asker asker;
	char *url;           /* without a final slash */
	char *key;           /* a header line, or NULL */
	struct list tenants; /* tenant::link */
	size_t n_tenants;
	struct answers answers;
	struct queries queries;
	backend_fn *started;
	void *started_arg;
};

/* The key is taken. */
void house_init(struct house *house, const struct backend_ops *ops, const struct house_ops *kind,
	struct loop *loop, struct str url, char *key);
void house_fini(struct house *house); /* its tenants are freed; there nothing ends */

struct tenant *house_find(struct house *house, const char *id); /* NULL: there is none */
/* One with which nothing is being done; NULL: `done` is told why there is none. */
struct tenant *house_find_idle(struct house *house, const char *id, backend_fn *done, void *arg);
enum house_rest {
	HOUSE_RUNS,
	HOUSE_PAUSED,
	HOUSE_UNFINISHED, /* it is being made, or on its way from one of these to the other */
};
/* Says what lives there already. */
void house_adopt(struct tenant *m, const char *name, enum house_rest rest);
void house_started(struct house *house, const struct error *err);
/* A question whose answer nobody waits for. */
void house_mention(struct house *house, const struct ask_plan *plan);
/* A question to the sandbox's own server: what it uses. */
void house_ask_usage(struct house *house, const char *id, const char *path, int64_t timeout_ms,
	query_fn *take, backend_fn *done, void *arg);

/* As backend_ops has them. */
void house_start(struct backend *b, backend_fn *done, void *arg);
int house_open_call(struct backend *b, const char *id, int *ret_fd, struct error *err);

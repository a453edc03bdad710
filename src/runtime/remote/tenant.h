/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant: a sandbox of an OpenHands deployment, and what is being done with it. Private to runtime/remote.
 *
 *	remote.c   the backend: what the runtime asks for     tenant.c   the errands that come of it
 *	adopt.c    what is there at the start
 */
#pragma once

#include "base/list.h"
#include "event/loop.h"
#include "runtime/answers.h"
#include "runtime/remote/query.h"
#include "runtime/remote/remote.h"
#include "runtime/remote/site.h"

struct remote {
	struct backend base;
	struct loop *loop;
	struct asker asker;
	char *url;
	char *key; /* a header line, or NULL */
	bool is_server;
	struct list members; /* tenant::link */
	size_t n_members;
	struct answers answers;
	struct queries queries;
	backend_fn *started;
	void *started_arg;
};

struct tenant;
typedef void errand_fn(struct tenant *m, const struct error *err);

struct tenant {
	struct list link; /* remote::members */
	struct remote *remote;
	char id[ID_SIZE];
	char *session;
	char *runtime_id;
	struct site site;
	struct ask *ask;
	struct timer *timer;
	int64_t deadline_ms, wait_ms;
	errand_fn *errand; /* its end; NULL: nothing is being done */
	backend_fn *done;
	void *arg;
	struct buf start_json; /* of a create */
	char *workdir;         /* the same: known to the site once it is started with it */
};

struct tenant *tenant_new(struct remote *r, const char *id, struct str session);
void tenant_free(struct tenant *m);
struct tenant *tenant_find(struct remote *r, const char *id);
/* Takes a runtime object: where it is and what it is called. */
int tenant_take_runtime(struct tenant *m, const struct json *runtime, struct error *err);
/* The bare server that the remote is. */
void tenant_take_server(struct tenant *m);

/* An errand begins; it ends, once, with `errand`, which may free the member. */
void tenant_begin(struct tenant *m, errand_fn *errand, backend_fn *done, void *arg);
void tenant_end(struct tenant *m, const struct error *err);
/* Errands that can be begun. Until it is ready: */
void tenant_take_up(struct tenant *m); /* the session, or what is made with start_json */
void tenant_resume(struct tenant *m);
void tenant_wait(struct tenant *m);
/* Until there is an answer: */
void tenant_post(struct tenant *m, const char *path);

/* It could not be made, as far as it got: nobody will ever ask for it. No answer is waited for. */
void tenant_stop_there(struct tenant *m);

/* adopt.c */
void remote_begin_adopting(struct remote *r);

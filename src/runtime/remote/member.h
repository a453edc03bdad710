/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member: a sandbox of an OpenHands deployment, and what is being done with it. Private to runtime/remote.
 *
 *	remote.c   the backend: what the runtime asks for     member.c   the errands that come of it
 *	adopt.c    what is there at the start
 */
#pragma once

#include "base/list.h"
#include "event/loop.h"
#include "runtime/remote/remote.h"
#include "runtime/remote/site.h"

struct remote {
	struct backend base;
	struct loop *loop;
	struct asker asker;
	char *url;
	char *key; /* a header line, or NULL */
	bool is_server;
	struct list members; /* member::link */
	size_t n_members;
	struct list answers; /* answer::link */
	struct list usages;  /* usage::link */
	backend_fn *started;
	void *started_arg;
};

struct member;
typedef void errand_fn(struct member *m, const struct error *err);

struct member {
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

/* remote.c: for an answer that comes in a later turn of the loop. */
struct backend_reply *remote_answer_later(struct remote *r, const char *id, backend_fn *done,
	void *arg);

struct member *member_new(struct remote *r, const char *id, struct str session);
void member_free(struct member *m);
struct member *member_find(struct remote *r, const char *id);
/* Takes a runtime object: where it is and what it is called. */
int member_take_runtime(struct member *m, const struct json *runtime, struct error *err);
/* The bare server that the remote is. */
void member_take_server(struct member *m);

/* An errand begins; it ends, once, with `errand`, which may free the member. */
void member_begin(struct member *m, errand_fn *errand, backend_fn *done, void *arg);
void member_end(struct member *m, const struct error *err);
/* Errands that can be begun. Until it is ready: */
void member_take_up(struct member *m); /* the session, or what is made with start_json */
void member_resume(struct member *m);
void member_wait(struct member *m);
/* Until there is an answer: */
void member_post(struct member *m, const char *path);

/* It could not be made, as far as it got: nobody will ever ask for it. No answer is waited for. */
void member_stop_there(struct member *m);

/* adopt.c */
void remote_begin_adopting(struct remote *r);

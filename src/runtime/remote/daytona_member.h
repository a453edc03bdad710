/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daytona_member: a sandbox of a Daytona server, and what is being done to it as a whole. Private to runtime/remote.
 *
 *	daytona.c   the backend: what the runtime asks for   daytona_wish.c   what is asked of the API for a sandbox
 *	daytona_member.c   members and their errands         daytona_run.c, daytona_file.c   what is done in them
 */
#pragma once

#include "base/list.h"
#include "event/loop.h"
#include "runtime/answers.h"
#include "runtime/remote/daytona.h"
#include "runtime/remote/query.h"
#include "runtime/remote/site.h"

enum { DAYTONA_BODY_MAX = 4 * 1024 * 1024, DAYTONA_URL_MAX = 64 * 1024 };

/* Labels of a sandbox there. */
#define DAYTONA_LABEL_ID      "cay.id"
#define DAYTONA_LABEL_WORKDIR "cay.workdir"

struct daytona_backend {
	struct backend base;
	struct loop *loop;
	struct asker asker;
	char *url, *key;     /* key: a header line */
	struct list members; /* daytona_member::link */
	size_t n_members;
	struct answers answers;
	struct queries queries;
	backend_fn *started;
	void *started_arg;
	char *cursor; /* of the list at the start */
};

struct daytona_member;
typedef void daytona_errand_fn(struct daytona_member *m, const struct error *err);

struct daytona_member {
	struct list link; /* daytona_backend::members */
	struct daytona_backend *backend;
	char id[ID_SIZE];
	char *there; /* its id there; NULL: not made yet */
	char *name;  /* "" if it has none */
	struct site site;
	struct buf env;       /* {"A":"1"}, as configured; empty: none */
	struct list sessions; /* daytona_session::link: those that were opened there */
	/* The errand: what is being done to it as a whole, one thing at a time. */
	struct ask *ask;
	struct timer *timer;
	int64_t deadline_ms, wait_ms;
	daytona_errand_fn *errand; /* its end; NULL: nothing is being done */
	backend_fn *done;
	void *arg;
	const char *wanted; /* the state that is waited for */
	char *workdir;      /* of a create: to be made; NULL: the toolbox's own */
};

struct daytona_session {
	struct list link;
	char *name; /* here */
	char there[ID_SIZE];
};

struct daytona_member *daytona_member_new(struct daytona_backend *d, const char *id,
	struct str name);
void daytona_member_free(struct daytona_member *m);
struct daytona_member *daytona_find(struct daytona_backend *d, const char *id);
/* Takes a sandbox as the API tells of it: its id there, and where its toolbox is. */
int daytona_take(struct daytona_member *m, const struct json *box, struct error *err);

/* An errand begins; it ends, once, with `errand`, which may free the member. */
void daytona_begin(struct daytona_member *m, daytona_errand_fn *errand, backend_fn *done,
	void *arg);
void daytona_end(struct daytona_member *m, const struct error *err);
/* One question of it at a time; `done` sets m->ask to NULL. */
void daytona_ask(struct daytona_member *m, const char *method, const char *url, struct str json,
	bool is_harmless, ask_fn *done);
/* The same about the sandbox itself: "/sandbox/X" and a tail. */
void daytona_ask_api(struct daytona_member *m, const char *method, const char *tail,
	struct str json, bool is_harmless, ask_fn *done);
/* From now on the errand ends when the sandbox is in that state (a literal), or when that took too long. */
void daytona_wait_for(struct daytona_member *m, const char *state);
/* What the API says of it meanwhile. */
void daytona_judge(struct daytona_member *m, const struct json *box);
/* An answer that tells its state. */
void daytona_on_state(void *arg, int status, struct str body, const struct error *err);

/* daytona_wish.c: what such a server cannot give is ERROR_UNSUPPORTED; and the body of POST /sandbox. */
int daytona_check(const struct spec *spec, struct error *err);
void daytona_put_wish(struct buf *b, const struct sandbox *s, const struct spec *spec);

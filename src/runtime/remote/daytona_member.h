/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daytona_member: a sandbox of a Daytona server, and what is being done to it as a whole. Private
 * to runtime/remote.
 *
 *	daytona.c   the backend: what the runtime asks for   daytona_wish.c   what is asked of the API for a sandbox
 *	daytona_member.c   members and their errands         daytona_run.c, daytona_file.c   what is done in them
 */
#pragma once

#include "base/auto.h"
#include "runtime/remote/daytona.h"
#include "runtime/remote/house.h"

enum { DAYTONA_BODY_MAX = 4 * 1024 * 1024, DAYTONA_URL_MAX = 64 * 1024 };

/* Labels of a sandbox there. */
#define DAYTONA_LABEL_ID      "cay.id"
#define DAYTONA_LABEL_WORKDIR "cay.workdir"

struct daytona_backend {
	struct house house;
	char *cursor; /* of the list at the start */
};

struct daytona_member {
	struct tenant tenant;
	char *there;          /* its id there; NULL: not made yet */
	char *name;           /* "" if it has none */
	struct buf env;       /* {"A":"1"}, as configured; empty: none */
	struct list sessions; /* daytona_session::link: those that were opened there */
	const char *wanted;   /* the state that is waited for */
	char *workdir;        /* of a create: to be made; NULL: the toolbox's own */
	struct error failure; /* of a create: while it is searched for */
};

struct daytona_session {
	struct list link;
	char *name; /* here */
	char there[ID_SIZE];
};

static inline struct daytona_member *daytona_member_from(struct tenant *m)
{
	return container_of(m, struct daytona_member, tenant);
}

struct daytona_member *daytona_member_new(struct daytona_backend *d, const char *id,
	struct str name);
void daytona_member_free(struct tenant *tenant);
/* Takes a sandbox as the API tells of it: its id there, and where its toolbox is. */
int daytona_take(struct daytona_member *m, const struct json *box, struct error *err);

/* A question of an errand. */
void daytona_ask(struct tenant *m, const char *method, const char *url, struct str json,
	bool is_harmless, tenant_fn *then);
/* The same about the sandbox itself: "/sandbox/X" and a tail. */
void daytona_ask_api(struct tenant *m, const char *method, const char *tail, struct str json,
	bool is_harmless, tenant_fn *then);
/*
 * From now on the errand ends when the sandbox is in that state (a literal), or when that took too
 * long.
 */
void daytona_wait_for(struct daytona_member *m, const char *state);
/* What the API says of it meanwhile. */
void daytona_judge(struct tenant *m, const struct json *box);
/* An answer that tells its state. */
void daytona_on_state(struct tenant *m, struct str body, const struct error *err);

/* As house_ops has them. */
void daytona_look(struct tenant *m);
void daytona_give_up(struct tenant *m);

/*
 * daytona_wish.c: what such a server cannot give is ERROR_UNSUPPORTED; and the body of POST
 * /sandbox.
 */
int daytona_check(const struct spec *spec, struct error *err);
void daytona_put_wish(struct buf *b, const struct sandbox *s, const struct spec *spec);

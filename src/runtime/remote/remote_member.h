/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_member: a sandbox of an OpenHands deployment, and what is being done with it. Private to
 * runtime/remote.
 *
 *	remote.c   the backend: what the runtime asks for     remote_member.c   the errands that come of it
 *	remote_adopt.c    what is there at the start
 */
#pragma once

#include "base/auto.h"
#include "runtime/remote/house.h"
#include "runtime/remote/remote.h"

struct remote {
	struct house house;
	bool is_server;
};

struct remote_member {
	struct tenant tenant;
	char *session;
	char *runtime_id;
	struct buf start_json; /* of a create */
	char *workdir;         /* the same: known to the site once it is started with it */
	struct error failure;  /* the same: while it is searched for */
};

static inline struct remote *remote_of(const struct tenant *m)
{
	return container_of(m->house, struct remote, house);
}

static inline struct remote_member *remote_member_of(struct tenant *m)
{
	return container_of(m, struct remote_member, tenant);
}

struct remote_member *remote_member_new(struct remote *r, const char *id, struct str session);
void remote_member_free(struct tenant *tenant);
/* Takes a runtime object: where it is and what it is called. */
int remote_take_runtime(struct remote_member *m, const struct json *runtime, struct error *err);
/* The bare server that the remote is. */
void remote_take_server(struct remote_member *m);

/* Errands that can be begun. Until it is ready: */
void remote_take_up(struct remote_member *m); /* the session, or what is made with start_json */
void remote_resume(struct remote_member *m);
void remote_wait(struct tenant *m);
/* Until there is an answer: */
void remote_post(struct remote_member *m, const char *path);

/* As house_ops has them. */
void remote_look(struct tenant *m);
void remote_give_up(struct tenant *m);
/* remote_adopt.c */
void remote_list(struct house *house);

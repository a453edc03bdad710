/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what the files of this face share.
 *
 *	opensandbox.c who may come in      routes.c   the table          reply.c    answers and errors
 *	box.c      what is noted of a sandbox, and how it is told        list.c     lists and their pages
 *	make.c     a create body → a wish  policy.c   its network        life.c     create … delete
 *	snapshot.c snapshots               endpoint.c ports              metrics.c  what it uses
 *	events.c   a stream of events      lines.c    output → lines
 *	command.c  commands                session.c  bash sessions      code.c     the interpreter
 *	pty.c      terminals               files.c    changes to files   tree.c     lists of files
 *	upload.c, download.c               bytes
 */
#pragma once

#include "base/list.h"
#include "face/chore.h"
#include "face/opensandbox/opensandbox.h"
#include "http/server.h"
#include "runtime/runtime.h"

enum {
	OSB_BODY_MAX = 4 * 1024 * 1024, /* of a JSON body */
	OSB_PARAMS_MAX = 8 * 1024 * 1024,
	OSB_PATH_MAX = 4096,
	OSB_PATHS_MAX = 1000, /* in one request */
	OSB_EXECD = 44772,
	OSB_EGRESS = 18080,
};

#define OSB_API_HEADER "OPEN-SANDBOX-API-KEY"

struct osb {
	struct runtime *rt;
	struct loop *loop;
	struct http_face face;
	struct list ptys; /* pty::link */
	size_t n_ptys;
};

/* What a row of osb_routes is about: its data; NULL: the lifecycle API. */
enum osb_kind { OSB_KIND_EXECD, OSB_KIND_EGRESS, OSB_KIND_PORT };

static inline struct osb *osb_of(const struct http_request *r)
{
	return r->face->arg;
}

/* reply.c */
/* {"code":"NOT_FOUND","message":…} */
void osb_fail(struct http_request *r, int status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void osb_fail_error(struct http_request *r, const struct error *err);  /* the API's words */
void osb_execd_error(struct http_request *r, const struct error *err); /* execd's */
void osb_execd_invalid(struct http_request *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void osb_put_error(struct buf *b, const char *code, const char *text);
const char *osb_code(enum error_code code); /* "NOT_FOUND" */
void osb_empty(struct http_request *r, int status);
/* The body as an object, or as an array if that is asked for; an empty one is an empty object.
 * NULL: answered. */
struct json *osb_body(struct http_request *r);
struct json *osb_body_of(struct http_request *r, enum json_kind kind);
void osb_key_time(struct jsonw *w, const char *key, int64_t wall_ms);
void osb_key_json(struct jsonw *w, const char *key, const struct json *value);
/* A parameter of the query that has to be there; false: answered, in execd's words. */
bool osb_need_query(struct http_request *r, const char *key, struct str *ret);
/* The next of several "?name=…", decoded in the arena; *i begins as 0. False: that was the last. */
bool osb_next_query(struct http_request *r, const char *name, size_t *i, struct str *ret);

/* box.c: a sandbox that this face made, and no other. */
struct json *osb_note(const struct sandbox *s); /* NULL: it is none of this face's */
/* By its whole id, alive; NULL: there is none. */
struct sandbox *osb_find(struct osb *o, struct str id);
/* {id} of the path; NULL: answered with 404. */
struct sandbox *osb_sandbox(struct http_request *r);
/* The same for execd: it has to run. */
struct sandbox *osb_execd_sandbox(struct http_request *r);
struct chore *osb_chore(struct http_request *r);     /* in it; NULL: answered */
const char *osb_state_name(const struct sandbox *s); /* "Running" */
void osb_put_sandbox(struct jsonw *w, const struct sandbox *s, const struct json *note);
/* A note like this one, but with another value for `key`, as JSON. ret: of CREATE_NOTE_BYTES. */
int osb_note_with(const struct json *note, const char *key, struct str value, struct buf *ret,
	struct error *err);
/* A path as the caller means it: "~" is the home of the sandbox's root. In the arena. */
struct str osb_path(struct http_request *r, struct str path);
bool osb_path_is_good(struct str path);

/* make.c */
struct osb_wish {
	struct arena *arena;
	struct create *create;
	const struct json *body;
	struct str image, snapshot;
	bool is_stand_in; /* for the image: what is of that image alone is not there */
};
int osb_wish_read(struct osb *o, struct osb_wish *wish, struct error *err);
void osb_wish_put_note(const struct osb_wish *wish, struct buf *note);
int osb_check_metadata(struct str key, struct str value, struct error *err);

/* policy.c: networkPolicy. */
int osb_policy_read(const struct json *policy, struct arena *arena, struct create *create,
	struct error *err);

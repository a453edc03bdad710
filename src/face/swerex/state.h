/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what the files of this face share.
 *
 *	swerex.c   the face, its routes, who comes in      place.c    which sandbox; making it
 *	turn.c      a request under way, and its repetition body.c     reading bodies, 422
 *	fault.c    errors as a client raises them          session.c  sessions
 *	execute.c  a command without a session             files.c    read and write
 *	upload.c   files and trees that come in            text.c     bytes as Python decodes them
 */
#pragma once

#include "base/list.h"
#include "face/swerex/swerex.h"
#include "runtime/runtime.h"

enum {
	SWEREX_BODY_MAX = 16 * 1024 * 1024,      /* of a JSON body */
	SWEREX_READ_MAX = 8 * 1024 * 1024,       /* of a file that is read */
	SWEREX_READS_OF_ONE = 32 * 1024 * 1024,  /* of files on their way, for one sandbox … */
	SWEREX_READS_OF_ALL = 256 * 1024 * 1024, /* … and for all */
	SWEREX_OUTPUT_MAX = 8 * 1024 *
		1024,                     /* of a command, each stream: the first and last half */
	SWEREX_REQUEST_ID_MAX = 128,      /* longer ones are nobody's */
	SWEREX_REPLAYS_MAX = 512,         /* last answers, one for a sandbox */
	SWEREX_REPLAY_BYTES = 256 * 1024, /* a longer answer is not kept */
	SWEREX_REPLAYS_BYTES = 64 * 1024 * 1024, /* of all that are kept */
	SWEREX_ORPHAN_MS = 30 * 1000, /* how long a call is kept for a client that may come again */
	SWEREX_WAITERS_MAX = 4,       /* repetitions of a request under way */
	SWEREX_IDLE_MS = 60 * 60 * 1000, /* of sandboxes made here, if the server has no standard */
	SWEREX_SESSION_MAX = 64 - (int)sizeof(SWEREX_PREFIX) + 1,
};

#define SWEREX_PROMPT "SHELLPS1PREFIX" /* what the original's prompt is, and says that it came */

struct swerex {
	struct runtime *rt;
	struct http_face face;
	struct list turns;   /* turn::link */
	struct list makings; /* making::link */
	struct list replays; /* replay::link, oldest first */
	int n_replays;
	size_t replay_bytes;
};

static inline struct swerex *swerex_of(const struct http_request *r)
{
	return r->face->arg;
}

/* ---- swerex.c ---- */

/* {"detail":"…"} */
void swerex_detail(struct http_request *r, int status, const char *text);
/* The answer of a model without fields. */
#define SWEREX_EMPTY STR("{}")

/* ---- place.c ---- */

/* s is NULL if the request was answered. */
typedef void place_fn(void *arg, struct sandbox *s);

/* The sandbox of the request; NULL: there is none by that name. */
struct sandbox *place_find(const struct http_request *r);
/* The same, or it is made. `done` is called once, perhaps at once. */
void place_get(struct http_request *r, place_fn *done, void *arg);
/* Whether the path says that one is to be made. */
bool place_makes(const struct http_request *r);
/* Made by this face: it ends with `close`. */
bool place_is_own(const struct sandbox *s);
void place_is_alive(struct http_request *r);
void places_free_all(struct swerex *x);

/* ---- turn.c ---- */

struct turn;
typedef void turn_fn(struct turn *turn);
typedef void turn_result_fn(struct turn *turn, const struct json *result);
typedef void turn_error_fn(struct turn *turn, const struct error *err);

/*
 * One request. It lives until it is answered; its state is in the request's arena. If the client
 * goes away before, a request with an id waits for the client to ask again, SWEREX_ORPHAN_MS at
 * most; another ends.
 */
struct turn {
	struct list link; /* swerex::turns */
	struct swerex *swerex;
	struct http_request *r;
	struct http_request *waiters[SWEREX_WAITERS_MAX]; /* the same request again */
	size_t n_waiters;
	char sandbox[ID_SIZE];
	char request_id[SWEREX_REQUEST_ID_MAX + 1]; /* "": none */
	struct str session;                         /* that it waits for; STR_NONE: none */
	struct json *body;
	struct runtime_call *call; /* NULL: none under way */
	turn_result_fn *then;
	turn_error_fn *failed; /* NULL: turn_fail */
	struct timer *grace;   /* NULL: it has a client */
	struct str input;      /* of the call, what was not sent yet */
	struct buf output;     /* data of the call; its limit is 0 unless somebody wants it */
	void *state;           /* of who made it */
	turn_fn *too_much; /* more data came than `output` takes: it answers; NULL: nobody minds */
};

/* Finds the sandbox, or makes it; reads the body; looks whether this was answered before. */
void turn_begin(struct http_request *r, turn_fn *fn);
/* One after the other. */
/* False: it could not begin, and the request was answered. */
bool turn_perform(struct turn *turn, const struct action *action, const struct buf *params,
	turn_result_fn *then);
/* Sends all of it as the call's data, and its end. It stays where it is until then. */
void turn_send(struct turn *turn, struct str input);
void turn_reply(struct turn *turn, int status, struct str json);
void turn_reply_buf(struct turn *turn, const struct buf *json);
/* What nobody waits for gives way to who uses the session now. */
void turn_clear_session(struct turn *turn);
void turns_free_all(struct swerex *x);

/* ---- fault.c ---- */

/* 511. class: where Python finds the exception; extra may be NULL, or a JSON object. */
void turn_raise(struct turn *turn, const char *class, const struct buf *message,
	const struct buf *extra);
void turn_raise_text(struct turn *turn, const char *class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The class that fits; a thing that is not there is `missing`. */
const char *fault_class(const struct error *err, const char *missing);
void fault_put(struct buf *b, const char *class, struct str message, struct str extra);
void turn_fail(struct turn *turn, const struct error *err);

#define FAULT(name)   "swerex.exceptions." name
#define BUILTIN(name) "builtins." name

/* ---- body.c ---- */

/*
 * Each takes a member of the body. false: it is required and is not there, or is something else,
 * and the request was answered with 422.
 */
bool body_str(struct turn *turn, const char *key, const char *standard, struct str *ret);
bool body_bool(struct turn *turn, const char *key, bool *ret);
/* Seconds; *ret is negative if it is null and may be. */
bool body_seconds(struct turn *turn, const char *key, double standard, double *ret);
bool body_int(struct turn *turn, const char *key, int64_t min, int64_t max, int64_t standard,
	int64_t *ret);
bool body_strings(struct turn *turn, const char *key, const struct json **ret); /* NULL: absent */
bool body_map(struct turn *turn, const char *key,
	const struct json **ret); /* NULL: absent or null */
void body_refuse(struct turn *turn, const char *key, const char *type, const char *message);

/* ---- handlers ---- */

void swerex_create_session(struct http_request *r);
void swerex_run_in_session(struct http_request *r);
void swerex_close_session(struct http_request *r);
void swerex_close(struct http_request *r);
void swerex_execute(struct http_request *r);
void swerex_read_file(struct http_request *r);
void swerex_write_file(struct http_request *r);
void swerex_upload(struct http_request *r);

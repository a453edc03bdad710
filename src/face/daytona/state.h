/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what the files of this face share.
 *
 *	daytona.c   the face              routes.c   the table             reply.c   answers and errors
 *	box.c       sandboxes in memory and in notes; their intervals      dto.c     as a client sees them
 *	make.c      a create body → a wish                                 life.c    create … delete, start, stop
 *	settings.c  labels, intervals, …  snapshot.c images, what there is none of
 *	process.c   execute, code-run     interpreter.c                    outlog.c  what a command wrote
 *	shell.c     a session's shell     session.c  sessions over HTTP    pty.c     terminals
 *	preview.c   ports
 *	files.c     files                 upload.c, download.c  their bytes          git.c
 *	build.c     images of Dockerfiles, on the way                      storage.c the files that belong to them
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "face/chore.h"
#include "face/daytona/daytona.h"
#include "http/origin.h"
#include "runtime/runtime.h"

enum {
	DAYTONA_BODY_MAX = 2 * 1024 * 1024, /* of a JSON body */
	DAYTONA_AUTO_STOP_MINUTES = 15,     /* as Daytona's */
	DAYTONA_AUTO_ARCHIVE_MINUTES = 7 * 24 * 60,
	DAYTONA_SESSIONS_MAX = 64, /* of each kind, in one sandbox */
	BUILD_CONTEXTS_MAX = 32,
};

#define DAYTONA_HOME "/home/daytona"

struct daytona {
	struct runtime *rt;
	struct loop *loop;
	struct http_face face;
	struct list boxes;   /* box::link */
	struct map by_id;    /* of these */
	struct list objects; /* stored::link: files for images, oldest first */
	struct list works;   /* work::link: images that are being built, or were, oldest first */
};

enum box_state { BOX_STARTED, BOX_STOPPED, BOX_ARCHIVED };

/*
 * A sandbox as this face knows it. One that was made elsewhere has a box too, from the first time
 * that it is asked for; without a note and without intervals.
 */
struct box {
	struct daytona *daytona;
	struct list link; /* daytona::boxes */
	char id[ID_SIZE];
	enum box_state state;
	bool is_changing; /* start, stop or delete is under way */
	bool is_deleted;  /* … and told to be */
	bool is_own;      /* made by this face */
	bool is_public;
	bool has_no_bash;
	char *user, *target, *snapshot; /* snapshot may be NULL */
	char *revoked; /* signed links that were ended: tokens with spaces between; may be NULL */
	struct json *env, *labels; /* objects; NULL: empty */
	/* Minutes; 0: never, but auto_delete: -1 never, 0 as soon as it is stopped. */
	int64_t auto_stop, auto_archive, auto_delete;
	/* Dates, for people: the wall clock may jump. 0: never. */
	int64_t destroy_ms, updated_ms, active_ms, stopped_ms;
	/* The same on the monotonic clock, by which it is done. */
	int64_t destroy_due_ms, idle_since_ms, stopped_since_ms;
	struct timer *timer;  /* the next thing to be done by itself */
	struct list shells;   /* shell::link */
	struct list ptys;     /* pty::link */
	struct list contexts; /* context::link */
	size_t n_shells, n_ptys, n_contexts;
};

/* reply.c */
static inline struct daytona *daytona_of(const struct http_request *r)
{
	return r->face->arg;
}
void daytona_put_error(struct buf *b, const struct http_request *r, int status, const char *code,
	const char *text);
/* code: Daytona's own word ("FILE_NOT_FOUND"); NULL: the status says it. */
void daytona_fail(struct http_request *r, int status, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void daytona_fail_error(struct http_request *r, const struct error *err);
int daytona_status(enum error_code code);
void daytona_empty(struct http_request *r, int status);
/*
 * The body as an object in the request's arena's care; NULL: answered. An empty body is an empty
 * object.
 */
struct json *daytona_body(struct http_request *r);
/* A string of an object; false: answered, since it is required and is not there, or is none. */
bool daytona_need(struct http_request *r, const struct json *body, const char *key,
	struct str *ret);
bool daytona_need_query(struct http_request *r, const char *key, struct str *ret);
void daytona_key_json(struct jsonw *w, const char *key, const struct json *value);
void daytona_key_time(struct jsonw *w, const char *key, int64_t wall_ms);

/* box.c */
void boxes_adopt(struct daytona *d);
/* Of a living sandbox that is no other face's; NULL: there is none. */
struct box *box_find(struct daytona *d, struct str key);
struct box *box_new(struct daytona *d, const struct sandbox *s);
void box_free(struct box *b);
struct sandbox *box_sandbox(const struct box *b); /* NULL: it is gone */
/* {id} of the path, which may be a name; NULL: answered with 404. */
struct box *box_of_request(struct http_request *r);
/* The same for what needs its processes: it must run. */
struct box *box_of_toolbox(struct http_request *r, struct sandbox **ret_sandbox);
/* What is done in the sandbox of the path; NULL: answered. It is in use until the last of it. */
struct chore *daytona_chore(struct http_request *r);
void box_put_note(const struct box *b, struct buf *note);
int box_save(struct box *b, struct error *err);   /* as runtime_set_note; err may be NULL */
void box_touch(struct box *b);                    /* it is being used */
void box_set_ttl(struct box *b, int64_t minutes); /* 0: none */
void box_schedule(struct box *b);                 /* after an interval or the state has changed */
const char *box_state_name(const struct box *b);
/* Ends what runs in it and what this face keeps of that. */
void box_drop_processes(struct box *b, const char *why);

/* dto.c */
void box_write(const struct box *b, const struct http_request *r, struct jsonw *w);
void box_reply(const struct box *b, struct http_request *r);
struct making;
struct pending {
	const char *id, *state, *reason; /* reason may be NULL */
	int64_t created_ms;
};
/* One that is only wished for: its image is being built. */
void box_reply_wish(const struct making *m, const struct pending *p, struct http_request *r);

/* snapshot.c */
struct offered {
	const char *id, *name, *state, *reason; /* reason may be NULL */
	int64_t size_bytes, created_ms;
	bool is_host;
};
void snapshot_reply(const struct offered *s, struct http_request *r);
/* name NULL: its first one. */
void snapshot_reply_image(struct http_request *r, struct str image_id, const char *name);

/* make.c */
struct making {
	const struct json *body;
	struct arena *arena;
	struct create *create;
	struct box *box;             /* what its note is made of; not in any list */
	struct str built;            /* the image that came of buildInfo, if it is there by now */
	struct str dockerfile;       /* filled: there is something to be built; else STR_NONE */
	const struct json *contexts; /* … with these */
};
void making_fini(struct making *m);
int make_from_build_info(const struct json *info, struct making *m, struct error *err);
int make_from_body(struct daytona *d, struct making *m, struct error *err);

/* life.c */
/* What make_from_body has filled becomes a sandbox. */
int box_begin(struct daytona *d, struct making *m, runtime_sandbox_fn *done, void *arg,
	struct error *err);
void box_stop(struct box *b, enum box_state to);
void box_delete(struct box *b);

/* shell.c, pty.c, interpreter.c: what a box takes with it. */
void shells_drop(struct box *b, const char *why);
void ptys_drop(struct box *b, const char *why);
void contexts_drop(struct box *b);
#define PROCESS_PREFIX "daytona-"

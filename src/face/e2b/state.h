/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what the files of this face share.
 *
 *	e2b.c     the face: who may come in      routes.c   the table        reply.c   answers and errors
 *	box.c     sandboxes in memory, in notes; their time to live          entry.c   a file as SDKs see it
 *	make.c    a create body → a wish         life.c     create … delete  list.c    lists and one of them
 *	prepare.c its account                    snapshot.c snapshots and forks
 *	rpc.c     a call of one answer           stream.c   a call of many   sign.c    tokens and signatures
 *	process.c processes                      input.c    … what is done to them
 *	tree.c    directories                    files.c, upload.c bytes     watch.c   what changes
 *	code.c    the interpreter                context.c  its contexts
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "face/e2b/e2b.h"
#include "face/sampler.h"
#include "http/ticket.h"
#include "runtime/runtime.h"

enum {
	E2B_BODY_MAX = 4 * 1024 * 1024, /* of a JSON body */
	E2B_PARAMS_MAX = 8 * 1024 * 1024,
	E2B_TIMEOUT_S = 300, /* as E2B's, where nothing is said */
	E2B_TIMEOUT_MAX_S = 366 * 24 * 3600,
	E2B_WATCHERS_MAX = 64, /* that are asked, in one sandbox */
	E2B_PATH_MAX = 4096,
	E2B_KEPT_OF_ONE = 16 * 1024 *
		1024, /* what watchers of one sandbox keep until they are asked … */
	E2B_KEPT_OF_ALL = 256 * 1024 * 1024, /* … and of all */
	E2B_LONG_LISTS = 8, /* of more than a page, under way: each is held in the server … */
	E2B_LONG_LISTS_OF_ONE = 2, /* … and of one sandbox */
};

#define E2B_HOME    "/home/user"
#define E2B_VERSION "0.6.4" /* of envd: what SDKs may ask for depends on it */

struct e2b {
	struct runtime *rt;
	struct loop *loop;
	struct http_face face;
	struct list boxes; /* e2b_box::link, oldest first */
	struct list lists; /* listing::link: those of more than a page */
	struct map by_id;  /* of these */
	size_t kept_bytes; /* by watchers */
};

/* A sandbox as this face knows it: one that this face made, and no other. */
struct e2b_box {
	struct e2b *e2b;
	struct list link; /* e2b::boxes */
	char id[ID_SIZE];
	char *template_id;
	struct json *metadata;      /* an object; NULL: none */
	bool pauses;                /* at its end, instead of going */
	bool resumes;               /* by whoever asks for it, when it is paused */
	bool is_public;             /* so it was asked for: its ports want no token */
	bool is_changing;           /* pause, resume or delete is under way */
	bool is_offline;            /* it was asked to have no way out */
	int64_t started_ms, end_ms; /* dates, for people */
	int64_t due_ms;             /* the same end on the monotonic clock, by which it is done */
	struct timer *timer;        /* for that end */
	struct list watchers;       /* watcher::link */
	struct list contexts;       /* context::link */
	size_t n_watchers, n_contexts;
	size_t kept_bytes; /* by watchers */
};

/* What a row of e2b_routes is about: its data. */
enum e2b_kind {
	E2B_CONTROL, /* the API: the server's token, as X-API-KEY */
	E2B_ENVD,    /* a sandbox: its own token */
	E2B_CODE,    /* its interpreter: that, or the token for its ports */
	E2B_FILES,   /* a sandbox: its own token, or a signature */
};
static inline struct e2b *e2b_of(const struct http_request *r)
{
	return r->face->arg;
}

/* reply.c */
/* {"code":400,"message":…} */
void e2b_fail(struct http_request *r, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void e2b_fail_error(struct http_request *r, const struct error *err);
int e2b_status(enum error_code code);
void e2b_put_error(struct buf *b, int status, const char *text);
void e2b_empty(struct http_request *r, int status);
/* 502 as E2B's proxy says it: the SDKs take it for the end of the sandbox. */
void e2b_gone(struct http_request *r, struct str id);
/* The body as an object; NULL: answered. An empty one is an empty object. */
struct json *e2b_body(struct http_request *r);
/* A field under either of the names that proto3's JSON may have for it. */
const struct json *e2b_field(const struct json *object, const char *camel, const char *snake);
const char *e2b_rpc_code(enum error_code code, int *ret_status);
void e2b_rpc_put_error(struct buf *b, const struct error *err); /* {"code":"not_found",…} */
void e2b_rpc_fail(struct http_request *r, const struct error *err);
void e2b_key_time(struct jsonw *w, const char *key, int64_t wall_ms);

/* sign.c */
enum { E2B_TOKEN_SIZE = TICKET_SIZE };
void e2b_token(const struct http_request *r, struct str id, char ret[E2B_TOKEN_SIZE]);
bool e2b_token_is_valid(const struct http_request *r, struct str id, struct str token);
/* The same for its ports, the interpreter's among them, and for them alone. */
void e2b_traffic_token(const struct http_request *r, struct str id, char ret[E2B_TOKEN_SIZE]);
bool e2b_traffic_is_valid(const struct http_request *r, struct str id, struct str token);
/* The sandbox that the signature of a link is for; NULL with *err. */
struct e2b_box *e2b_signed_box(struct http_request *r, struct error *err);

/* box.c */
void e2b_boxes_adopt(struct e2b *e);
struct e2b_box *e2b_box_new(struct e2b *e, struct sandbox *s); /* NULL: not of this face */
void e2b_box_free(struct e2b_box *b);
/* By its whole id; NULL: there is none that lives. */
struct e2b_box *e2b_box_find(struct e2b *e, struct str id);
struct sandbox *e2b_box_sandbox(const struct e2b_box *b);
/* {id} of the path; NULL: answered with 404. */
struct e2b_box *e2b_box_of_request(struct http_request *r);
/* "49983-ID", the name of its envd, or that of its interpreter → "ID"; STR_NONE: neither. */
struct str e2b_id_of_label(struct str label);
/* Whose name it was sent to, or whose id its header says; STR_NONE: none. */
struct str e2b_id_of_data(const struct http_request *r);
/* The same, and it runs; NULL: answered. */
struct e2b_box *e2b_box_of_data(struct http_request *r);
bool e2b_box_is_paused(const struct e2b_box *b);
void e2b_box_put_note(const struct e2b_box *b, struct buf *note);
int e2b_box_save(struct e2b_box *b, struct error *err); /* as runtime_set_note; err may be NULL */
void e2b_box_set_end(struct e2b_box *b, int64_t timeout_s); /* from now */
void e2b_box_schedule(struct e2b_box *b);

/* make.c */
struct e2b_wish {
	struct arena *arena;
	struct create *create;
	struct e2b_box *box; /* what its note is made of; in no list */
	int64_t timeout_s;
};
int e2b_wish_read(struct e2b *e, const struct json *body, struct e2b_wish *wish, struct error *err);
void e2b_wish_fini(struct e2b_wish *wish);

/* prepare.c: what a wish asks of the core for it, and what is done to a new one. */
void e2b_prepare_spec(const struct e2b *e, struct spec *spec);
void e2b_prepare(struct e2b *e, struct sandbox *s, runtime_sandbox_fn *done, void *arg);

/* list.c */
void e2b_box_write(const struct e2b_box *b, struct jsonw *w);
/* What create, connect and resume answer. */
void e2b_box_put(const struct e2b_box *b, const struct http_request *r, struct jsonw *w);
void e2b_box_reply(const struct e2b_box *b, struct http_request *r, int status);

/* life.c: the keys of what it uses. */
void e2b_put_usage(struct jsonw *w, const struct sandbox *s, const struct sample *sample);

/* context.c */
struct e2b_context {
	struct list link; /* e2b_box::contexts */
	char id[ID_SIZE]; /* of its kernel, too */
	const char *language;
	char *cwd;
};
struct e2b_context *e2b_context_find(struct e2b_box *b, struct str id);
/* Of a language; its kernel is made with its first cell. NULL: *err. */
struct e2b_context *e2b_context_default(struct e2b_box *b, struct str language, struct error *err);
void e2b_context_put_kernel(struct jsonw *w, const struct e2b_context *c);
void e2b_contexts_drop(struct e2b_box *b);

/* watch.c */
void e2b_watchers_drop(struct e2b_box *b);

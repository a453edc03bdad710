/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chore: what a request needs done in a sandbox, one action after the other. It lives in the
 * request's arena; a client that goes away ends it.
 *
 *	struct chore *e = chore_new(r, rt, sandbox_id, fail);
 *	chore_perform(e, &stat_action, &params, on_stat);    … and there the next, or the answer
 *	chore_feed(e, &upload_action, &params, on_stored);   the request's body is an action's input
 *	chore_flow(e, &download_action, &params, &flow);     the bytes of an action are the answer
 *
 * What fails is told by `fail`, in the face's own form, unless `failed` is set; an answer in pieces
 * that has begun is broken off instead. What it keeps on the heap is freed by `drop`, which comes
 * once: before `fail`, and where a face that answers says so (chore_drop).
 */
#pragma once

#include "http/server.h"
#include "runtime/runtime.h"

struct chore;
typedef void chore_fn(struct chore *e, const struct json *result);
typedef void chore_error_fn(struct chore *e, const struct error *err);
typedef void chore_fail_fn(struct http_request *r, const struct error *err);

/* How the bytes of an action become an answer. */
struct chore_flow {
	/*
	 * http_stream_begin. head: what the action has told of what comes (action/file_actions.h);
	 * NULL: nothing, and its bytes are here, or its end.
	 */
	void (*begin)(struct chore *e, const struct json *head);
	/* -1: what has ended with this result has failed. NULL: unless it says "truncated". */
	int (*check)(struct chore *e, const struct json *result, struct error *err);
	/* All of it has been sent. NULL: so has the answer. */
	void (*end)(struct chore *e);
	bool has_stderr; /* what a program writes there is part of it */
};

struct chore {
	struct http_request *r;
	struct runtime *rt;
	char id[ID_SIZE];          /* of the sandbox */
	struct runtime_call *call; /* NULL: none under way */
	chore_fail_fn *fail;
	chore_error_fn *failed; /* an action failed: it answers. NULL: `fail` does */
	/* Of actions that tell something on their way; NULL: passed over. */
	void (*data)(struct chore *e, uint8_t channel, struct str bytes);
	void (*event)(struct chore *e, struct str json);
	void (*drain)(struct chore *e); /* an answer in pieces was full, and goes on; may be NULL */
	void (*used)(struct chore *e);  /* an action has ended, whichever way; may be NULL */
	void (*drop)(struct chore *e);  /* NULL: there is nothing to free */
	void *state;                    /* of the face */
	/* private */
	chore_fn *then;
	const struct chore_flow *flow;
	bool has_flown;
};

struct chore *chore_new(struct http_request *r, struct runtime *rt, const char *id,
	chore_fail_fn *fail);
/* NULL: it is gone, and the request has been answered. */
struct sandbox *chore_sandbox(struct chore *e);
/* NULL: answered, for the sandbox is gone. */
struct runtime_call *chore_perform(struct chore *e, const struct action *action,
	const struct buf *params, chore_fn *then);
/* {"path":PATH,MORE}; more: "" or ",\"key\":value…" */
struct runtime_call *chore_perform_path(struct chore *e, const struct action *action,
	struct str path, const char *more, chore_fn *then);
/* The whole input of the action that was begun. */
void chore_send(struct chore *e, struct str input);
/* The request's body is its input, at its pace. The route is one with HTTP_STREAMS_BODY. */
void chore_feed(struct chore *e, const struct action *action, const struct buf *params,
	chore_fn *then);
/*
 * The bytes of an action go to the client as fast as that takes them. What fails before a byte was
 * sent is told as of any action; what fails later breaks the answer off, which is how a client
 * notices.
 */
void chore_flow(struct chore *e, const struct action *action, const struct buf *params,
	const struct chore_flow *flow);
/* How many bytes a head announces; -1: it does not. */
int64_t chore_flow_size(const struct json *head);
/* Answers with the error, as if an action had failed with it, but `failed` is not asked. */
void chore_fail(struct chore *e, const struct error *err);
/* Cancels what is under way, and frees. To be answered is left to the caller. */
void chore_drop(struct chore *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chore: what a request needs done in a sandbox, one action after the other. It lives in the
 * request's arena; a client that goes away ends it.
 *
 *	struct chore *c = chore_new(r, rt, sandbox_id, fail);
 *	chore_perform(c, &stat_action, &params, on_stat);    … and there the next, or the answer
 *
 * What fails is told by `fail`, in the face's own form, unless `failed` is set. What it keeps on
 * the heap is freed by `drop`, which comes once: before `fail`, and where a face that answers says
 * so (chore_drop).
 */
#pragma once

#include "http/server.h"
#include "runtime/runtime.h"

struct chore;
typedef void chore_fn(struct chore *e, const struct json *result);
typedef void chore_error_fn(struct chore *e, const struct error *err);
typedef void chore_fail_fn(struct http_request *r, const struct error *err);

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
	void (*drop)(struct chore *e); /* NULL: there is nothing to free */
	void *state;                   /* of the face */
	chore_fn *then;                /* private */
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
/* Answers with the error, as if an action had failed with it, but `failed` is not asked. */
void chore_fail(struct chore *e, const struct error *err);
/* Cancels what is under way, and frees. To be answered is left to the caller. */
void chore_drop(struct chore *e);

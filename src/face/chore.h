/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chore: what a request needs done in a sandbox, one action after the other. It lives in the
 * request's arena; a client that goes away ends it.
 *
 *	struct chore *c = chore_new(r, rt, sandbox_id, fail);
 *	chore_perform(c, &stat_action, &params, on_stat);    … and there the next, or the answer
 *
 * What fails is told by `fail`, in the face's own form, unless `failed` is set.
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
	chore_error_fn *failed;        /* an action failed: it answers. NULL: `fail` does */
	void (*drop)(struct chore *e); /* frees `state` before `fail` is called; may be NULL */
	void *state;                   /* of the face */
	chore_fn *then;                /* private */
};

struct chore *chore_new(struct http_request *r, struct runtime *rt, const char *id,
	chore_fail_fn *fail);
/* NULL: answered, for the sandbox is gone. */
struct runtime_call *chore_perform(struct chore *e, const struct action *action,
	const struct buf *params, chore_fn *then);
/* {"path":PATH,MORE}; more: "" or ",\"key\":value…" */
struct runtime_call *chore_perform_path(struct chore *e, const struct action *action,
	struct str path, const char *more, chore_fn *then);
/* Answers with the error, as if an action had failed with it, but `failed` is not asked. */
void chore_fail(struct chore *e, const struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errand: actions for one request of the agent server's workspace (/api/…), one after the other.
 *
 *	static void on_made(struct errand *a, const struct json *result)
 *	{ errand_success(a); }
 *	…
 *	struct errand *a = errand_new(oh, r, s);
 *	errand_perform(a, &mkdir_action, &params, on_made);
 *
 * An errand lives as long as its request. What it keeps on the heap is dropped by `drop`, which
 * comes once, before the answer, whatever that is: also when the client has gone, and nothing
 * follows.
 */
#pragma once

#include "face/openhands/state.h"

struct errand;
typedef void errand_fn(struct errand *a, const struct json *result);

struct errand {
	struct http_request *r;
	struct openhands *oh;
	char id[ID_SIZE]; /* of the sandbox */
	struct runtime_call *call;
	errand_fn *then;
	void (*failed)(struct errand *a, const struct error *err); /* NULL: it is the answer */
	void (*data)(struct errand *a, uint8_t channel, struct str bytes);
	void (*event)(struct errand *a, struct str json);
	void (*drop)(struct errand *a);
	void *state;
};

struct errand *errand_new(struct openhands *oh, struct http_request *r, const struct sandbox *s);
/* Its sandbox; NULL: it is gone, and the request has been answered. */
struct sandbox *errand_sandbox(struct errand *a);
/* The result, or the failure, comes later. */
void errand_perform(struct errand *a, const struct action *action, const struct buf *params,
	errand_fn *then);
/* The answer. */
void errand_reply(struct errand *a, const struct buf *json);
void errand_success(struct errand *a); /* {"success":true} */
void errand_refuse(struct errand *a, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void errand_fail(struct errand *a, const struct error *err);

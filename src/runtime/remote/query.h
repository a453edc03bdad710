/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query: a question to another server whose answer is a backend's reply. Private to runtime/remote.
 */
#pragma once

#include "base/list.h"
#include "runtime/backend.h"
#include "runtime/remote/ask.h"

struct queries {
	struct asker *asker;
	void *owner;
	struct list list; /* query::link: those under way */
};

/*
 * Makes of an answer (NULL: it has no body) what the runtime is told; `owner` as in struct queries.
 */
typedef void query_fn(void *owner, const struct json *answer, struct backend_reply *reply);

void queries_init(struct queries *q, struct asker *asker, void *owner);
/* After asker_fini, or an answer could still come. What was not answered by then never is. */
void queries_fini(struct queries *q);
/*
 * Its `done` and `arg` are ours. A failure is told as it is, an answer that is no JSON as
 * ERROR_PROTOCOL.
 */
void queries_ask(struct queries *q, const char *id, const struct ask_plan *plan, query_fn *take,
	backend_fn *done, void *arg);

/* Of usage: a number, or -1, which is "unknown". */
int64_t query_number(const struct json *json, const char *key);
#define USAGE_UNKNOWN ((struct monitor_usage){ -1, -1, -1, -1, -1, -1, -1 })

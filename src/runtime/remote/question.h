/* SPDX-License-Identifier: Apache-2.0 */
/*
 * question: what is asked of a service that keeps sandboxes for us, an engine or a cluster, and is
 * answered in JSON. By `ask`; private to runtime.
 *
 * Whatever is asked is about names that we chose, so asking again does no harm. Each question is
 * answered once, unless it is forgotten before. An error names the service, and is never the fault
 * of who asked us: that it is away, or will not have us, is ERROR_UNAVAILABLE.
 */
#pragma once

#include "runtime/remote/ask.h"

struct questions {
	struct asker *asker;
	const char *kind, *name;                     /* in errors: "engine", "/run/docker.sock" */
	void (*on_401)(struct questions *questions); /* NULL is fine */
	struct list list;                            /* question::link */
};

/* `json` is NULL for an answer without any. */
typedef void answer_fn(void *arg, int status, const struct json *json, const struct error *err);

void questions_init(struct questions *questions, struct asker *asker, const char *kind);
/* After asker_fini, or an answer could still come. What was not answered by then never is. */
void questions_fini(struct questions *questions);
/* The questions of this `arg` get no answer. */
void questions_forget(struct questions *questions, const void *arg);
/*
 * Of the plan all but `done`, `arg` and `is_harmless`. judge: for answers that are no JSON; says
 * whether one is good. `done` may be NULL.
 */
void questions_ask(struct questions *questions, const struct ask_plan *plan,
	int (*judge)(struct str body, struct error *err), answer_fn *done, void *arg);
/* Puts the service's name in front, as in every answer's error. */
void questions_name(const struct questions *questions, struct error *err);

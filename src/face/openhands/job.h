/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job: one /execute_action, from its request to its answer.
 *
 * A kind of action is one const row with the fields of its `args` and a function that starts it. A
 * job goes on in steps: each asks the core for one thing (job_perform) and names the function that
 * takes what came of it. Exactly one job_answer, job_fail or job_refuse ends the job, after which
 * it is gone.
 *
 * A step sees only what came of the action itself. A sandbox that is paused or gone ends the job
 * before.
 */
#pragma once

#include "action/action.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/server.h"

struct cursor;
struct job;
struct runtime;
struct runtime_call;

enum { JOB_TIMEOUT_TEXT_SIZE = 40 };

struct job_kind {
	const char *name; /* the value of "action" */
	const struct field *fields;
	size_t args_size;
	void (*start)(struct job *job, const void *args);
};

/* One of result and err is NULL. Both are valid until the step returns. */
typedef void job_step_fn(struct job *job, const struct json *result, const struct error *err);

struct job {
	struct list link; /* cursor::queue, until it is its turn */
	struct cursor *cursor;
	struct runtime *rt;
	struct http_request *request; /* its arena holds what belongs to the job */
	struct json *body;
	const struct job_kind *kind;
	const void *args;
	int64_t timeout_ms;                       /* 0: none */
	char timeout_text[JOB_TIMEOUT_TEXT_SIZE]; /* as Python prints it */
	int64_t quiet_s;                          /* NO_CHANGE_TIMEOUT_SECONDS */
	void *state;                              /* of the kind, in the request's arena */
	struct runtime_call *call;                /* under way, or NULL */
	job_step_fn *next;
};

/*
 * Takes the request and its parsed body, and puts the job at the end of the cursor's queue. Answers
 * the request itself if the body is no action that can be performed, or the queue is full.
 */
void job_new(struct runtime *rt, struct cursor *cursor, struct http_request *request,
	struct json *body);
/* Ends all jobs of a cursor, so that it can be freed. */
void job_drop_all(struct cursor *cursor);

/* params: a JSON object, or NULL. */
void job_perform(struct job *job, const struct action *action, const struct buf *params,
	job_step_fn *next);

/* Room for an observation; what does not fit is answered as an error. */
#define JOB_OBSERVATION_INIT BUF_INIT(HTTP_REPLY_MAX)

/* 200 with an observation. */
void job_answer(struct job *job, const struct buf *observation);
/* 200 with an error observation. */
void job_refuse(struct job *job, struct str text);
/* The same for what this backend has not: the error is AGENT_ERROR$BAD_ACTION. */
void job_refuse_action(struct job *job, struct str text);
/* Of the backend cli, which the original has, too: a shell for each command, and no kernel. */
bool job_is_cli(const struct job *job);
/* 500, as for an exception of the original. */
void job_fail(struct job *job, const char *text);

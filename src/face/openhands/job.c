/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A cursor has at most one active job; the others wait in its queue.
 * take_turns is the only place that makes a job active. A job may end while it is being started, so
 * take_turns goes on in a loop and is not entered twice for one cursor. A client that goes away
 * gives its turn up; what it began goes on.
 *
 * The first job of a cursor that is not known yet asks the sandbox who runs its shells (info) and
 * what its main session is doing (session_list), and then starts.
 */
#include "face/openhands/job.h"

#include "action/executor_actions.h"
#include "action/gate.h"
#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "face/openhands/confine.h"
#include "face/openhands/cursor.h"
#include "face/openhands/observation.h"
#include "face/openhands/openhands.h"
#include "face/openhands/reply.h"
#include "face/openhands/request.h"
#include "runtime/runtime.h"

#define MAIN_SESSION "main" /* the one that actions without a name go to */

enum { QUIET_STANDARD_S = 10, QUIET_MAX_S = 86400 };

static void take_turns(struct cursor *c);

/* The end of a job. The request has been answered. */
static void job_end(struct job *job)
{
	struct cursor *c = job->cursor;
	if (c->active == job) {
		c->active = NULL;
	} else if (!list_is_empty(&job->link)) {
		list_remove(&job->link);
		c->n_queued--;
	}
	json_free(job->body);
	free(job);
	take_turns(c);
}

void job_answer(struct job *job, const struct buf *observation)
{
	http_reply_json(job->request, 200, observation);
	job_end(job);
}

void job_refuse(struct job *job, struct str text)
{
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	observation_put_error(&b, text);
	job_answer(job, &b);
}

void job_refuse_action(struct job *job, struct str text)
{
	auto_buf struct buf b = JOB_OBSERVATION_INIT;
	observation_put_error_id(&b, text, "AGENT_ERROR$BAD_ACTION");
	job_answer(job, &b);
}

bool job_is_cli(const struct job *job)
{
	return !strcmp(runtime_backend_name(job->rt), "cli");
}

void job_fail(struct job *job, const char *text)
{
	reply_detail(job->request, 500, "Internal server error: %s", text);
	job_end(job);
}

/* ---- asking the core ---- */

/* What remote clients understand: 503 is a sandbox that may come back, 404 is one that is gone. */
static void end_without_sandbox(struct job *job, const struct sandbox *s, const char *text)
{
	bool is_gone = !s || sandbox_state_is_final(s->state);
	reply_detail(job->request, is_gone ? 404 : 503, "%s", text);
	job_end(job);
}

static bool is_usable(const struct sandbox *s)
{
	return s && (s->state == SANDBOX_READY || s->state == SANDBOX_RUNNING);
}

static void on_error(void *arg, const struct error *err)
{
	struct job *job = arg;
	job->call = NULL;
	const struct sandbox *s = runtime_find(job->rt, str_from(job->cursor->id), NULL);
	if (gate_is_refusal(err))
		job_refuse(job, str_from(err->text));
	else if (is_usable(s) && confine_is_reason(job, err))
		confine_refuse(job);
	else if (is_usable(s))
		job->next(job, NULL, err);
	else
		end_without_sandbox(job, s, err->text);
}

static void on_result(void *arg, struct str text)
{
	struct job *job = arg;
	auto_json struct json *result = NULL;
	struct error err;
	if (json_parse(text, &result, &err) < 0) {
		on_error(arg, &err);
		return;
	}
	job->call = NULL;
	job->next(job, result, NULL);
}

static const struct call_sink sink = { .result = on_result, .error = on_error };

void job_perform(struct job *job, const struct action *action, const struct buf *params,
	job_step_fn *next)
{
	struct error err;
	BUG_IF(job->call, "a job performs two actions at once");
	struct sandbox *s = runtime_find(job->rt, str_from(job->cursor->id), &err);
	if (!s) {
		end_without_sandbox(job, NULL, err.text);
	} else if (params && params->is_full) {
		job_fail(job, "the action is too large");
	} else {
		job->next = next;
		job->call = runtime_perform(s, action, params ? buf_str(params) : STR_NONE, &sink,
			job);
	}
}

/* ---- getting to know the sandbox ---- */

static void keep(char **at, struct str s)
{
	free(*at);
	*at = str_dup(s.ptr ? s : STR(""));
}

static void on_sessions(struct job *job, const struct json *result, const struct error *err)
{
	struct cursor *c = job->cursor;
	if (err) {
		job_fail(job, err->text);
		return;
	}
	const struct json *sessions = json_find(result, "sessions");
	for (size_t i = 0; i < json_len(sessions); i++) {
		const struct json *session = json_at(sessions, i);
		if (!str_is(json_str(json_find(session, "session")), MAIN_SESSION))
			continue;
		c->is_waiting = str_is(json_str(json_find(session, "status")), "running");
		keep(&c->cwd, json_str(json_find(session, "cwd")));
	}
	c->is_known = true;
	job->kind->start(job, job->args);
}

static void on_info(struct job *job, const struct json *result, const struct error *err)
{
	struct cursor *c = job->cursor;
	if (err) {
		job_fail(job, err->text);
		return;
	}
	struct str hostname = json_str(json_find(result, "hostname"));
	ptrdiff_t dot = str_find_char(hostname, '.');
	keep(&c->username, json_str(json_find(result, "user")));
	keep(&c->hostname, dot < 0 ? hostname : str_first(hostname, (size_t)dot));
	keep(&c->workdir, json_str(json_find(result, "workdir")));
	keep(&c->cwd, str_from(c->workdir));
	job_perform(job, &session_list_action, NULL, on_sessions);
}

/* ---- whose turn it is ---- */

/*
 * Whoever asked is gone: the turn goes on to the next, who finds the command still running, or its
 * output waiting. What the shell does is asked for again, since its report has come to nobody.
 */
static void on_closed(void *arg)
{
	struct job *job = arg;
	if (!job->call)
		return;
	runtime_call_cancel(take_ptr(job->call));
	job->cursor->is_known = false;
	job->cursor->has_shown = false;
	job_fail(job, "the client went away");
}

static const struct http_ops request_ops = { .on_closed = on_closed };

static void start(struct job *job)
{
	http_listen(job->request, &request_ops, job);
	if (http_is_closed(job->request))
		job_fail(job, "the client went away before its turn");
	else if (job->cursor->is_known)
		job->kind->start(job, job->args);
	else
		job_perform(job, &info_action, NULL, on_info);
}

static void take_turns(struct cursor *c)
{
	if (c->is_taking_turns)
		return;
	c->is_taking_turns = true;
	while (!c->active && !list_is_empty(&c->queue)) {
		struct job *job = list_entry(c->queue.next, struct job, link);
		list_remove(&job->link);
		c->n_queued--;
		c->active = job;
		start(job);
	}
	c->is_taking_turns = false;
}

/* NO_CHANGE_TIMEOUT_SECONDS, which is a label here. */
static int64_t quiet_of(struct runtime *rt, const struct cursor *c)
{
	const struct sandbox *s = runtime_find(rt, str_from(c->id), NULL);
	struct str label = s ? sandbox_label(s, STR("NO_CHANGE_TIMEOUT_SECONDS")) : STR_NONE;
	int64_t seconds;
	if (!label.ptr || num_parse_i64(label, 1, QUIET_MAX_S, &seconds, NULL) < 0)
		return QUIET_STANDARD_S;
	return seconds;
}

static void answer_undecodable(struct job *job, const struct error *err)
{
	if (err->code == ERROR_INVALID) {
		reply_invalid(job->request, err->text);
		job_end(job);
	} else {
		job_fail(job, err->text);
	}
}

void job_new(struct runtime *rt, struct cursor *cursor, struct http_request *request,
	struct json *body)
{
	struct job *job = mem_new(struct job);
	struct error err;
	job->rt = rt;
	job->cursor = cursor;
	job->request = request;
	job->body = body;
	job->quiet_s = quiet_of(rt, cursor);
	list_init(&job->link);
	cursor->active_ms = clock_mono_ms();
	if (request_decode(job, &err) < 0) {
		answer_undecodable(job, &err);
	} else if (cursor->n_queued >= OPENHANDS_QUEUE_MAX) {
		reply_detail(request, 429, "%d actions wait for their turn; that is the limit",
			cursor->n_queued);
		job_end(job);
	} else {
		list_append(&cursor->queue, &job->link);
		cursor->n_queued++;
		take_turns(cursor);
	}
}

static void drop(struct job *job)
{
	if (job->call)
		runtime_call_cancel(job->call);
	job_fail(job, "the server is shutting down");
}

void job_drop_all(struct cursor *c)
{
	c->is_taking_turns = true; /* nobody's turn comes any more */
	while (!list_is_empty(&c->queue))
		drop(list_entry(c->queue.next, struct job, link));
	if (c->active)
		drop(c->active);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each route is a row (routes.c), twice: bare, and below /openhands/{sandbox}. A handler decodes,
 * finds its sandbox with openhands_with_sandbox and hands over: actions to job.c, which keeps them in order,
 * transfers to transfer.c.
 *
 * The sandbox of the bare paths is made by the first request that needs it. Requests that come meanwhile wait
 * with the first one, so it is made once. What the original's start-up makes sure of is in default_create.
 */
#include "face/openhands/openhands.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "face/openhands/handlers.h"
#include "face/openhands/job.h"
#include "face/openhands/reply.h"
#include "face/openhands/state.h"

enum { WAITING_MAX = 1024 };

/* ---- which sandbox ---- */

struct waiter {
	struct list link; /* openhands::waiting */
	struct http_request *request;
	sandbox_handler_fn *fn;
};

static void serve(struct openhands *oh, struct http_request *r, struct sandbox *s,
	sandbox_handler_fn *fn)
{
	if (s->state == SANDBOX_READY || s->state == SANDBOX_RUNNING)
		fn(oh, r, s);
	else
		reply_detail(r, sandbox_state_is_final(s->state) ? 404 : 503,
			"sandbox %s is %s%s%s", s->id, sandbox_state_name(s->state),
			s->reason[0] ? ": " : "", s->reason);
}

static void on_created(void *arg, struct sandbox *s, const struct error *err)
{
	struct openhands *oh = arg;
	struct list ready;
	char id[ID_SIZE];
	snprintf(id, sizeof(id), "%s", s ? s->id : "");
	/* Whoever comes from here on starts anew: it is there, or is tried again. */
	list_init(&ready);
	while (!list_is_empty(&oh->waiting)) {
		struct waiter *w = list_get_first(&oh->waiting, struct waiter, link);
		list_remove(&w->link);
		list_append(&ready, &w->link);
	}
	oh->n_waiting = 0;
	while (!list_is_empty(&ready)) {
		struct waiter *w = list_get_first(&ready, struct waiter, link);
		struct http_request *r = w->request;
		sandbox_handler_fn *fn = w->fn;
		struct error gone;
		list_remove(&w->link);
		free(w);
		s = err ? NULL : runtime_find(oh->rt, str_from(id), &gone);
		if (s)
			serve(oh, r, s, fn);
		else
			reply_detail(r, error_http(err ? err->code : gone.code), "%s",
				err ? err->text : gone.text);
	}
}

/* The host's tools in /workspace, and no pager or prompt that would wait for a person. */
static void default_create(struct openhands *oh)
{
	static struct str keys[] = { { "GIT_PAGER", 9 }, { "PIP_BREAK_SYSTEM_PACKAGES", 25 },
		{ "PYTHONUNBUFFERED", 16 } };
	static struct str values[] = { { "cat", 3 }, { "1", 1 }, { "1", 1 } };
	auto_free struct create *create = mem_new(struct create); /* too large for the stack */
	create->name = STR(OPENHANDS_SANDBOX);
	create->spec.image = IMAGE_HOST;
	snprintf(create->spec.workdir, sizeof(create->spec.workdir), "/workspace");
	create->env = (struct field_map){ keys, values, ARRAY_LEN(keys) };
	runtime_create(oh->rt, create, on_created, oh);
}

static void wait_for_default(struct openhands *oh, struct http_request *r, sandbox_handler_fn *fn)
{
	bool is_first = list_is_empty(&oh->waiting);
	if (oh->n_waiting >= WAITING_MAX) {
		reply_detail(r, 429, "%d requests wait for the sandbox; that is the limit",
			WAITING_MAX);
		return;
	}
	struct waiter *w = mem_new(struct waiter);
	w->request = r;
	w->fn = fn;
	list_append(&oh->waiting, &w->link);
	oh->n_waiting++;
	if (is_first)
		default_create(oh);
}

void openhands_with_sandbox(struct http_request *r, sandbox_handler_fn *fn)
{
	struct openhands *oh = openhands_of(r);
	struct str name = http_param(r, "sandbox");
	struct error err;
	struct sandbox *s = runtime_find(oh->rt, name.ptr ? name : STR(OPENHANDS_SANDBOX), &err);
	if (!name.ptr && (!s || sandbox_state_is_final(s->state) || !list_is_empty(&oh->waiting)))
		wait_for_default(oh, r, fn);
	else if (s)
		serve(oh, r, s, fn);
	else
		reply_detail(r, 404, "%s", err.text);
}

/* ---- handlers ---- */

void alive(struct http_request *r)
{
	struct openhands *oh = openhands_of(r);
	struct str name = http_param(r, "sandbox");
	struct error err;
	const struct sandbox *s = name.ptr ? runtime_find(oh->rt, name, &err) : NULL;
	if (name.ptr && (!s || sandbox_state_is_final(s->state)))
		reply_detail(r, 404, "%s", s ? sandbox_state_name(s->state) : err.text);
	else if (s && s->state != SANDBOX_READY && s->state != SANDBOX_RUNNING)
		http_reply(r, 200, "application/json", STR("{\"status\":\"not initialized\"}"));
	else
		http_reply(r, 200, "application/json", STR("{\"status\":\"ok\"}"));
}

static void execute_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	struct json *body = NULL;
	struct error err;
	if (json_parse(r->body, &body, &err) < 0)
		reply_invalid(r, err.text);
	else
		job_new(oh->rt, cursors_get(&oh->cursors, oh->rt, s->id), r, body);
}

void execute_action(struct http_request *r)
{
	openhands_with_sandbox(r, execute_in);
}

/* ---- the face ---- */

static int authorize(struct http_request *r, struct error *err)
{
	static const char *const headers[] = { "X-Session-API-Key", "X-API-Key" };
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct str key = http_header(r, headers[i]);
		if (key.ptr && http_token_is_valid(r, key))
			return 0;
	}
	struct str bearer = http_header(r, "Authorization");
	if (str_eq_nocase(str_first(bearer, 7), STR("Bearer ")))
		bearer = str_trim(str_skip(bearer, 7));
	else
		bearer = STR_NONE;
	if (http_token_is_valid(r, bearer))
		return 0;
	return error_set(err, ERROR_FORBIDDEN, "Invalid API Key");
}

/* Only for what the server itself refuses: handlers answer with reply_detail. */
static void render_error(const struct http_face *face, const struct error *e, int *status,
	struct buf *body)
{
	if (e->code == ERROR_NOT_FOUND)
		reply_put_detail(body, STR("Not Found"));
	else if (e->code == ERROR_METHOD)
		reply_put_detail(body, STR("Method Not Allowed"));
	else
		reply_put_detail(body, str_from(e->text));
}

struct openhands *openhands_new(struct runtime *rt)
{
	struct openhands *oh = mem_new(struct openhands);
	oh->rt = rt;
	oh->started_ms = clock_mono_ms();
	oh->cpu_seen_us = clock_mono_us();
	cursors_init(&oh->cursors);
	list_init(&oh->waiting);
	list_init(&oh->transfers);
	oh->face = (struct http_face){
		.name = "openhands",
		.prefix = "/openhands/",
		.routes = openhands_routes,
		.arg = oh,
		.authorize = authorize,
		.render_error = render_error,
	};
	return oh;
}

void openhands_free(struct openhands *oh)
{
	struct cursor *c, *next;
	if (!oh)
		return;
	on_created(oh, NULL,
		&(struct error){ ERROR_UNAVAILABLE, 0, "the server is shutting down" });
	transfer_drop_all(oh);
	list_for_each_safe(c, next, &oh->cursors.all, link)
		job_drop_all(c);
	cursors_fini(&oh->cursors);
	free(oh);
}

const struct http_face *openhands_face(const struct openhands *oh)
{
	return &oh->face;
}

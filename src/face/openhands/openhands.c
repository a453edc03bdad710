/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Each route is a row (routes.c), twice: bare, and below /openhands/{sandbox}.
 * A handler decodes, finds its sandbox with openhands_with_sandbox and hands over: actions to
 * job.c, which keeps them in order, transfers to transfer.c.
 *
 * The sandbox of the bare paths is made by the first request that needs it. Requests that come
 * meanwhile wait with the first one, so it is made once. What the original's start-up makes sure of
 * is in prepare.c.
 */
#include "face/openhands/openhands.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "face/openhands/handlers.h"
#include "face/openhands/conversation.h"
#include "face/openhands/job.h"
#include "face/openhands/prepare.h"
#include "face/openhands/reply.h"
#include "face/openhands/server.h"
#include "face/openhands/state.h"
#include "face/openhands/warm.h"

enum { WAITING_MAX = 1024 };

/* ---- which sandbox ---- */

struct waiter {
	struct list link; /* openhands::waiting */
	struct http_request *request;
	sandbox_handler_fn *fn;
};

static void refuse(struct http_request *r, const struct sandbox *s)
{
	struct error err;
	sandbox_refuse(s, ERROR_CONFLICT, &err);
	reply_detail(r, sandbox_state_is_final(s->state) ? 404 : 503, "%s", err.text);
}

static void serve(struct openhands *oh, struct http_request *r, struct sandbox *s,
	sandbox_handler_fn *fn)
{
	if (s->state == SANDBOX_READY || s->state == SANDBOX_RUNNING)
		fn(oh, r, s);
	else
		refuse(r, s);
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

/* As a client of a fleet would start it that says no more than it must. */
static void default_create(struct openhands *oh)
{
	const struct start start = {
		.workdir = { "/workspace", 10 },
		.username = { "openhands", 9 },
		.uid = START_UID,
		.runs_as_user = true,
		.plugins = { "agent_skills,jupyter", 20 },
		.has_browser = oh->has_browser,
		.resource_factor = 1,
	};
	prepare_sandbox(oh, &start, STR(OPENHANDS_SANDBOX), on_created, oh);
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
	if (!name.ptr)
		name = server_of_key(r);
	struct sandbox *s = runtime_find(oh->rt, name.ptr ? name : STR(OPENHANDS_SANDBOX), &err);
	if (!name.ptr && (!s || sandbox_state_is_final(s->state) || !list_is_empty(&oh->waiting)))
		wait_for_default(oh, r, fn);
	else if (s)
		serve(oh, r, s, fn);
	else
		reply_detail(r, 404, "%s", err.text);
}

/* ---- handlers ---- */

/*
 * Clients take any 2xx for alive and read no further: what is paused, or not there yet, is no 2xx.
 */
void openhands_is_ready(struct http_request *r, const char *yes)
{
	struct str name = http_param(r, "sandbox");
	struct error err;
	const struct sandbox *s = name.ptr ? openhands_find_open(r, &err) : NULL;
	if (name.ptr && (!s || sandbox_state_is_final(s->state)))
		reply_detail(r, 404, "%s", s ? sandbox_state_name(s->state) : err.text);
	else if (s && s->state != SANDBOX_READY && s->state != SANDBOX_RUNNING)
		reply_detail(r, 503, "not initialized: sandbox %s is %s", s->id,
			sandbox_state_name(s->state));
	else
		http_reply(r, 200, "application/json", str_from(yes));
}

void alive(struct http_request *r)
{
	openhands_is_ready(r, "{\"status\":\"ok\"}");
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

static struct str session_key_purpose(struct http_request *r, const char *id)
{
	return str_from(arena_printf(&r->arena, "openhands session key of %s", id));
}

/* Whatever is chosen: it begins as no other purpose does. */
static struct str chosen_key_purpose(struct http_request *r, struct str key)
{
	return str_from(arena_printf(&r->arena, "openhands chosen key %.*s", STR_ARG(key)));
}

const char *session_key_of(struct http_request *r, const char *id)
{
	char *key = arena_alloc(&r->arena, TICKET_SIZE);
	ticket_make(r, session_key_purpose(r, id), key);
	return key;
}

const char *session_key(struct http_request *r, const struct sandbox *s)
{
	const struct cursor *c = cursors_find(&openhands_of(r)->cursors, s->id);
	return c && c->session_key ? c->session_key : session_key_of(r, s->id);
}

const char *session_key_proof(struct http_request *r, struct str key)
{
	char *proof = arena_alloc(&r->arena, TICKET_SIZE);
	if (!key.len)
		return NULL;
	ticket_make(r, chosen_key_purpose(r, key), proof);
	return proof;
}

/*
 * What the path names as a sandbox, whether there is such a route or not; or, where it names none,
 * the key.
 */
static struct str named_sandbox(struct http_request *r)
{
	struct str param = http_param(r, "sandbox"), path = r->path, name;
	if (param.ptr)
		return param;
	if (r->route)
		return server_of_key(r);
	path = str_skip(path, str_starts(path, STR("/openhands/")) ? 11 : 1);
	return str_split(&path, '/', &name) && id_is_valid(name) ? name : STR_NONE;
}

/* Below /{id}, as below /openhands/{id}, what is unknown is unknown in this protocol's words. */
static bool owns_path(const struct http_face *face, struct str path)
{
	struct str name;
	path = str_skip(path, 1);
	return str_split(&path, '/', &name) && id_is_valid(name);
}

/*
 * By the time that its body has come, the name may be another sandbox's, for which the key is not.
 */
static void pin_sandbox(struct http_request *r, const struct sandbox *s)
{
	for (size_t i = 0; i < r->match.n_params; i++)
		if (str_is(r->match.names[i], "sandbox"))
			r->match.values[i] = str_from(arena_str(&r->arena, str_from(s->id)));
}

/*
 * The key of the sandbox that the path names, or that a bare path means: ours, or the one that its
 * maker chose.
 */
static bool is_session_key(struct http_request *r, struct str key)
{
	struct openhands *oh = openhands_of(r);
	struct str name = named_sandbox(r);
	const struct sandbox *s = runtime_find(oh->rt, name.ptr ? name : STR(OPENHANDS_SANDBOX),
		NULL);
	if (!s || !key.len || key.len > START_KEY_MAX)
		return false;
	struct str proof = sandbox_label(s, STR(LABEL_KEY));
	if (server_id_of_key(key).ptr && str_is(server_id_of_key(key), s->id))
		key = str_skip(key, ID_LEN + 1);
	if (!ticket_is_valid(r, session_key_purpose(r, s->id), key) &&
		!(proof.len && ticket_is_valid(r, chosen_key_purpose(r, key), proof)))
		return false;
	pin_sandbox(r, s);
	return true;
}

bool openhands_has_server_key(struct http_request *r)
{
	return !http_param(r, "sandbox").ptr && server_of_key(r).ptr &&
		is_session_key(r, http_header(r, "X-Session-API-Key"));
}

static bool is_valid(struct http_request *r, struct str key, bool is_fleet)
{
	return http_token_is_valid(r, key) || (!is_fleet && is_session_key(r, key));
}

static int authorize(struct http_request *r, struct error *err)
{
	static const char *const headers[] = { "X-Session-API-Key", "X-API-Key" };
	bool is_fleet = r->route && r->route->data == openhands_fleet;
	bool is_server = r->route && r->route->data == openhands_server;
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct str key = http_header(r, headers[i]);
		if (key.ptr && is_valid(r, key, is_fleet))
			return 0;
	}
	struct str bearer = http_header(r, "Authorization");
	if (str_eq_nocase(str_first(bearer, 7), STR("Bearer ")))
		bearer = str_trim(str_skip(bearer, 7));
	else
		bearer = STR_NONE;
	if (is_valid(r, bearer, is_fleet) || (is_server && server_lets_in(r)))
		return 0;
	return error_set(err, is_fleet ? ERROR_UNAUTHORIZED : ERROR_FORBIDDEN, "Invalid API Key");
}

/* Nobody can guess an id; names, and beginnings of ids one letter after the other, anybody can. */
struct sandbox *openhands_find_open(struct http_request *r, struct error *err)
{
	struct str name = http_param(r, "sandbox");
	struct error denied;
	if (!id_is_valid(name) && authorize(r, &denied) < 0) {
		error_set(err, ERROR_NOT_FOUND, "no such sandbox: '%.*s'",
			STR_ARG(str_first(name, 64)));
		return NULL;
	}
	return runtime_find(openhands_of(r)->rt, name, err);
}

/*
 * Bare paths are about a sandbox as well, but no token of a sandbox opens them: their rows name no
 * role.
 */
static const char *sandbox_of(const struct http_request *r)
{
	struct str name = http_param(r, "sandbox");
	if (!name.ptr)
		name = server_of_key(r);
	const struct sandbox *s = runtime_find(openhands_of(r)->rt,
		name.ptr ? name : STR(OPENHANDS_SANDBOX), NULL);
	return s ? s->id : NULL;
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

struct openhands *openhands_new(struct runtime *rt, int64_t n_warm, bool has_browser)
{
	struct openhands *oh = mem_new(struct openhands);
	oh->rt = rt;
	oh->has_browser = has_browser;
	oh->started_ms = clock_mono_ms();
	oh->cpu_seen_us = clock_mono_us();
	cursors_init(&oh->cursors);
	list_init(&oh->waiting);
	list_init(&oh->mcp_proxies);
	list_init(&oh->builds);
	list_init(&oh->preparing);
	list_init(&oh->conversations);
	oh->face = (struct http_face){
		.name = "openhands",
		.prefix = "/openhands/",
		.owns_path = owns_path,
		.routes = openhands_routes,
		.arg = oh,
		.authorize = authorize,
		.sandbox_of = sandbox_of,
		.sandbox_param = "sandbox",
		.render_error = render_error,
	};
	oh->warm = warm_new(oh, n_warm);
	return oh;
}

void openhands_free(struct openhands *oh)
{
	struct cursor *c, *next;
	if (!oh)
		return;
	prepare_drop_all(oh);
	warm_free(take_ptr(oh->warm));
	mcp_drop_all(oh);
	builds_drop_all(oh);
	list_for_each_safe(c, next, &oh->cursors.all, link)
		job_drop_all(c);
	conversations_drop_all(oh);
	cursors_fini(&oh->cursors);
	free(oh);
}

const struct http_face *openhands_face(const struct openhands *oh)
{
	return &oh->face;
}

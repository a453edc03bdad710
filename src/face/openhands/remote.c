/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Remote Runtime API, by which OpenHands asks a fleet for sandboxes ("runtimes"): /start,
 * /stop, /pause, /resume, /list, /runtime/{id}, /sessions/…, and what it asks about images.
 *
 * Theory of operation. A runtime is a sandbox that prepare.c has made; its id is the sandbox's. The
 * caller's name for it, the session, is a label: the newest living sandbox that bears it is meant,
 * else the newest that ended. Nothing else is kept, so all of it is as before after a restart of
 * the server.
 *
 * Images: every image is the host's tools with our executor in it, unless one of that name is known
 * here, built (build.c) or taken in. Only such a one exists for who asks: a client that would build
 * one gets to build it.
 */
#include "base/auto.h"
#include "base/clock.h"
#include "face/openhands/handlers.h"
#include "face/openhands/prepare.h"
#include "face/openhands/reply.h"
#include "face/openhands/server.h"
#include "face/openhands/state.h"
#include "face/openhands/warm.h"
#include "http/origin.h"
#include "runtime/images.h"
#include "runtime/library.h"
#include "runtime/port.h"
#include "wire/url.h"

#define REGISTRY_PREFIX "cay.local/openhands"

enum { RUNTIME_MAX = 64 * 1024, BATCH_MAX = 1000 };

/* ---- a runtime object ---- */

/*
 * As clients know states: `status` of a session, and `pod_status`, on "ready" of which they wait.
 */
static const struct {
	const char *status, *pod_status;
} states[SANDBOX_STATE_MAX] = {
	[SANDBOX_CREATING] = { "starting", "pending" },
	[SANDBOX_BUILDING] = { "starting", "pending" },
	[SANDBOX_STARTING] = { "starting", "running" },
	[SANDBOX_READY] = { "running", "ready" },
	[SANDBOX_RUNNING] = { "running", "ready" },
	[SANDBOX_PAUSED] = { "paused", "paused" },
	[SANDBOX_STOPPING] = { "stopped", "not found" },
	[SANDBOX_STOPPED] = { "stopped", "not found" },
	[SANDBOX_ENDING] = { "stopped", "not found" },
	[SANDBOX_ENDED] = { "stopped", "not found" },
	[SANDBOX_FAILED] = { "error", "failed" },
};

/* Where this client reaches us: by the name that it has used itself. */
static const char *own_url(struct http_request *r, const struct sandbox *s)
{
	auto_buf struct buf url = BUF_INIT(HTTP_HEAD_MAX + ID_SIZE + 32);
	http_put_origin(r, &url);
	if (!server_port(s)) /* whose clients take no path, and show a key that names it */
		buf_printf(&url, "/%s", s->id);
	return arena_str(&r->arena, buf_str(&url));
}

static void put_label(struct jsonw *w, const char *key, const struct sandbox *s, const char *label)
{
	struct str value = sandbox_label(s, str_from(label));
	jsonw_key(w, key);
	if (value.ptr)
		jsonw_str(w, value);
	else
		jsonw_null(w);
}

/*
 * Where a person's browser finds what an agent serves at the ports that it is told of; none without
 * a TCP port.
 */
static void put_work_hosts(struct http_request *r, struct jsonw *w, const struct sandbox *s)
{
	static const int ports[] = { 12000, 12001 };
	jsonw_key(w, "work_hosts");
	jsonw_open(w);
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		auto_buf struct buf link = BUF_INIT(1024);
		port_put_link(r, s, ports[i], &link);
		if (!link.len || link.is_full)
			continue;
		jsonw_key_dyn(w, buf_str(&link));
		jsonw_int(w, ports[i]);
	}
	jsonw_close(w);
}

/* server: what is known of its agent server; NULL: nothing. */
static void put_condition(struct jsonw *w, const struct sandbox *s,
	const struct server_report *server)
{
	bool has_failed = server && server->has_ended;
	bool is_starting = server && !server->is_listening;
	jsonw_key_str(w, "status", str_from(has_failed ? "error" : states[s->state].status));
	jsonw_key_str(w, "pod_status",
		str_from(has_failed           ? "failed"
				: is_starting ? "running"
					      : states[s->state].pod_status));
	if (has_failed)
		jsonw_key_str(w, "pod_logs", str_from(server->why));
	jsonw_key_int(w, "restart_count", 0);
}

static void put_runtime(struct http_request *r, struct jsonw *w, const struct sandbox *s,
	const struct server_report *server)
{
	jsonw_open(w);
	jsonw_key_str(w, "runtime_id", str_from(s->id));
	jsonw_key_str(w, "url", str_from(own_url(r, s)));
	put_work_hosts(r, w, s);
	jsonw_key_str(w, "session_api_key",
		str_from(server_port(s) ? server_key(r, s->id) : session_key(r, s)));
	put_label(w, "session_id", s, LABEL_SESSION);
	put_condition(w, s, server);
	put_label(w, "image", s, LABEL_IMAGE);
	struct str command = sandbox_label(s, STR(LABEL_COMMAND));
	jsonw_key(w, "command");
	jsonw_raw(w, command.ptr ? command : STR("null"));
	jsonw_close(w);
}

static void reply_with_server(struct http_request *r, struct sandbox *s,
	const struct server_report *server)
{
	auto_buf struct buf b = BUF_INIT(RUNTIME_MAX);
	struct jsonw w = JSONW(&b);
	put_runtime(r, &w, s, server);
	http_reply_json(r, 200, &b);
}

static void reply_runtime(struct http_request *r, struct sandbox *s)
{
	reply_with_server(r, s, NULL);
}

/* An agent server that can be asked how it is. */
static bool has_server(const struct sandbox *s)
{
	return server_port(s) && (s->state == SANDBOX_READY || s->state == SANDBOX_RUNNING);
}

static void reply_failure(struct http_request *r, const struct error *err)
{
	reply_detail(r, error_http(err->code), "%s", err->text);
}

/* ---- which one ---- */

/* One of ours: a sandbox that somebody made otherwise is none of this API's business. */
static bool is_runtime(const struct sandbox *s)
{
	return sandbox_label(s, STR(LABEL_USERNAME)).ptr;
}

static struct sandbox *find_session(struct runtime *rt, struct str session)
{
	struct sandbox *found = NULL;
	for (struct sandbox *s = NULL; (s = runtime_next(rt, s));) {
		struct str label = sandbox_label(s, STR(LABEL_SESSION));
		bool is_better = !found || !sandbox_state_is_final(s->state) ||
			sandbox_state_is_final(found->state);
		if (label.ptr && str_eq(label, session) && is_better)
			found = s;
	}
	return found;
}

/* {"runtime_id":…} of a body. NULL: the request has been answered. */
static struct sandbox *sandbox_of_body(struct http_request *r)
{
	auto_json struct json *body = NULL;
	struct error err;
	if (json_parse(r->body, &body, &err) < 0) {
		reply_invalid(r, err.text);
		return NULL;
	}
	const struct json *id = json_find(body, "runtime_id");
	if (json_kind(id) == JSON_KIND_NULL) {
		/* Closing what never started. */
		http_reply(r, 200, "application/json", STR("{\"status\":\"success\"}"));
		return NULL;
	}
	struct sandbox *s = runtime_find(openhands_of(r)->rt, json_str(id), &err);
	if (!s)
		reply_failure(r, &err);
	return s;
}

void session_get(struct http_request *r)
{
	struct str session = http_param(r, "session");
	struct sandbox *s = find_session(openhands_of(r)->rt, session);
	if (s && has_server(s))
		server_ask(openhands_of(r), r, s, reply_with_server);
	else if (s)
		reply_runtime(r, s);
	else
		reply_detail(r, 404, "no runtime of session %.*s",
			STR_ARG(str_first(session, 200)));
}

/* ?ids=a&ids=b, or ?ids=a,b: those that there are, in that order. */
void sessions_batch(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	struct str rest = r->query, name, value, id;
	int n = 0;
	jsonw_open_array(&w);
	while (rest.ptr && url_query_next(&rest, &name, &value)) {
		auto_buf struct buf ids = BUF_INIT(HTTP_HEAD_MAX);
		if (!str_is(name, "ids") || url_decode(value, URL_QUERY, &ids, NULL) < 0)
			continue;
		struct str list = buf_str(&ids);
		while (str_split(&list, ',', &id) && n++ < BATCH_MAX) {
			struct sandbox *s = find_session(openhands_of(r)->rt, id);
			if (s)
				put_runtime(r, &w, s, NULL);
		}
	}
	jsonw_close_array(&w);
	http_reply_json(r, 200, &b);
}

void runtime_list(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "runtimes");
	jsonw_open_array(&w);
	for (struct sandbox *s = NULL; (s = runtime_next(openhands_of(r)->rt, s));)
		if (is_runtime(s) && !sandbox_state_is_final(s->state))
			put_runtime(r, &w, s, NULL);
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

void runtime_get(struct http_request *r)
{
	struct error err;
	struct sandbox *s = runtime_find(openhands_of(r)->rt, http_param(r, "runtime"), &err);
	if (!s) {
		reply_failure(r, &err);
		return;
	}
	auto_buf struct buf b = BUF_INIT(RUNTIME_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "runtime_id", str_from(s->id));
	jsonw_key_str(&w, "pod_status", str_from(states[s->state].pod_status));
	jsonw_key_int(&w, "restart_count", 0);
	jsonw_key(&w, "restart_reasons");
	jsonw_open_array(&w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* ---- its life ---- */

static void on_prepared(void *arg, struct sandbox *s, const struct error *err)
{
	if (err)
		reply_failure(arg, err);
	else
		reply_runtime(arg, s);
}

/*
 * What an agent server's sandbox needs besides: the key that it will ask for is of the sandbox's
 * id. And the program is the image's, so there has to be one. -1: answered.
 */
static int complete(struct openhands *oh, struct http_request *r, struct start *start)
{
	struct error err;
	char *id = arena_alloc(&r->arena, ID_SIZE);
	if (!start->port)
		return 0;
	if (!runtime_has_other_images(oh->rt) &&
		!images_find(runtime_images(oh->rt), start->image, &err)) {
		reply_detail(r, 404, "no image '%.*s' here: build or load it (cay image)",
			STR_ARG(str_first(start->image, 200)));
		return -1;
	}
	id_make(id);
	start->id = id;
	start->own_key = server_key(r, id);
	return 0;
}

/* One that lives: a client that asks again has lost the first answer, or its agent server. */
static void reply_living(struct openhands *oh, struct http_request *r, struct sandbox *s,
	const struct start *start)
{
	if (has_server(s) && start->port)
		server_ask_again(oh, r, s, start, reply_with_server);
	else
		reply_runtime(r, s);
}

/* A session that has a living runtime, or one that is being made, keeps it. */
void runtime_start_post(struct http_request *r)
{
	struct openhands *oh = openhands_of(r);
	auto_json struct json *body = NULL;
	struct start start;
	struct error err;
	if (json_parse(r->body, &body, &err) < 0) {
		reply_invalid(r, err.text);
	} else if (start_decode(body, &r->arena, &start, &err) < 0) {
		reply_failure(r, &err);
	} else {
		struct sandbox *s = start.session_id.len ? find_session(oh->rt, start.session_id)
							 : NULL;
		if (start.session_id.len && prepare_join(oh, start.session_id, on_prepared, r))
			return;
		if (s && !sandbox_state_is_final(s->state)) {
			reply_living(oh, r, s, &start);
		} else if (complete(oh, r, &start) == 0) {
			start.key_proof = session_key_proof(r, start.session_key);
			start.has_browser = start.has_browser && oh->has_browser;
			warm_start(oh->warm, &start, on_prepared, r);
		}
	}
}

static void on_done(void *arg, const struct error *err)
{
	if (err)
		reply_failure(arg, err);
	else
		http_reply(arg, 200, "application/json", STR("{\"status\":\"success\"}"));
}

void runtime_stop_post(struct http_request *r)
{
	struct sandbox *s = sandbox_of_body(r);
	if (s)
		runtime_stop(s, on_done, r);
}

void runtime_pause_post(struct http_request *r)
{
	struct sandbox *s = sandbox_of_body(r);
	if (s && s->state == SANDBOX_PAUSED)
		on_done(r, NULL);
	else if (s)
		runtime_pause(s, true, on_done, r);
}

void runtime_resume_post(struct http_request *r)
{
	struct sandbox *s = sandbox_of_body(r);
	if (s && (s->state == SANDBOX_READY || s->state == SANDBOX_RUNNING))
		on_done(r, NULL);
	else if (s)
		runtime_pause(s, false, on_done, r);
}

/* ---- images ---- */

void registry_prefix(struct http_request *r)
{
	http_reply(r, 200, "application/json",
		STR("{\"registry_prefix\":\"" REGISTRY_PREFIX "\"}"));
}

/* when: STR_NONE: there is no such image. */
static void reply_exists(struct http_request *r, struct str when, int64_t size_bytes)
{
	auto_buf struct buf b = BUF_INIT(RUNTIME_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_bool(&w, "exists", when.ptr);
	if (when.ptr) {
		jsonw_key(&w, "image");
		jsonw_open(&w);
		jsonw_key_str(&w, "upload_time", when);
		jsonw_key_int(&w, "image_size_bytes", size_bytes);
		jsonw_close(&w);
	}
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void on_inspected(void *arg, struct str json, const struct error *err)
{
	struct http_request *r = arg;
	auto_json struct json *image = NULL;
	if (!err)
		json_parse(json, &image, NULL);
	if (err && err->code != ERROR_NOT_FOUND && err->code != ERROR_INVALID)
		reply_detail(r, error_http(err->code), "%s", err->text);
	else
		reply_exists(r, json_str(json_find(image, "created_at")),
			json_int(json_find(image, "size_bytes")));
}

void image_exists(struct http_request *r)
{
	struct runtime *rt = openhands_of(r)->rt;
	const struct library_question question = { .what = LIBRARY_INSPECT,
		.name = http_query(r, "image") };
	char when[CLOCK_TEXT_MAX];
	struct error err;
	if (!question.name.ptr) {
		reply_invalid(r,
			"[{'type': 'missing', 'loc': ('query', 'image'), 'msg': 'Field required'}]");
		return;
	}
	if (runtime_has_other_images(rt)) {
		library_ask(rt, &question, on_inspected, r);
		return;
	}
	const struct image *image = images_find(runtime_images(rt), question.name, &err);
	/* The host's tools, of which no image is kept, are as old as the question. */
	clock_text(image && image->created_ms ? image->created_ms : clock_wall_ms(), when);
	reply_exists(r, image ? str_from(when) : STR_NONE, image ? image->size_bytes : 0);
}

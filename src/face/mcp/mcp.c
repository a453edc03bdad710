/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Two hubs (http/mcphub.h) take the messages: one with sessions for /mcp, one
 * without for /mcp/{sandbox}. A tools/call becomes a job; a job of a session whose sandbox is not
 * there yet waits on the session, and the first one has it made. A job has at most one call of the
 * runtime under way.
 *
 * A sandbox of a session ends with it; should the server die before, the sandbox's own idle timeout
 * ends it.
 */
#include "face/mcp/mcp.h"

#include "action/process_actions.h"
#include "action/session_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/mcp/tools.h"
#include "http/mcphub.h"
#include "runtime/mcp.h"
#include "runtime/runtime.h"

enum { PARAMS_MAX = 16 * 1024 * 1024, RESULT_MAX = 48 * 1024 * 1024 };

#define SESSION_LABEL "mcp.session"

struct mcp_face {
	struct runtime *rt;
	const char *version;
	struct http_face http;
	struct mcphub *sessions; /* of /mcp */
	struct mcphub *named;    /* of /mcp/{sandbox} */
	struct list jobs;        /* job::link */
	struct list homes;       /* home::link */
};

/* The sandbox of a session. */
struct home {
	struct list link;
	struct mcp_face *face;
	struct mcphub_session *session; /* NULL: it has ended */
	char id[ID_SIZE];               /* "": not made yet */
	bool is_coming;
};

struct job {
	struct list link;
	struct mcp_face *face;
	struct mcphub_turn *turn;
	struct home *home; /* NULL: the sandbox was named */
	char sandbox[ID_SIZE];
	const struct action *action;
	struct buf params;
	struct runtime_call *call;
};

/* ---- jobs ---- */

static struct mcphub_turn *job_free(struct job *job)
{
	struct mcphub_turn *turn = job->turn;
	if (job->call)
		runtime_call_cancel(job->call);
	turn->state = NULL;
	list_remove(&job->link);
	buf_fini(&job->params);
	free(job);
	return turn;
}

static void answer_failure(struct mcphub_turn *turn, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	if (err->code == ERROR_INVALID) {
		mcphub_refuse(turn, JSONRPC_INVALID_PARAMS, "%s", err->text);
		return;
	}
	tools_put_failure(&b, err);
	mcphub_answer(turn, buf_str(&b));
}

static void on_result(void *arg, struct str json)
{
	struct job *job = arg;
	auto_buf struct buf b = BUF_INIT(RESULT_MAX);
	job->call = NULL;
	tools_put_result(&b, json);
	struct mcphub_turn *turn = job_free(job);
	if (b.is_full)
		mcphub_refuse(turn, JSONRPC_INTERNAL_ERROR, "the result has over %d bytes",
			RESULT_MAX);
	else
		mcphub_answer(turn, buf_str(&b));
}

static void on_error(void *arg, const struct error *err)
{
	struct job *job = arg;
	struct error copy = *err;
	job->call = NULL;
	answer_failure(job_free(job), &copy);
}

static void fail(struct job *job, const struct error *err)
{
	answer_failure(job_free(job), err);
}

static void perform(struct job *job)
{
	static const struct call_sink sink = { .result = on_result, .error = on_error };
	struct error err;
	struct sandbox *s = runtime_find(job->face->rt, str_from(job->sandbox), &err);
	if (!s) {
		fail(job, &err);
		return;
	}
	job->call = runtime_perform(s, job->action, buf_str(&job->params), &sink, job);
	if (job->action->flags & ACTION_STREAMS_IN)
		runtime_call_eof(job->call, 0);
}

/* ---- a session's sandbox ---- */

static void on_gone(void *arg, const struct error *err)
{
}

static void destroy(struct runtime *rt, const char *id)
{
	struct sandbox *s = id[0] ? runtime_find(rt, str_from(id), NULL) : NULL;
	if (s)
		runtime_destroy(s, on_gone, NULL);
}

static void home_free(struct home *home)
{
	list_remove(&home->link);
	free(home);
}

static void go_on(struct home *home, const struct error *err)
{
	struct job *job, *next;
	list_for_each_safe(job, next, &home->face->jobs, link) {
		if (job->home != home || job->call)
			continue;
		memcpy(job->sandbox, home->id, sizeof(job->sandbox));
		if (err)
			fail(job, err);
		else
			perform(job);
	}
}

static void on_created(void *arg, struct sandbox *s, const struct error *err)
{
	struct home *home = arg;
	home->is_coming = false;
	if (s)
		memcpy(home->id, s->id, sizeof(home->id));
	if (!home->session) {
		destroy(home->face->rt, home->id);
		home_free(home);
		return;
	}
	go_on(home, err);
}

static void home_create(struct home *home)
{
	struct str key = STR(SESSION_LABEL), value = str_from(home->session->id);
	auto_free struct create *create = mem_new(struct create); /* too large for the stack */
	create->spec.image = IMAGE_HOST;
	create->labels = (struct field_map){ &key, &value, 1 };
	create->idle_timeout_ms = MCPHUB_IDLE_MS;
	home->is_coming = true;
	runtime_create(home->face->rt, create, on_created, home);
}

static struct home *home_of(struct mcp_face *face, struct mcphub_session *session)
{
	struct home *home = session->state;
	if (home)
		return home;
	home = mem_new(struct home);
	home->face = face;
	home->session = session;
	session->state = home;
	list_append(&face->homes, &home->link);
	return home;
}

static void on_session_end(void *arg, struct mcphub_session *session)
{
	struct home *home = session->state;
	if (!home)
		return;
	home->session = NULL;
	if (home->is_coming)
		return; /* on_created ends it */
	destroy(home->face->rt, home->id);
	home_free(home);
}

/* ---- methods ---- */

static void initialize(struct mcp_face *face, struct mcphub_turn *turn)
{
	struct str revision = json_str(json_find(turn->message.params, "protocolVersion"));
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "protocolVersion",
		mcp_revision_is_known(revision) ? revision : STR(MCP_REVISION));
	jsonw_key(&w, "capabilities");
	jsonw_raw(&w, STR("{\"tools\":{}}"));
	jsonw_key(&w, "serverInfo");
	jsonw_open(&w);
	jsonw_key_str(&w, "name", STR("cay"));
	jsonw_key_str(&w, "version", str_from(face->version));
	jsonw_close(&w);
	jsonw_key_str(&w, "instructions",
		STR("The tools act in a Linux sandbox. `run` keeps one shell from call to call: directory, "
		    "variables and jobs stay. Paths are the sandbox's own; relative ones start at its working "
		    "directory, /workspace unless it was made with another."));
	jsonw_close(&w);
	mcphub_answer(turn, buf_str(&b));
}

static void ping(struct mcp_face *face, struct mcphub_turn *turn)
{
	mcphub_answer(turn, STR("{}"));
}

static void list_tools(struct mcp_face *face, struct mcphub_turn *turn)
{
	auto_buf struct buf b = BUF_INIT(1 << 20);
	tools_put_list(&b);
	mcphub_answer(turn, buf_str(&b));
}

static int put_params(struct job *job, const struct json *arguments, struct error *err)
{
	auto_buf struct buf given = BUF_INIT(PARAMS_MAX);
	if (arguments)
		json_write(arguments, &given);
	return action_put_whole(job->action, buf_str(&given), &job->params, err);
}

/* Where the call is to go: known already, or to be made. */
static int find_sandbox(struct job *job, struct error *err)
{
	struct mcp_face *face = job->face;
	if (job->turn->session) {
		job->home = home_of(face, job->turn->session);
		memcpy(job->sandbox, job->home->id, sizeof(job->sandbox));
		return 0;
	}
	const struct sandbox *s = runtime_find(face->rt, http_param(job->turn->http, "sandbox"),
		err);
	if (s)
		memcpy(job->sandbox, s->id, sizeof(job->sandbox));
	return s ? 0 : -1;
}

static void call_tool(struct mcp_face *face, struct mcphub_turn *turn)
{
	struct str name = json_str(json_find(turn->message.params, "name"));
	const struct action *action = tools_find(name);
	struct error err;
	if (!action) {
		mcphub_refuse(turn, JSONRPC_INVALID_PARAMS, "Unknown tool: %.*s",
			STR_ARG(str_first(name, 100)));
		return;
	}
	struct job *job = mem_new(struct job);
	job->face = face;
	job->turn = turn;
	job->action = action;
	buf_init(&job->params, PARAMS_MAX);
	turn->state = job;
	list_append(&face->jobs, &job->link);
	if (put_params(job, json_find(turn->message.params, "arguments"), &err) < 0 ||
		find_sandbox(job, &err) < 0)
		fail(job, &err);
	else if (job->sandbox[0])
		perform(job);
	else if (!job->home->is_coming)
		home_create(job->home);
}

static const struct {
	const char *method;
	void (*handle)(struct mcp_face *face, struct mcphub_turn *turn);
} methods[] = {
	{ "initialize", initialize },
	{ "ping", ping },
	{ "tools/call", call_tool },
	{ "tools/list", list_tools },
};

/* Of what is not there nothing is promised either. */
static bool is_there(struct mcp_face *face, const struct mcphub_turn *turn, struct error *err)
{
	return turn->session || runtime_find(face->rt, http_param(turn->http, "sandbox"), err);
}

static void on_request(void *arg, struct mcphub_turn *turn)
{
	struct error err;
	if (!is_there(arg, turn, &err)) {
		mcphub_refuse(turn, JSONRPC_INVALID_PARAMS, "%s", err.text);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (str_is(turn->message.method, methods[i].method)) {
			methods[i].handle(arg, turn);
			return;
		}
	mcphub_refuse(turn, JSONRPC_METHOD_NOT_FOUND, "Method not found: %.*s",
		STR_ARG(str_first(turn->message.method, 100)));
}

/* ---- who gives up ---- */

static void on_stopped(void *arg, struct str json)
{
}

static void on_not_stopped(void *arg, const struct error *err)
{
}

/*
 * A command of a shell gets what Ctrl-C would send; a program is killed; anything else only loses
 * its reader.
 */
static void stop(struct job *job)
{
	static const struct call_sink sink = { .result = on_stopped, .error = on_not_stopped };
	struct sandbox *s = runtime_find(job->face->rt, str_from(job->sandbox), NULL);
	auto_json struct json *params = NULL;
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	if (!s || !job->call)
		return;
	if (job->action == &exec_action) {
		runtime_call_control(job->call, STR("{\"signal\":\"KILL\"}"));
		return;
	}
	if (job->action != &run_action || json_parse(buf_str(&job->params), &params, NULL) < 0)
		return;
	struct str session = json_str(json_find(params, "session"));
	jsonw_open(&w);
	if (session.len)
		jsonw_key_str(&w, "session", session);
	jsonw_key_str(&w, "keys", STR("C-c"));
	jsonw_close(&w);
	runtime_perform(s, &session_input_action, buf_str(&b), &sink, NULL);
}

static void on_turn_gone(void *arg, struct mcphub_turn *turn)
{
	struct job *job = turn->state;
	if (!job)
		return;
	stop(job);
	mcphub_refuse(job_free(job), 0, "Request cancelled");
}

static const struct mcphub_ops ops = {
	.on_request = on_request,
	.on_gone = on_turn_gone,
	.on_session_end = on_session_end,
};

/* ---- routes ---- */

static struct mcp_face *face_of(const struct http_request *r)
{
	return r->face->arg;
}

static void session_post(struct http_request *r)
{
	mcphub_post(face_of(r)->sessions, r);
}

static void session_get(struct http_request *r)
{
	mcphub_get(face_of(r)->sessions, r);
}

static void session_delete(struct http_request *r)
{
	mcphub_delete(face_of(r)->sessions, r);
}

static void named_post(struct http_request *r)
{
	mcphub_post(face_of(r)->named, r);
}

static void named_get(struct http_request *r)
{
	mcphub_get(face_of(r)->named, r);
}

static void named_delete(struct http_request *r)
{
	mcphub_delete(face_of(r)->named, r);
}

static const char *sandbox_of(const struct http_request *r)
{
	const struct sandbox *s = runtime_find(face_of(r)->rt, http_param(r, "sandbox"), NULL);
	return s ? s->id : NULL;
}

const struct http_route mcp_routes[] = {
	{ "POST", "/mcp", session_post, .body_max = MCPHUB_BODY_MAX,
		.summary = "send a message to a sandbox of one's own" },
	{ "GET", "/mcp", session_get, .summary = "nothing: there is no such stream" },
	{ "DELETE", "/mcp", session_delete, .summary = "end the session and its sandbox" },
	{ "POST", "/mcp/{sandbox}", named_post, .body_max = MCPHUB_BODY_MAX, .role = ROLE_SANDBOX,
		.summary = "send a message to a sandbox" },
	{ "GET", "/mcp/{sandbox}", named_get, .role = ROLE_SANDBOX,
		.summary = "nothing: there is no such stream" },
	{ "DELETE", "/mcp/{sandbox}", named_delete, .role = ROLE_SANDBOX,
		.summary = "nothing: there is no session" },
	{ 0 },
};

struct mcp_face *mcp_face_new(struct runtime *rt, const char *version)
{
	struct mcp_face *face = mem_new(struct mcp_face);
	face->rt = rt;
	face->version = version;
	list_init(&face->jobs);
	list_init(&face->homes);
	face->sessions = mcphub_new(runtime_loop(rt), true, &ops, face);
	face->named = mcphub_new(runtime_loop(rt), false, &ops, face);
	face->http = (struct http_face){
		.name = "mcp",
		.prefix = "/mcp",
		.routes = mcp_routes,
		.arg = face,
		.sandbox_of = sandbox_of,
		.sandbox_param = "sandbox",
	};
	return face;
}

void mcp_face_free(struct mcp_face *face)
{
	if (!face)
		return;
	while (!list_is_empty(&face->jobs))
		mcphub_refuse(job_free(list_get_first(&face->jobs, struct job, link)),
			JSONRPC_INTERNAL_ERROR, "the server is shutting down");
	mcphub_free(face->sessions);
	mcphub_free(face->named);
	while (!list_is_empty(&face->homes))
		home_free(list_get_first(&face->homes, struct home, link));
	free(face);
}

const struct http_face *mcp_face_http(const struct mcp_face *face)
{
	return &face->http;
}

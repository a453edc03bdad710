/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The agent server is a process of the executor's with a name of its own.
 * Nothing is kept of it here: whoever asks how it is has the executor asked. When it has ended, the
 * sandbox stays, with its files, and the session says that it has failed and what it wrote last; a
 * client that asks for the session again has it started once more.
 */
#include "face/openhands/server.h"

#include "action/network_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/num.h"
#include "face/openhands/conversation.h"
#include "face/openhands/handlers.h"
#include "face/openhands/reply.h"
#include "face/openhands/start.h"
#include "runtime/port.h"

#define PROCESS "agent-server"

enum {
	SEGMENTS_BEFORE = 4 /* /openhands/ID/server */,
	PARAMS_MAX = 256,
	WHY_MAX = 4096,
	KNOCK_MS = 1000
};

const char openhands_server[] = "server";

int server_port(const struct sandbox *s)
{
	int port;
	struct str label = sandbox_label(s, STR(LABEL_SERVER));
	return label.ptr && port_parse(label, &port, NULL) == 0 ? port : 0;
}

const char *server_key(struct http_request *r, const char *id)
{
	return arena_printf(&r->arena, "%s.%s", id, session_key_of(r, id));
}

struct str server_id_of_key(struct str key)
{
	struct str id = str_first(key, ID_LEN);
	bool is_ours = key.len > ID_LEN && key.ptr[ID_LEN] == '.' && id_is_valid(id);
	return is_ours ? id : STR_NONE;
}

struct str server_of_key(const struct http_request *r)
{
	struct str id = server_id_of_key(http_header(r, "X-Session-API-Key"));
	const struct sandbox *s = id.ptr ? runtime_find(openhands_of(r)->rt, id, NULL) : NULL;
	return s && server_port(s) ? str_from(s->id) : STR_NONE;
}

void server_put_exec(const struct start *start, struct buf *params)
{
	struct jsonw w = JSONW(params);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	for (size_t i = 0; i < start->command.n; i++)
		jsonw_str(&w, start->command.items[i]);
	jsonw_close_array(&w);
	jsonw_key_str(&w, "cwd", start->cwd);
	jsonw_key_str(&w, "name", STR(PROCESS));
	jsonw_key_bool(&w, "detach", true);
	jsonw_close(&w);
}

/* ---- how it is ---- */

struct asking {
	server_report_fn *then;
	struct server_report report;
	struct buf exec; /* how it is started; empty: it is not */
	char how[64];
};

static void drop_asking(struct chore *a)
{
	struct asking *asking = a->state;
	buf_fini(&asking->exec);
}

static void report(struct chore *a)
{
	struct asking *asking = a->state;
	struct sandbox *s = chore_sandbox(a);
	if (!s)
		return;
	a->drop = NULL;
	drop_asking(a);
	asking->then(a->r, s, &asking->report);
}

static void on_started(struct chore *a, const struct json *process)
{
	struct asking *asking = a->state;
	asking->report = (struct server_report){ .why = "" };
	report(a);
}

static void start_again(struct chore *a)
{
	struct asking *asking = a->state;
	a->failed = NULL;
	chore_perform(a, &exec_action, &asking->exec, on_started);
}

static void on_removed(struct chore *a, const struct json *result)
{
	start_again(a);
}

static void on_not_removed(struct chore *a, const struct error *err)
{
	start_again(a);
}

/* It is known to have ended. */
static void conclude(struct chore *a)
{
	struct asking *asking = a->state;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	asking->report.has_ended = true;
	if (!asking->exec.len) {
		report(a);
		return;
	}
	buf_puts(&params, "{\"process\":\"" PROCESS "\"}");
	a->failed = on_not_removed;
	chore_perform(a, &process_remove_action, &params, on_removed);
}

static void on_logs(struct chore *a, const struct json *result)
{
	struct asking *asking = a->state;
	const struct json *entries = json_find(result, "entries");
	auto_buf struct buf text = BUF_INIT(HTTP_REPLY_MAX);
	for (size_t i = 0; i < json_len(entries); i++)
		buf_put(&text, json_str(json_find(json_at(entries, i), "text")));
	struct str end = buf_str(&text);
	end = str_skip(end, end.len > WHY_MAX ? end.len - WHY_MAX : 0);
	asking->report.why = arena_printf(&a->r->arena, "%.*s\n[the agent server has ended: %s]",
		STR_ARG(str_trim(end)), asking->how);
	conclude(a);
}

static void on_no_logs(struct chore *a, const struct error *err)
{
	struct asking *asking = a->state;
	asking->report.why = arena_str(&a->r->arena, str_from(err->text));
	conclude(a);
}

/* The first event says that it listens, and that is all that was to be known. */
static void on_connected(struct chore *a, struct str json)
{
	struct asking *asking = a->state;
	a->event = NULL;
	runtime_call_cancel(take_ptr(a->call));
	asking->report.is_listening = true;
	report(a);
}

static void on_not_connected(struct chore *a, const struct error *err)
{
	report(a);
}

static void on_disconnected(struct chore *a, const struct json *result)
{
	report(a);
}

static void knock(struct chore *a)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	const struct sandbox *s = chore_sandbox(a);
	if (!s)
		return;
	buf_printf(&params, "{\"port\":%d,\"timeout_ms\":%d}", server_port(s), KNOCK_MS);
	a->event = on_connected;
	a->failed = on_not_connected;
	chore_perform(a, &connect_action, &params, on_disconnected);
}

static void on_seen(struct chore *a, const struct json *process)
{
	struct asking *asking = a->state;
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct str signal = json_str(json_find(process, "signal"));
	if (str_is(json_str(json_find(process, "status")), "running")) {
		knock(a);
		return;
	}
	if (signal.len)
		snprintf(asking->how, sizeof(asking->how), "signal %.*s", STR_ARG(signal));
	else
		snprintf(asking->how, sizeof(asking->how), "exit code %lld",
			(long long)json_int(json_find(process, "exit_code")));
	buf_puts(&params, "{\"process\":\"" PROCESS "\",\"capture\":true}");
	a->failed = on_no_logs;
	chore_perform(a, &process_logs_action, &params, on_logs);
}

/* Somebody has removed it. */
static void on_unseen(struct chore *a, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE)
		on_no_logs(a, err);
	else
		chore_fail(a, err);
}

static struct chore *look(struct openhands *oh, struct http_request *r, struct sandbox *s,
	server_report_fn *then)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct chore *a = errand_new(oh, r, s);
	struct asking *asking = arena_new(&r->arena, struct asking);
	asking->then = then;
	asking->report.why = "";
	buf_init(&asking->exec, HTTP_BODY_MAX);
	a->state = asking;
	a->drop = drop_asking;
	a->failed = on_unseen;
	buf_puts(&params, "{\"process\":\"" PROCESS "\",\"timeout_ms\":1}");
	chore_perform(a, &process_wait_action, &params, on_seen);
	return a;
}

void server_ask(struct openhands *oh, struct http_request *r, struct sandbox *s,
	server_report_fn *then)
{
	look(oh, r, s, then);
}

void server_ask_again(struct openhands *oh, struct http_request *r, struct sandbox *s,
	const struct start *start, server_report_fn *then)
{
	struct asking *asking = look(oh, r, s, then)->state;
	server_put_exec(start, &asking->exec);
}

/* ---- what comes for it ---- */

static size_t path_at(struct str path)
{
	int slashes = 0;
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '/' && ++slashes == SEGMENTS_BEFORE)
			return i;
	return path.len;
}

/* What asks whether it is there says nothing else; a WebSocket is asked for its key inside. */
static bool is_open(struct http_request *r)
{
	static const char *const open[] = { "/alive", "/health", "/ready", "/server_info" };
	struct str tail = str_skip(r->path, path_at(r->path));
	if (!str_is(r->method, "GET") && !str_is(r->method, "HEAD"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(open); i++)
		if (str_is(tail, open[i]))
			return true;
	return str_starts(tail, STR("/sockets/")) &&
		str_eq_nocase(http_header(r, "Upgrade"), STR("websocket"));
}

bool server_lets_in(struct http_request *r)
{
	struct str name = http_param(r, "sandbox");
	const struct sandbox *s = http_param(r, "conversation").ptr ? conversation_find(r)
		: id_is_valid(name) && is_open(r) ? runtime_find(openhands_of(r)->rt, name, NULL)
						  : NULL;
	if (!s || !server_port(s))
		return false;
	http_be_guest(r, str_from(s->id));
	return true;
}

void server_forward(struct http_request *r, struct sandbox *s, struct str path, const char *prefix)
{
	const struct port_view view = {
		.path = path,
		.prefix = prefix,
		.cookie = PORT_COOKIE,
		.query = PORT_QUERY,
	};
	port_forward(s, r, server_port(s), &view);
}

static void pass_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	size_t at = path_at(r->path);
	if (!server_port(s)) {
		reply_detail(r, 404, "sandbox %s runs no agent server", s->id);
		return;
	}
	server_forward(r, s, at < r->path.len ? str_skip(r->path, at) : STR("/"),
		arena_str(&r->arena, str_first(r->path, at)));
}

void server_pass(struct http_request *r)
{
	openhands_with_sandbox(r, pass_in);
}

/* Without a path of its own: the key has said which sandbox it is. */
static void api_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	conversation_note(oh, r->path, s);
	server_forward(r, s, r->path, "");
}

void server_api(struct http_request *r)
{
	if (!http_param(r, "sandbox").ptr && server_of_key(r).ptr)
		openhands_with_sandbox(r, api_in);
	else
		workspace_not_served(r);
}

/* Who comes without a key is told by which conversation. */
void server_socket(struct http_request *r)
{
	struct sandbox *s = conversation_find(r);
	if (!s && server_of_key(r).ptr)
		openhands_with_sandbox(r, api_in);
	else if (s && (s->state == SANDBOX_READY || s->state == SANDBOX_RUNNING))
		server_forward(r, s, r->path, "");
	else
		reply_detail(r, 404, "no such conversation is known here");
}

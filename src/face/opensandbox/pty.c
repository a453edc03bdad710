/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /pty: terminals (components/execd/PTY.md of OpenSandbox). A terminal is a process of the sandbox
 * that its first WebSocket starts, on a tty or, with ?pty=0, with pipes. What it writes is the
 * process's log: a socket that comes later is told what it has missed, from ?since= on, and then
 * goes on. One socket at a time has a terminal; ?takeover=1 takes it from the one that does.
 *
 *	binary, to the client   1 stdout, 2 stderr, 3 and eight bytes of offset: what was missed
 *	binary, from it         0 input
 *	text                    connected, exit, error, pong; resize, signal, stdin, ping
 */
#include "face/opensandbox/pty.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "face/opensandbox/handlers.h"
#include "http/websocket.h"
#include "wire/frame.h"

enum {
	PTYS_MAX = 1024,
	PTYS_OF_ONE = 64,
	LOG_BYTES = 1024 * 1024,
	COMMAND_MAX = 64 * 1024,
	SIDE_MAX = 1000,
	CLOSE_NORMAL = 1000,
	CLOSE_FAILED = 1011,
	CLOSE_TAKEN_OVER = 4001,
};

#define NAME_PREFIX "opensandbox-pty-"

struct pty {
	struct list link; /* osb::ptys */
	struct osb *osb;
	char id[ID_SIZE], sandbox[ID_SIZE];
	char *cwd, *command;
	bool is_started;
	struct viewer *viewer; /* NULL: nobody is connected */
};

/* A socket, until it is closed. */
struct viewer {
	struct pty *pty; /* NULL: the terminal has another one, or is gone */
	struct ws *ws;
	struct runtime_call *call, *input; /* what it sees, or how that begins; what it types */
	int64_t at, live_at; /* in the log; before live_at it was written before the socket came */
	bool is_pipe;
};

/* How far the log of a process has come. */
static int64_t end_of_log(const struct json *process)
{
	return json_count(json_find(process, "stdout_bytes")) +
		json_count(json_find(process, "stderr_bytes"));
}

static struct pty *pty_find(struct osb *o, struct str sandbox, struct str id)
{
	struct pty *p;
	list_for_each(p, &o->ptys, link)
		if (str_is(id, p->id) && str_is(sandbox, p->sandbox))
			return p;
	return NULL;
}

/* ---- the socket ---- */

static void viewer_end(struct viewer *v, int code, const char *reason)
{
	if (v->call)
		runtime_call_cancel(take_ptr(v->call));
	if (v->input)
		runtime_call_cancel(take_ptr(v->input));
	if (v->pty)
		v->pty->viewer = NULL;
	ws_close(v->ws, code, reason);
	free(v);
}

static void tell(struct viewer *v, const char *type, const char *key, struct str value)
{
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", str_from(type));
	if (key)
		jsonw_key_str(&w, key, value);
	jsonw_close(&w);
	ws_send_text(v->ws, buf_str(&b));
}

static void tell_error(struct viewer *v, const char *code, struct str text)
{
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("error"));
	jsonw_key_str(&w, "code", str_from(code));
	jsonw_key_str(&w, "error", text);
	jsonw_close(&w);
	ws_send_text(v->ws, buf_str(&b));
}

static void pty_free(struct pty *p)
{
	if (p->viewer)
		viewer_end(p->viewer, CLOSE_NORMAL, "the terminal is gone");
	list_remove(&p->link);
	p->osb->n_ptys--;
	free(p->cwd);
	free(p->command);
	free(p);
}

void osb_ptys_free(struct osb *o)
{
	while (!list_is_empty(&o->ptys))
		pty_free(list_get_first(&o->ptys, struct pty, link));
}

static void on_failed(void *arg, const struct error *err)
{
	struct viewer *v = arg;
	struct pty *p = v->pty;
	v->call = NULL;
	tell_error(v, p->is_started ? "SESSION_GONE" : "START_FAILED", str_from(err->text));
	viewer_end(v, CLOSE_FAILED, "");
	if (p->is_started)
		pty_free(p);
}

/* {"process":NAME,MORE}; NULL: the sandbox is gone, and with it the socket. */
static struct runtime_call *perform(struct viewer *v, const struct action *action, const char *more,
	const struct call_sink *sink)
{
	auto_buf struct buf params = BUF_INIT(4096);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = osb_find(v->pty->osb, str_from(v->pty->sandbox));
	auto_free char *name = mem_printf(NAME_PREFIX "%s", v->pty->id);
	if (!s)
		return NULL;
	jsonw_open(&w);
	if (action != &process_list_action)
		jsonw_key_str(&w, "process", str_from(name));
	buf_puts(&params, more);
	jsonw_close(&w);
	return runtime_perform(s, action, buf_str(&params), sink, v);
}

/* ---- what it sees ---- */

static void send_bytes(struct viewer *v, uint8_t channel, struct str bytes)
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX + 16);
	bool is_missed = v->at < v->live_at;
	struct str now = is_missed ? str_first(bytes, (size_t)(v->live_at - v->at)) : bytes;
	buf_putc(&b, is_missed ? 3 : (char)channel);
	for (int shift = 56; is_missed && shift >= 0; shift -= 8)
		buf_putc(&b, (char)(v->at >> shift & 0xff));
	buf_put(&b, now);
	ws_send_binary(v->ws, buf_str(&b));
	v->at += (int64_t)now.len;
	if (now.len < bytes.len)
		send_bytes(v, channel, str_skip(bytes, now.len));
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct viewer *v = arg;
	send_bytes(v, channel, bytes);
	if (ws_is_full(v->ws))
		runtime_call_pause(v->call, true);
}

static void on_skipped(void *arg, struct str text)
{
	struct viewer *v = arg;
	auto_json struct json *event = NULL;
	json_parse(text, &event, NULL);
	v->at = MIN(v->at + json_count(json_find(event, "skipped_bytes")), INT64_C(1) << 61);
}

static void on_exit_of_shell(void *arg, struct str text)
{
	struct viewer *v = arg;
	auto_json struct json *result = NULL;
	auto_buf struct buf b = BUF_INIT(128);
	v->call = NULL;
	json_parse(text, &result, NULL);
	const struct json *code = json_find(json_find(result, "process"), "exit_code");
	buf_printf(&b, "{\"type\":\"exit\",\"exit_code\":%lld}",
		(long long)(json_kind(code) == JSON_KIND_INT ? json_int(code) : -1));
	ws_send_text(v->ws, buf_str(&b));
	viewer_end(v, CLOSE_NORMAL, "process exited");
}

static void on_input_over(void *arg, struct str text)
{
	struct viewer *v = arg;
	v->input = NULL;
}

static void on_input_failed(void *arg, const struct error *err)
{
	on_input_over(arg, STR_NONE);
}

static void on_input_taken(void *arg)
{
	struct viewer *v = arg;
	ws_pause(v->ws, false);
}

static void follow(struct viewer *v)
{
	static const struct call_sink sink = { on_data, on_skipped, NULL, on_exit_of_shell,
		on_failed };
	static const struct call_sink input_sink = {
		.drain = on_input_taken,
		.result = on_input_over,
		.error = on_input_failed,
	};
	char more[64];
	snprintf(more, sizeof(more), ",\"follow\":true,\"after\":%lld", (long long)v->at);
	v->call = perform(v, &process_logs_action, more, &sink);
	if (v->call)
		v->input = perform(v, &process_input_action, ",\"stream\":true", &input_sink);
	if (!v->call) {
		viewer_end(v, CLOSE_FAILED, "the sandbox is gone");
		return;
	}
	ws_pause(v->ws, false);
	auto_buf struct buf b = BUF_INIT(256);
	buf_printf(&b, "{\"type\":\"connected\",\"session_id\":\"%s\",\"mode\":\"%s\"}", v->pty->id,
		v->is_pipe ? "pipe" : "pty");
	ws_send_text(v->ws, buf_str(&b));
}

/* How far its log has come, and what kind of process it is. */
static void on_listed(void *arg, struct str text)
{
	struct viewer *v = arg;
	auto_json struct json *result = NULL;
	auto_free char *name = mem_printf(NAME_PREFIX "%s", v->pty->id);
	v->call = NULL;
	json_parse(text, &result, NULL);
	const struct json *processes = json_find(result, "processes");
	for (size_t i = 0; i < json_len(processes); i++) {
		const struct json *p = json_at(processes, i);
		if (!str_is(json_str(json_find(p, "name")), name))
			continue;
		v->live_at = end_of_log(p);
		v->is_pipe = !json_bool(json_find(p, "is_tty"));
	}
	v->at = MIN(v->at, v->live_at);
	follow(v);
}

static void look(struct viewer *v)
{
	static const struct call_sink sink = { .result = on_listed, .error = on_failed };
	v->call = perform(v, &process_list_action, "", &sink);
	if (!v->call)
		viewer_end(v, CLOSE_FAILED, "the sandbox is gone");
}

/* ---- the shell ---- */

static void on_started(void *arg, struct str text)
{
	struct viewer *v = arg;
	v->call = NULL;
	v->pty->is_started = true;
	look(v);
}

static void start(struct viewer *v, const char *shell, const struct call_sink *sink)
{
	const struct pty *p = v->pty;
	auto_buf struct buf params = BUF_INIT(2 * COMMAND_MAX + 8 * OSB_PATH_MAX);
	auto_free char *name = mem_printf(NAME_PREFIX "%s", p->id);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = osb_find(p->osb, str_from(p->sandbox));
	if (!s) {
		viewer_end(v, CLOSE_FAILED, "the sandbox is gone");
		return;
	}
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, str_from(shell));
	if (p->command[0]) {
		jsonw_str(&w, STR("-c"));
		jsonw_str(&w, str_from(p->command));
	}
	jsonw_close_array(&w);
	if (p->cwd[0])
		jsonw_key_str(&w, "cwd", str_from(p->cwd));
	jsonw_key_str(&w, "name", str_from(name));
	jsonw_key_bool(&w, "tty", !v->is_pipe);
	jsonw_key_bool(&w, "stdin", true);
	jsonw_key_bool(&w, "detach", true);
	jsonw_key_int(&w, "log_bytes", LOG_BYTES);
	jsonw_key(&w, "env");
	jsonw_raw(&w, STR("{\"TERM\":\"xterm-256color\"}"));
	jsonw_close(&w);
	v->call = runtime_perform(s, &exec_action, buf_str(&params), sink, v);
}

/* A socket before this one has started it, and was gone before it was told so. */
static void on_not_started(void *arg, const struct error *err)
{
	if (err->code == ERROR_EXISTS)
		on_started(arg, STR_NONE);
	else
		on_failed(arg, err);
}

static void on_no_bash(void *arg, const struct error *err)
{
	static const struct call_sink sink = { .result = on_started, .error = on_not_started };
	struct viewer *v = arg;
	v->call = NULL;
	if (err->code == ERROR_EXISTS)
		on_started(v, STR_NONE);
	else
		start(v, "sh", &sink);
}

/* ---- what it types ---- */

static void type(struct viewer *v, struct str bytes)
{
	if (!v->input || runtime_call_is_over(v->input))
		return;
	runtime_call_send(v->input, 0, bytes);
	if (runtime_call_is_full(v->input))
		ws_pause(v->ws, true);
}

static void on_binary(void *arg, struct str bytes)
{
	if (bytes.len > 1 && bytes.ptr[0] == 0)
		type(arg, str_skip(bytes, 1));
}

static void on_done(void *arg, struct str result)
{
}

static void on_not_done(void *arg, const struct error *err)
{
}

/* What becomes of it is nobody's business: the sink is told no viewer, which may be gone. */
static void change(struct viewer *v, const struct action *action, const char *more)
{
	static const struct call_sink sink = { .result = on_done, .error = on_not_done };
	perform(v, action, more, &sink);
}

static void on_text(void *arg, struct str text)
{
	struct viewer *v = arg;
	auto_json struct json *frame = NULL;
	auto_buf struct buf more = BUF_INIT(1024);
	struct jsonw w = JSONW(&more);
	int64_t cols, rows;
	if (json_parse(text, &frame, NULL) < 0)
		return;
	struct str kind = json_str(json_find(frame, "type"));
	w.needs_comma = true;
	if (str_is(kind, "stdin")) {
		type(v, json_str(json_find(frame, "data")));
	} else if (str_is(kind, "ping")) {
		tell(v, "pong", NULL, STR_NONE);
	} else if (str_is(kind, "signal")) {
		jsonw_key_str(&w, "signal", str_first(json_str(json_find(frame, "signal")), 20));
		change(v, &process_signal_action, more.ptr);
	} else if (str_is(kind, "resize")) {
		cols = json_int(json_find(frame, "cols"));
		rows = json_int(json_find(frame, "rows"));
		if (cols < 2 || rows < 2)
			return;
		jsonw_key_int(&w, "cols", MIN(cols, (int64_t)SIDE_MAX));
		jsonw_key_int(&w, "rows", MIN(rows, (int64_t)SIDE_MAX));
		change(v, &process_resize_action, more.ptr);
	} else {
		tell_error(v, "INVALID_FRAME", STR("unknown frame type"));
	}
}

static void on_drain(void *arg)
{
	struct viewer *v = arg;
	if (v->call)
		runtime_call_pause(v->call, false);
}

static void on_close(void *arg, int code)
{
	viewer_end(arg, CLOSE_NORMAL, "");
}

/* ---- over HTTP ---- */

/* NULL: answered. */
static struct pty *pty_of_request(struct http_request *r, const struct sandbox *s)
{
	struct str id = http_param(r, "pty");
	struct pty *p = pty_find(osb_of(r), str_from(s->id), id);
	if (!p)
		osb_fail(r, 404, "CONTEXT_NOT_FOUND", "pty session %.*s not found",
			STR_ARG(str_first(id, 100)));
	return p;
}

void osb_pty_connect(struct http_request *r)
{
	static const struct ws_ops ops = { on_text, on_binary, on_drain, on_close };
	static const struct call_sink sink = { .result = on_started, .error = on_no_bash };
	const struct sandbox *s = osb_execd_sandbox(r);
	struct pty *p = s ? pty_of_request(r, s) : NULL;
	struct str since = http_query(r, "since");
	if (!p)
		return;
	if (p->viewer && !str_is(http_query(r, "takeover"), "1")) {
		osb_fail(r, 409, "ALREADY_CONNECTED",
			"another client is already connected to pty session %s", p->id);
		return;
	}
	struct viewer *v = mem_new(struct viewer);
	v->is_pipe = str_is(http_query(r, "pty"), "0");
	if (since.len)
		num_parse_i64(since, 0, INT64_MAX, &v->at, NULL);
	if (p->viewer)
		viewer_end(p->viewer, CLOSE_TAKEN_OVER, "TAKEN_OVER");
	v->pty = p;
	p->viewer = v;
	v->ws = ws_accept(r, NULL, &ops, v);
	ws_pause(v->ws, true); /* what is typed early waits for the shell */
	if (p->is_started)
		look(v);
	else
		start(v, "bash", &sink);
}

/* Those of sandboxes that are gone. */
static size_t prune(struct osb *o, const char *sandbox)
{
	struct pty *p, *tmp;
	size_t n = 0;
	list_for_each_safe(p, tmp, &o->ptys, link) {
		if (!osb_find(o, str_from(p->sandbox)))
			pty_free(p);
		else
			n += !strcmp(p->sandbox, sandbox);
	}
	return n;
}

void osb_pty_create(struct http_request *r)
{
	const struct sandbox *s = osb_execd_sandbox(r);
	auto_json struct json *body = s ? osb_body(r) : NULL;
	struct str cwd = json_str(json_find(body, "cwd")),
		   command = json_str(json_find(body, "command"));
	struct osb *o = osb_of(r);
	auto_buf struct buf reply = BUF_INIT(256);
	if (!body)
		return;
	if (cwd.len > OSB_PATH_MAX || command.len > COMMAND_MAX || str_has_nul(cwd) ||
		str_has_nul(command)) {
		osb_execd_invalid(r, "cwd or command is too long");
		return;
	}
	if (prune(o, s->id) >= PTYS_OF_ONE || o->n_ptys >= PTYS_MAX) {
		osb_fail(r, 429, "LIMIT_REACHED", "%d terminals are open; that is the limit",
			PTYS_OF_ONE);
		return;
	}
	struct pty *p = mem_new(struct pty);
	p->osb = o;
	id_make(p->id);
	snprintf(p->sandbox, sizeof(p->sandbox), "%s", s->id);
	p->cwd = str_dup(cwd.len ? osb_path(r, cwd) : STR(""));
	p->command = str_dup(command.len ? command : STR(""));
	list_append(&o->ptys, &p->link);
	o->n_ptys++;
	buf_printf(&reply, "{\"session_id\":\"%s\"}", p->id);
	http_reply_json(r, 201, &reply);
}

static void reply_status(struct http_request *r, struct str id, bool is_running, int64_t offset)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "session_id", id);
	jsonw_key_bool(&w, "running", is_running);
	jsonw_key_int(&w, "output_offset", offset);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void on_status(struct chore *e, const struct json *result)
{
	const struct json *processes = json_find(result, "processes");
	struct str id = http_param(e->r, "pty");
	auto_free char *name = mem_printf(NAME_PREFIX "%.*s", STR_ARG(str_first(id, ID_LEN)));
	for (size_t i = 0; i < json_len(processes); i++) {
		const struct json *p = json_at(processes, i);
		if (!str_is(json_str(json_find(p, "name")), name))
			continue;
		reply_status(e->r, id, str_is(json_str(json_find(p, "status")), "running"),
			end_of_log(p));
		return;
	}
	reply_status(e->r, id, false, 0);
}

void osb_pty_get(struct http_request *r)
{
	const struct sandbox *s = osb_execd_sandbox(r);
	const struct pty *p = s ? pty_of_request(r, s) : NULL;
	auto_buf struct buf none = BUF_INIT(1);
	if (!p)
		return;
	chore_perform(chore_new(r, p->osb->rt, s->id, osb_execd_error), &process_list_action, &none,
		on_status);
}

static void on_removed(struct chore *e, const struct json *result)
{
	osb_empty(e->r, 200);
}

static void on_nothing_to_remove(struct chore *e, const struct error *err)
{
	on_removed(e, NULL);
}

void osb_pty_delete(struct http_request *r)
{
	const struct sandbox *s = osb_execd_sandbox(r);
	struct pty *p = s ? pty_of_request(r, s) : NULL;
	auto_buf struct buf params = BUF_INIT(256);
	if (!p)
		return;
	struct chore *e = chore_new(r, p->osb->rt, s->id, osb_execd_error);
	e->failed = on_nothing_to_remove;
	buf_printf(&params, "{\"process\":\"" NAME_PREFIX "%s\"}", p->id);
	pty_free(p);
	chore_perform(e, &process_remove_action, &params, on_removed);
}

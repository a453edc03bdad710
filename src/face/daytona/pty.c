/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /process/pty: terminals. A terminal is a shell on a tty of its own, and any number of WebSockets
 * that see what it writes and may type; a new one sees what comes from then on.
 *
 * A client hears `connected` once the shell runs, and of its end in two ways: by a control message
 * if it has offered the subprotocol for that, and by the reason of the close frame.
 */
#include "face/daytona/handlers.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "http/websocket.h"
#include "wire/base64.h"

enum {
	PARAMS_MAX = 128 * 1024,
	CLIENTS_MAX = 16,
	SIDE_MAX = 1000,
	ENV_BYTES = 64 * 1024,
	WS_NORMAL = 1000,
	WS_BROKEN = 1011,
	REASON_MAX = 120,
};

#define EXIT_CONTROL "X-Daytona-Pty-Exit-Control"
#define ENVS_PREFIX  "X-Daytona-Pty-Envs~"

struct pty {
	struct list link; /* box::ptys */
	struct box *box;
	char *id, *cwd;
	char process[ID_SIZE + sizeof(PROCESS_PREFIX)];
	struct json *env; /* an object, or NULL */
	int64_t cols, rows, created_ms;
	struct runtime_call *call; /* NULL: not started, or ended */
	struct list clients;       /* client::link */
	int n_clients;
	bool is_lazy, is_active;
	struct http_request *creator; /* answered once it runs; NULL */
};

struct client {
	struct list link; /* pty::clients */
	struct pty *pty;
	struct ws *ws;
	bool wants_exit;
};

/* ---- what clients are told ---- */

static void tell(struct client *c, const char *status, const char *key, const char *text)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("control"));
	jsonw_key_str(&w, "status", str_from(status));
	if (key)
		jsonw_key_str(&w, key, str_from(text));
	jsonw_close(&w);
	ws_send_text(c->ws, buf_str(&b));
}

static void client_free(struct client *c)
{
	c->pty->n_clients--;
	list_remove(&c->link);
	free(c);
}

static void pty_free(struct pty *p)
{
	if (p->call)
		runtime_call_cancel(p->call);
	list_remove(&p->link);
	p->box->n_ptys--;
	json_free(p->env);
	free(p->id);
	free(p->cwd);
	free(p);
}

/* Tells everybody of the end, and is gone. */
static void pty_end(struct pty *p, int64_t code, const char *error)
{
	auto_buf struct buf text = BUF_INIT(512), reason = BUF_INIT(REASON_MAX);
	struct client *c, *tmp;
	struct http_request *r = p->creator;
	buf_printf(&text, "{\"type\":\"control\",\"status\":\"exited\",\"exitCode\":%lld}",
		(long long)code);
	buf_printf(&reason, "{\"exitCode\":%lld}", (long long)code);
	list_for_each_safe(c, tmp, &p->clients, link) {
		if (error)
			tell(c, "error", "error", error);
		else if (c->wants_exit)
			ws_send_text(c->ws, buf_str(&text));
		ws_close(c->ws, error ? WS_BROKEN : WS_NORMAL, error ? "" : reason.ptr);
		client_free(c);
	}
	pty_free(p);
	if (r)
		daytona_fail(r, 500, NULL, "failed to start PTY session: %s", error ?: "it ended");
}

void ptys_drop(struct box *b, const char *why)
{
	while (!list_is_empty(&b->ptys))
		pty_end(list_get_first(&b->ptys, struct pty, link), 137, NULL);
}

/* ---- the shell ---- */

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct pty *p = arg;
	struct client *c;
	list_for_each(c, &p->clients, link) {
		ws_send_binary(c->ws, bytes);
		if (ws_is_full(c->ws))
			runtime_call_pause(p->call, true);
	}
}

static void on_started(void *arg, struct str json)
{
	struct pty *p = arg;
	struct http_request *r = take_ptr(p->creator);
	struct client *c;
	if (p->is_active)
		return;
	p->is_active = true;
	list_for_each(c, &p->clients, link)
		tell(c, "connected", NULL, NULL);
	if (!r)
		return;
	auto_buf struct buf body = BUF_INIT(4096);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_str(&w, "sessionId", str_from(p->id));
	jsonw_close(&w);
	http_reply_json(r, 201, &body);
}

static void on_exit_of_shell(void *arg, struct str text)
{
	struct pty *p = arg;
	auto_json struct json *process = NULL;
	p->call = NULL;
	json_parse(text, &process, NULL);
	pty_end(p, exit_code_of(process), NULL);
}

static void start(struct pty *p);

static void on_error(void *arg, const struct error *err)
{
	struct pty *p = arg;
	bool is_missing = err->code == ERROR_NOT_FOUND || err->code == ERROR_INVALID;
	p->call = NULL;
	if (is_missing && !p->is_active && !p->box->has_no_bash) {
		p->box->has_no_bash = true;
		start(p);
		return;
	}
	pty_end(p, 255, err->text);
}

static void put_env(const struct pty *p, struct jsonw *w)
{
	const struct json *value;
	struct str key;
	void *it = NULL;
	jsonw_open(w);
	if (!json_find(p->env, "TERM"))
		jsonw_key_str(w, "TERM", STR("xterm-256color"));
	while (json_kind(p->env) == JSON_KIND_OBJECT && (value = json_next(p->env, &it, &key))) {
		jsonw_key_dyn(w, key);
		jsonw_str(w, json_str(value));
	}
	jsonw_close(w);
}

static void start(struct pty *p)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_started,
		.result = on_exit_of_shell,
		.error = on_error,
	};
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = box_sandbox(p->box);
	if (!s)
		return;
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, p->box->has_no_bash ? STR("sh") : STR("bash"));
	jsonw_close_array(&w);
	jsonw_key(&w, "env");
	put_env(p, &w);
	if (p->cwd[0])
		jsonw_key_str(&w, "cwd", str_from(p->cwd));
	jsonw_key_str(&w, "name", str_from(p->process));
	jsonw_key_bool(&w, "tty", true);
	jsonw_key_bool(&w, "announce", true);
	jsonw_key_int(&w, "cols", p->cols);
	jsonw_key_int(&w, "rows", p->rows);
	jsonw_key_int(&w, "log_bytes", 1024);
	jsonw_close(&w);
	p->call = runtime_perform(s, &exec_action, buf_str(&params), &sink, p);
}

/* ---- making one ---- */

static struct pty *pty_find(struct box *b, struct str id)
{
	struct pty *p;
	list_for_each(p, &b->ptys, link)
		if (str_is(id, p->id))
			return p;
	return NULL;
}

/* False: answered. */
static bool may_be_made(struct box *b, struct http_request *r, struct str id)
{
	if (!id.len || id.len > 256)
		daytona_fail(r, 400, NULL, "session ID is required");
	else if (pty_find(b, id))
		daytona_fail(r, 409, NULL, "PTY session with ID '%.*s' already exists",
			STR_ARG(id));
	else if (b->n_ptys >= DAYTONA_SESSIONS_MAX)
		daytona_fail(r, 429, NULL, "%d terminals are open; that is the limit",
			DAYTONA_SESSIONS_MAX);
	else
		return true;
	return false;
}

static struct pty *pty_new(struct box *b, struct str id, struct str cwd, int64_t cols, int64_t rows)
{
	struct pty *p = mem_new(struct pty);
	char unique[ID_SIZE];
	id_make(unique);
	p->box = b;
	p->id = str_dup(id);
	p->cwd = str_dup(cwd);
	p->cols = MAX(cols, (int64_t)2);
	p->rows = MAX(rows, (int64_t)2);
	p->created_ms = clock_wall_ms();
	snprintf(p->process, sizeof(p->process), PROCESS_PREFIX "%s", unique);
	list_init(&p->clients);
	list_append(&b->ptys, &p->link);
	b->n_ptys++;
	return p;
}

static bool is_side(int64_t n)
{
	return n >= 1 && n <= SIDE_MAX;
}

static int64_t side_of(const struct json *body, const char *key, int64_t standard)
{
	const struct json *value = json_find(body, key);
	return json_kind(value) == JSON_KIND_INT ? json_int(value) : standard;
}

static struct json *copy_env(const struct json *env)
{
	auto_buf struct buf b = BUF_INIT(ENV_BYTES);
	struct json *copy = NULL;
	if (json_kind(env) == JSON_KIND_OBJECT && json_write(env, &b) == 0)
		json_parse(buf_str(&b), &copy, NULL);
	return copy;
}

void ptys_create(struct http_request *r)
{
	struct box *b = box_of_toolbox(r, NULL);
	auto_json struct json *body = b ? daytona_body(r) : NULL;
	struct str id = json_str(json_find(body, "id"));
	if (!body || !may_be_made(b, r, id))
		return;
	int64_t cols = side_of(body, "cols", 80), rows = side_of(body, "rows", 24);
	if (!is_side(cols) || !is_side(rows)) {
		daytona_fail(r, 400, NULL, "cols and rows must be 1 to %d", SIDE_MAX);
		return;
	}
	struct pty *p = pty_new(b, id, json_str(json_find(body, "cwd")), cols, rows);
	p->env = copy_env(json_find(body, "envs"));
	p->is_lazy = json_bool(json_find(body, "lazyStart"));
	p->creator = r;
	if (p->is_lazy) {
		on_started(p, STR("{}"));
		p->is_active = false;
	} else {
		start(p);
	}
}

/* ---- list, get, resize, delete ---- */

static void put_pty(const struct pty *p, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(p->id));
	jsonw_key_str(w, "cwd", str_from(p->cwd[0] ? p->cwd : DAYTONA_HOME));
	jsonw_key(w, "envs");
	put_env(p, w);
	jsonw_key_int(w, "cols", p->cols);
	jsonw_key_int(w, "rows", p->rows);
	daytona_key_time(w, "createdAt", p->created_ms);
	jsonw_key_bool(w, "active", p->is_active);
	jsonw_key_bool(w, "lazyStart", p->is_lazy);
	jsonw_close(w);
}

static void reply_pty(struct http_request *r, const struct pty *p)
{
	auto_buf struct buf body = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&body);
	put_pty(p, &w);
	http_reply_json(r, 200, &body);
}

void ptys_list(struct http_request *r)
{
	const struct box *b = box_of_toolbox(r, NULL);
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	const struct pty *p;
	if (!b)
		return;
	jsonw_open(&w);
	jsonw_key(&w, "sessions");
	jsonw_open_array(&w);
	list_for_each(p, &b->ptys, link)
		put_pty(p, &w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

static struct pty *pty_of_request(struct http_request *r)
{
	struct box *b = box_of_toolbox(r, NULL);
	struct pty *p = b ? pty_find(b, http_param(r, "pty")) : NULL;
	if (b && !p)
		daytona_fail(r, 404, "PROCESS_NOT_FOUND", "PTY session not found");
	return p;
}

void ptys_get(struct http_request *r)
{
	const struct pty *p = pty_of_request(r);
	if (p)
		reply_pty(r, p);
}

void ptys_resize(struct http_request *r)
{
	struct pty *p = pty_of_request(r);
	auto_json struct json *body = p ? daytona_body(r) : NULL;
	char control[64];
	if (!body)
		return;
	int64_t cols = side_of(body, "cols", 0), rows = side_of(body, "rows", 0);
	if (!is_side(cols) || !is_side(rows)) {
		daytona_fail(r, 400, NULL, "cols and rows must be 1 to %d", SIDE_MAX);
		return;
	}
	p->cols = MAX(cols, (int64_t)2);
	p->rows = MAX(rows, (int64_t)2);
	snprintf(control, sizeof(control), "{\"resize\":[%lld,%lld]}", (long long)p->cols,
		(long long)p->rows);
	if (p->call)
		runtime_call_control(p->call, str_from(control));
	reply_pty(r, p);
}

static void on_removed(struct chore *e, const struct json *result)
{
	http_reply(e->r, 200, "application/json", STR("{\"message\":\"PTY session deleted\"}"));
}

void ptys_delete(struct http_request *r)
{
	struct pty *p = pty_of_request(r);
	auto_buf struct buf params = BUF_INIT(256);
	struct chore *e = p ? daytona_chore(r) : NULL;
	if (!e)
		return;
	bool is_running = p->call != NULL;
	buf_printf(&params, "{\"process\":\"%s\"}", p->process);
	pty_end(p, 137, NULL);
	if (is_running)
		chore_perform(e, &process_remove_action, &params, on_removed);
	else
		on_removed(e, NULL);
}

/* ---- clients ---- */

static void on_typed(void *arg, struct str bytes)
{
	struct client *c = arg;
	box_touch(c->pty->box);
	if (!c->pty->call)
		return;
	runtime_call_send(c->pty->call, 0, bytes);
}

static void on_drain(void *arg)
{
	struct client *c = arg;
	if (c->pty->call)
		runtime_call_pause(c->pty->call, false);
}

static void on_close(void *arg, int code)
{
	struct client *c = arg;
	struct pty *p = c->pty;
	ws_free(c->ws);
	client_free(c);
	if (p->call)
		runtime_call_pause(p->call, false); /* if it was that one that was waited for */
}

/* The subprotocols that a client offers, one after the other. */
static bool offers(struct http_request *r, const char *name, bool is_prefix, struct str *ret)
{
	struct str rest = http_header(r, "Sec-WebSocket-Protocol"), word;
	while (rest.len && str_split(&rest, ',', &word)) {
		word = str_trim(word);
		if (is_prefix ? str_starts(word, str_from(name)) : str_is(word, name)) {
			*ret = str_skip(word, strlen(name));
			return true;
		}
	}
	return false;
}

static void attach(struct pty *p, struct http_request *r)
{
	static const struct ws_ops ops = { on_typed, on_typed, on_drain, on_close };
	struct client *c = mem_new(struct client);
	struct str rest;
	c->pty = p;
	c->wants_exit = offers(r, EXIT_CONTROL, false, &rest);
	list_append(&p->clients, &c->link);
	p->n_clients++;
	c->ws = ws_accept(r, c->wants_exit ? EXIT_CONTROL : NULL, &ops, c);
	if (p->is_active)
		tell(c, "connected", NULL, NULL);
	else if (!p->call)
		start(p);
}

void ptys_connect(struct http_request *r)
{
	struct pty *p = pty_of_request(r);
	if (p && p->n_clients >= CLIENTS_MAX)
		daytona_fail(r, 429, NULL, "%d clients look at this terminal; that is the limit",
			CLIENTS_MAX);
	else if (p)
		attach(p, r);
}

/* base64url, as a JSON object. -1: answered. */
static int take_env(struct http_request *r, struct json **ret)
{
	auto_buf struct buf plain = BUF_INIT(ENV_BYTES), padded = BUF_INIT(2 * ENV_BYTES);
	struct str text;
	struct error err;
	*ret = NULL;
	if (!offers(r, ENVS_PREFIX, true, &text))
		return 0;
	for (size_t i = 0; i < text.len; i++)
		buf_putc(&padded,
			text.ptr[i] == '-'           ? '+'
				: text.ptr[i] == '_' ? '/'
						     : text.ptr[i]);
	while (padded.len % 4)
		buf_putc(&padded, '=');
	if (padded.is_full || base64_decode(buf_str(&padded), &plain, &err) < 0 ||
		json_parse(buf_str(&plain), ret, &err) < 0) {
		daytona_fail(r, 400, NULL, "the environment is no base64url of a JSON object");
		return -1;
	}
	return 0;
}

static int64_t query_side(struct http_request *r, const char *name, int64_t standard)
{
	int64_t value;
	struct str text = http_query(r, name);
	if (!text.len)
		return standard;
	return num_parse_i64(text, 1, SIDE_MAX, &value, NULL) < 0 ? 0 : value;
}

void ptys_create_connect(struct http_request *r)
{
	struct box *b = box_of_toolbox(r, NULL);
	struct str id = http_query(r, "id");
	int64_t cols = query_side(r, "cols", 80), rows = query_side(r, "rows", 24);
	struct json *env;
	if (!b || !may_be_made(b, r, id))
		return;
	if (!cols || !rows) {
		daytona_fail(r, 400, NULL, "cols and rows must be 1 to %d", SIDE_MAX);
		return;
	}
	if (take_env(r, &env) < 0)
		return;
	struct pty *p = pty_new(b, id, http_query(r, "cwd"), cols, rows);
	p->env = env;
	attach(p, r);
}

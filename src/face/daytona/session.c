/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /process/session over HTTP. A command that is waited for answers at its end; its log can be read
 * and followed while it runs and afterwards. Who follows keeps a position in the log and is sent as
 * much as it takes.
 */
#include "face/daytona/handlers.h"
#include "face/daytona/shell.h"

#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "http/websocket.h"

enum { REPLY_MAX = 32 * 1024 * 1024, WS_DONE = 1000 };

/* The session of the path; NULL: answered. */
static struct shell *shell_of_request(struct http_request *r)
{
	struct box *b = box_of_toolbox(r, NULL);
	struct shell *s = b ? shell_find(b, http_param(r, "session")) : NULL;
	if (b && !s)
		daytona_fail(r, 404, "PROCESS_NOT_FOUND", "session not found");
	return s;
}

static struct command *command_of_request(struct http_request *r)
{
	struct shell *s = shell_of_request(r);
	struct command *c = s ? shell_command(s, http_param(r, "command")) : NULL;
	if (s && !c)
		daytona_fail(r, 404, "PROCESS_NOT_FOUND", "command not found");
	return c;
}

/* ---- sessions ---- */

void sessions_create(struct http_request *r)
{
	struct box *b = box_of_toolbox(r, NULL);
	auto_json struct json *body = b ? daytona_body(r) : NULL;
	struct str id;
	if (!body || !daytona_need(r, body, "sessionId", &id))
		return;
	if (id.len > 256)
		daytona_fail(r, 400, NULL, "a sessionId has at most 256 bytes");
	else if (shell_find(b, id) || str_is(id, "entrypoint"))
		daytona_fail(r, 409, NULL, "session already exists");
	else if (b->n_shells >= DAYTONA_SESSIONS_MAX)
		daytona_fail(r, 429, NULL, "%d sessions are open; that is the limit",
			DAYTONA_SESSIONS_MAX);
	else
		shell_new(b, id, r);
}

static void put_command(const struct command *c, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(c->id));
	jsonw_key_str(w, "command", str_from(c->text));
	if (c->has_ended)
		jsonw_key_int(w, "exitCode", c->exit_code);
	jsonw_close(w);
}

static void put_shell(const struct shell *s, struct jsonw *w)
{
	const struct command *c;
	jsonw_open(w);
	jsonw_key_str(w, "sessionId", str_from(s->id));
	jsonw_key(w, "commands");
	jsonw_open_array(w);
	list_for_each(c, &s->commands, link)
		put_command(c, w);
	jsonw_close_array(w);
	jsonw_close(w);
}

void sessions_list(struct http_request *r)
{
	const struct box *b = box_of_toolbox(r, NULL);
	auto_buf struct buf body = BUF_INIT(REPLY_MAX);
	struct jsonw w = JSONW(&body);
	const struct shell *s;
	if (!b)
		return;
	jsonw_open_array(&w);
	list_for_each(s, &b->shells, link)
		put_shell(s, &w);
	jsonw_close_array(&w);
	http_reply_json(r, 200, &body);
}

void sessions_get(struct http_request *r)
{
	const struct shell *s = shell_of_request(r);
	auto_buf struct buf body = BUF_INIT(REPLY_MAX);
	struct jsonw w = JSONW(&body);
	if (!s)
		return;
	put_shell(s, &w);
	http_reply_json(r, 200, &body);
}

static void on_removed(struct chore *e, const struct json *result)
{
	daytona_empty(e->r, 204);
}

/* It had ended already, and was forgotten. */
static void on_not_removed(struct chore *e, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND || err->code == ERROR_GONE)
		daytona_empty(e->r, 204);
	else
		daytona_fail_error(e->r, err);
}

void sessions_delete(struct http_request *r)
{
	struct shell *s = shell_of_request(r);
	auto_buf struct buf params = BUF_INIT(256);
	struct error err;
	if (!s)
		return;
	struct chore *e = daytona_chore(r);
	if (!e)
		return;
	buf_printf(&params, "{\"process\":\"%s\"}", s->process);
	error_set(&err, ERROR_GONE, "the session was deleted");
	shell_free(s, &err);
	e->failed = on_not_removed;
	chore_perform(e, &process_remove_action, &params, on_removed);
}

/* ---- commands ---- */

static void put_log(struct jsonw *w, const struct outlog *log)
{
	static const struct {
		const char *key;
		int channel;
	} parts[] = { { "output", 0 }, { "stdout", 1 }, { "stderr", 2 } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		auto_buf struct buf text = BUF_INIT(4 * OUTLOG_HALF);
		outlog_put(log, parts[i].channel, &text);
		jsonw_key_str(w, parts[i].key, buf_str(&text));
	}
}

static void on_command_end(void *arg, struct command *c, const struct error *err)
{
	struct http_request *r = arg;
	auto_buf struct buf body = BUF_INIT(REPLY_MAX);
	struct jsonw w = JSONW(&body);
	if (err) {
		daytona_fail(r, daytona_status(err->code),
			err->code == ERROR_GONE ? "SESSION_ENDED" : NULL, "%s", err->text);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "cmdId", str_from(c->id));
	put_log(&w, &c->log);
	jsonw_key_int(&w, "exitCode", c->exit_code);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

static void reply_started(struct http_request *r, const struct command *c)
{
	auto_buf struct buf body = BUF_INIT(256);
	buf_printf(&body, "{\"cmdId\":\"%s\"}", c->id);
	http_reply_json(r, 202, &body);
}

void sessions_execute(struct http_request *r)
{
	struct shell *s = shell_of_request(r);
	auto_json struct json *body = s ? daytona_body(r) : NULL;
	struct str command;
	struct error err;
	if (!body || !daytona_need(r, body, "command", &command))
		return;
	bool is_async = json_bool(json_find(body, "runAsync")) ||
		json_bool(json_find(body, "async"));
	if (!str_trim(command).len) {
		daytona_fail(r, 400, NULL, "command cannot be empty");
		return;
	}
	struct command *c = shell_execute(s, command, is_async, &err);
	if (!c) {
		daytona_fail(r, daytona_status(err.code),
			err.code == ERROR_GONE ? "SESSION_ENDED" : NULL, "%s", err.text);
		return;
	}
	c->is_silent = json_bool(json_find(body, "suppressInputEcho"));
	if (is_async) {
		reply_started(r, c);
		return;
	}
	c->done = on_command_end;
	c->done_arg = r;
}

void sessions_command(struct http_request *r)
{
	const struct command *c = command_of_request(r);
	auto_buf struct buf body = BUF_INIT(REPLY_MAX);
	struct jsonw w = JSONW(&body);
	if (!c)
		return;
	put_command(c, &w);
	http_reply_json(r, 200, &body);
}

static void on_input(struct chore *e, const struct json *result)
{
	daytona_empty(e->r, 204);
}

void sessions_input(struct http_request *r)
{
	struct command *c = command_of_request(r);
	auto_json struct json *body = c ? daytona_body(r) : NULL;
	auto_buf struct buf params = BUF_INIT(2 * DAYTONA_BODY_MAX),
			    text = BUF_INIT(DAYTONA_BODY_MAX);
	struct jsonw w = JSONW(&params);
	if (!body)
		return;
	struct str data = json_str(json_find(body, "data"));
	if (c->has_ended) {
		daytona_fail(r, 410, "COMMAND_ALREADY_COMPLETED",
			"command has already completed with exit code %d", c->exit_code);
		return;
	}
	if (!data.ptr || !c->has_input || c->shell->current != c) {
		daytona_fail(r, 400, NULL,
			!data.ptr ? "data is required" : "the command takes no input now");
		return;
	}
	struct chore *e = daytona_chore(r);
	if (!e)
		return;
	buf_put(&text, data);
	if (!str_ends(data, STR("\n")))
		buf_putc(&text, '\n');
	if (!c->is_silent) {
		outlog_add(&c->log, 1, buf_str(&text));
		followers_wake(c);
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "process", str_from(c->shell->process));
	jsonw_key_str(&w, "text", buf_str(&text));
	jsonw_close(&w);
	chore_perform(e, &process_input_action, &params, on_input);
}

/* ---- logs ---- */

struct follower {
	struct list link; /* command::followers */
	struct ws *ws;
	struct command *command;
	int64_t position;
	bool follows; /* else it is closed as soon as everything has been sent */
};

static void follower_free(struct follower *f)
{
	list_remove(&f->link);
	free(f);
}

static void follower_send(struct follower *f)
{
	struct str piece;
	while (!ws_is_full(f->ws) && outlog_next(&f->command->log, &f->position, &piece))
		while (piece.len) {
			ws_send_binary(f->ws, str_first(piece, 64 * 1024));
			piece = str_skip(piece, 64 * 1024);
		}
	if (ws_is_full(f->ws) || (f->follows && !f->command->has_ended))
		return;
	ws_close(f->ws, WS_DONE, "");
	follower_free(f);
}

void followers_wake(struct command *c)
{
	struct follower *f, *tmp;
	list_for_each_safe(f, tmp, &c->followers, link)
		follower_send(f);
}

void followers_drop(struct command *c)
{
	while (!list_is_empty(&c->followers)) {
		struct follower *f = list_get_first(&c->followers, struct follower, link);
		ws_close(f->ws, WS_DONE, "");
		follower_free(f);
	}
}

static void on_message(void *arg, struct str bytes)
{
}

static void on_drain(void *arg)
{
	follower_send(arg);
}

static void on_close(void *arg, int code)
{
	struct follower *f = arg;
	ws_free(f->ws);
	follower_free(f);
}

static void follow(struct http_request *r, struct command *c)
{
	static const struct ws_ops ops = { on_message, on_message, on_drain, on_close };
	struct follower *f = mem_new(struct follower);
	f->command = c;
	f->follows = str_is(http_query(r, "follow"), "true");
	list_append(&c->followers, &f->link);
	f->ws = ws_accept(r, NULL, &ops, f);
	follower_send(f);
}

void sessions_logs(struct http_request *r)
{
	struct command *c = command_of_request(r);
	auto_buf struct buf body = BUF_INIT(REPLY_MAX);
	struct jsonw w = JSONW(&body);
	if (!c)
		return;
	if (http_header(r, "Upgrade").ptr) {
		follow(r, c);
		return;
	}
	jsonw_open(&w);
	put_log(&w, &c->log);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* A sandbox of cay has no main process. */
void entrypoint_get(struct http_request *r)
{
	if (box_of_toolbox(r, NULL))
		daytona_fail(r, 404, "PROCESS_NOT_FOUND", "session not found");
}

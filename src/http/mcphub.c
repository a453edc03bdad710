/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A turn holds what its answer needs: the POST to reply to, or the session
 * whose stream it goes into. Either may go away before the answer: then the turn is `is_gone`, its
 * owner has been told, and its answer goes nowhere. A session ends with its stream, by DELETE, or
 * after a long silence.
 */
#include "http/mcphub.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "wire/sse.h"

#include <sys/random.h>

enum {
	ANSWER_MAX = HTTP_REPLY_MAX - 4096,
	SWEEP_MS = 60 * 1000,
};

struct mcphub {
	struct loop *loop;
	const struct mcphub_ops *ops;
	void *arg;
	bool has_sessions;
	struct list sessions; /* mcphub_session::link */
	struct list turns;    /* mcphub_turn::link */
	int n_sessions, n_turns;
	struct timer *sweep;
};

/* ---- turns ---- */

static void turn_free(struct mcphub_turn *turn)
{
	list_remove(&turn->link);
	turn->hub->n_turns--;
	if (turn->session) {
		turn->session->n_turns--;
		turn->session->active_ms = clock_mono_ms();
	}
	json_free(turn->tree);
	free(turn);
}

static void turn_gone(struct mcphub_turn *turn)
{
	if (turn->is_gone)
		return;
	turn->is_gone = true;
	if (turn->hub->ops->on_gone)
		turn->hub->ops->on_gone(turn->hub->arg, turn);
}

static void put_event(struct http_request *r, struct str message)
{
	auto_buf struct buf b = BUF_INIT(2 * ANSWER_MAX);
	sse_put(&b, "message", NULL, message);
	if (!b.is_full)
		http_stream_write(r, buf_str(&b));
}

/* The last word to a turn: a whole message. */
static void turn_end(struct mcphub_turn *turn, const struct buf *message)
{
	struct http_request *r = take_ptr(turn->http);
	auto_buf struct buf large = BUF_INIT(4096);
	if (message->is_full) {
		jsonrpc_put_error(&large, turn->message.id, JSONRPC_INTERNAL_ERROR,
			STR("the answer is too large to be sent"));
		message = &large;
	}
	if (r && turn->is_streaming) {
		put_event(r, buf_str(message));
		http_stream_end(r, true);
	} else if (r) {
		http_reply(r, 200, "application/json", buf_str(message));
	} else if (!turn->is_gone && turn->session && turn->session->stream) {
		put_event(turn->session->stream, buf_str(message));
	}
	turn_free(turn);
}

void mcphub_answer(struct mcphub_turn *turn, struct str result)
{
	auto_buf struct buf b = BUF_INIT(ANSWER_MAX);
	jsonrpc_put_result(&b, turn->message.id, result);
	turn_end(turn, &b);
}

void mcphub_refuse(struct mcphub_turn *turn, int code, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(4096);
	auto_buf struct buf b = BUF_INIT(16 * 1024);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	jsonrpc_put_error(&b, turn->message.id, code, buf_str(&text));
	turn_end(turn, &b);
}

void mcphub_refuse_as(struct mcphub_turn *turn, const struct json *error)
{
	auto_buf struct buf b = BUF_INIT(ANSWER_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "jsonrpc", STR("2.0"));
	jsonw_key(&w, "id");
	json_write(turn->message.id, &b);
	w.needs_comma = true;
	jsonw_key(&w, "error");
	json_write(error, &b);
	jsonw_close(&w);
	turn_end(turn, &b);
}

void mcphub_tell(struct mcphub_turn *turn, const char *method, struct str params)
{
	auto_buf struct buf b = BUF_INIT(ANSWER_MAX);
	struct http_request *r = turn->http;
	if (turn->is_gone)
		return;
	jsonrpc_put_notification(&b, method, params);
	if (r && !turn->is_streaming && http_accepts(r, "text/event-stream")) {
		turn->is_streaming = true;
		http_stream_begin(r, 200, "text/event-stream", -1);
	}
	if (!r && turn->session && turn->session->stream)
		r = turn->session->stream;
	else if (!turn->is_streaming)
		return;
	/* What is only told may be lost: a client that does not read holds nobody up. */
	if (r && !b.is_full && !http_stream_is_full(r))
		put_event(r, buf_str(&b));
}

void mcphub_tell_all(struct mcphub *hub, const char *method, struct str params)
{
	struct mcphub_session *s;
	auto_buf struct buf b = BUF_INIT(ANSWER_MAX);
	jsonrpc_put_notification(&b, method, params);
	list_for_each(s, &hub->sessions, link)
		if (s->stream && !b.is_full && !http_stream_is_full(s->stream))
			put_event(s->stream, buf_str(&b));
}

/* ---- whose a turn is ---- */

/*
 * A session's id is known to its client alone. Where there is none, one hub serves the clients of
 * many sandboxes, whose numbers are the same: then a turn belongs to the sandbox that its request
 * was let in for.
 */
static const char *sandbox_of(const struct mcphub_session *s, const struct http_request *r)
{
	const char *id = s || !r->face->sandbox_of ? NULL : r->face->sandbox_of(r);
	return id ? id : "";
}

static bool has_id(const struct mcphub_turn *t, const struct json *id)
{
	if (json_kind(t->message.id) != json_kind(id))
		return false;
	return json_kind(id) == JSON_KIND_INT ? json_int(id) == json_int(t->message.id)
					      : str_eq(json_str(id), json_str(t->message.id));
}

/* The turn of this request, or NULL. */
static struct mcphub_turn *find_turn(struct mcphub *hub, const struct mcphub_session *s,
	const char *sandbox, const struct json *id)
{
	struct mcphub_turn *t;
	if (!id)
		return NULL;
	list_for_each(t, &hub->turns, link)
		if (t->session == s && !strcmp(t->sandbox, sandbox) && has_id(t, id))
			return t;
	return NULL;
}

static bool has_room(const struct mcphub *hub, const char *sandbox)
{
	const struct mcphub_turn *t;
	int n = 0;
	if (hub->n_turns < MCPHUB_TURNS_MAX)
		return true;
	list_for_each(t, &hub->turns, link)
		n += !strcmp(t->sandbox, sandbox);
	return n < MCPHUB_TURNS_MAX;
}

/* ---- sessions ---- */

static struct mcphub_session *find_session(struct mcphub *hub, struct str id)
{
	struct mcphub_session *s;
	list_for_each(s, &hub->sessions, link)
		if (str_is(id, s->id))
			return s;
	return NULL;
}

static void make_id(char ret[33])
{
	uint8_t bytes[16];
	BUG_IF(getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes), "the kernel has no randomness");
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

/* NULL: there are too many. */
static struct mcphub_session *session_new(struct mcphub *hub)
{
	if (hub->n_sessions >= MCPHUB_SESSIONS_MAX)
		return NULL;
	struct mcphub_session *s = mem_new(struct mcphub_session);
	s->hub = hub;
	s->active_ms = clock_mono_ms();
	make_id(s->id);
	list_append(&hub->sessions, &s->link);
	if (hub->n_sessions++ == 0)
		timer_set(hub->sweep, SWEEP_MS);
	return s;
}

static void session_end(struct mcphub_session *s)
{
	struct mcphub *hub = s->hub;
	struct mcphub_turn *t, *next;
	struct http_request *stream = take_ptr(s->stream);
	list_remove(&s->link);
	hub->n_sessions--;
	list_for_each_safe(t, next, &hub->turns, link)
		if (t->session == s) {
			turn_gone(t);
		}
	list_for_each(t, &hub->turns, link)
		if (t->session == s)
			t->session = NULL;
	if (hub->ops->on_session_end)
		hub->ops->on_session_end(hub->arg, s);
	if (stream)
		http_stream_end(stream, true);
	free(s);
}

static void on_sweep(void *arg)
{
	struct mcphub *hub = arg;
	struct mcphub_session *s, *next;
	int64_t now = clock_mono_ms();
	list_for_each_safe(s, next, &hub->sessions, link)
		if (!s->stream && s->n_turns == 0 && now - s->active_ms > MCPHUB_IDLE_MS)
			session_end(s);
	if (hub->n_sessions)
		timer_set(hub->sweep, SWEEP_MS);
}

/* ---- messages ---- */

static void reply_error(struct http_request *r, int status, int code, const char *text)
{
	auto_buf struct buf b = BUF_INIT(8192);
	jsonrpc_put_error(&b, NULL, code, str_from(text));
	http_reply(r, status, "application/json", buf_str(&b));
}

static void on_post_closed(void *arg)
{
	turn_gone(arg);
}

static struct mcphub_turn *turn_new(struct mcphub *hub, struct mcphub_session *s,
	const char *sandbox, struct json *tree, const struct jsonrpc *m)
{
	struct mcphub_turn *turn = mem_new(struct mcphub_turn);
	turn->hub = hub;
	turn->session = s;
	turn->tree = tree;
	turn->message = *m;
	snprintf(turn->sandbox, sizeof(turn->sandbox), "%s", sandbox);
	list_append(&hub->turns, &turn->link);
	hub->n_turns++;
	if (s)
		s->n_turns++;
	return turn;
}

/* notifications/cancelled is ours: the turn is gone; others are the owner's. */
static void notify(struct mcphub *hub, struct mcphub_session *s, const char *sandbox,
	const struct jsonrpc *m)
{
	if (str_is(m->method, "notifications/cancelled")) {
		struct mcphub_turn *turn = find_turn(hub, s, sandbox,
			json_find(m->params, "requestId"));
		if (turn && hub->ops->on_gone && !turn->is_gone)
			hub->ops->on_gone(hub->arg, turn);
	} else if (m->kind == JSONRPC_NOTIFICATION && hub->ops->on_notification) {
		hub->ops->on_notification(hub->arg, s, m);
	}
}

/* *ret_tree is the caller's, on success. The text is told to the client otherwise. */
static int read_body(struct http_request *r, struct json **ret_tree, struct jsonrpc *ret,
	int *ret_code, struct error *err)
{
	*ret_code = JSONRPC_PARSE_ERROR;
	if (json_parse(r->body, ret_tree, err) < 0)
		return -1;
	*ret_code = JSONRPC_INVALID_REQUEST;
	if (jsonrpc_read(*ret_tree, ret, err) == 0)
		return 0;
	json_free(*ret_tree);
	return -1;
}

struct mcphub_session *mcphub_session_of(struct mcphub *hub, const struct http_request *r)
{
	struct str id = http_header(r, "Mcp-Session-Id");
	return id.len ? find_session(hub, id) : NULL;
}

/* The session that a message of streamable HTTP belongs to. -1: the request has been answered. */
static int take_session(struct mcphub *hub, struct http_request *r, const struct jsonrpc *m,
	struct mcphub_session **ret)
{
	*ret = NULL;
	if (!hub->has_sessions)
		return 0;
	if (m->kind == JSONRPC_REQUEST && str_is(m->method, "initialize")) {
		*ret = session_new(hub);
		if (!*ret)
			reply_error(r, 429, JSONRPC_INTERNAL_ERROR, "Too many sessions");
		else
			http_reply_header(r, "Mcp-Session-Id", (*ret)->id);
		return *ret ? 0 : -1;
	}
	if (!http_header(r, "Mcp-Session-Id").len) {
		reply_error(r, 400, JSONRPC_INVALID_REQUEST, "Bad Request: Missing session ID");
		return -1;
	}
	*ret = mcphub_session_of(hub, r);
	if (!*ret)
		reply_error(r, 404, JSONRPC_INVALID_REQUEST, "Session not found");
	else
		(*ret)->active_ms = clock_mono_ms();
	return *ret ? 0 : -1;
}

static const char *const revisions[] = { "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25",
	NULL };

/* Absent, the client is of a revision that did not say. */
static bool check_revision(struct http_request *r)
{
	struct str revision = http_header(r, "MCP-Protocol-Version");
	for (const char *const *known = revisions; *known; known++)
		if (!revision.ptr || str_is(revision, *known))
			return true;
	reply_error(r, 400, JSONRPC_INVALID_REQUEST,
		"Bad Request: Unsupported protocol version (supported: 2024-11-05, 2025-03-26, "
		"2025-06-18, 2025-11-25)");
	return false;
}

void mcphub_post(struct mcphub *hub, struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_post_closed };
	struct mcphub_session *s;
	struct json *tree;
	struct jsonrpc m;
	struct error err;
	int code;
	if (!check_revision(r))
		return;
	if (read_body(r, &tree, &m, &code, &err) < 0) {
		reply_error(r, 400, code, err.text);
		return;
	}
	if (take_session(hub, r, &m, &s) < 0) {
		json_free(tree);
		return;
	}
	const char *sandbox = sandbox_of(s, r);
	if (m.kind != JSONRPC_REQUEST) {
		notify(hub, s, sandbox, &m);
		json_free(tree);
		http_reply(r, 202, NULL, STR(""));
		return;
	}
	if (!has_room(hub, sandbox)) {
		json_free(tree);
		reply_error(r, 429, JSONRPC_INTERNAL_ERROR, "Too many requests are under way");
		return;
	}
	struct mcphub_turn *turn = turn_new(hub, s, sandbox, tree, &m);
	turn->http = r;
	http_listen(r, &ops, turn);
	hub->ops->on_request(hub->arg, turn);
}

void mcphub_get(struct mcphub *hub, struct http_request *r)
{
	http_reply_header(r, "Allow", hub->has_sessions ? "POST, DELETE" : "POST");
	reply_error(r, 405, JSONRPC_INVALID_REQUEST, "Method Not Allowed");
}

void mcphub_delete(struct mcphub *hub, struct http_request *r)
{
	struct mcphub_session *s = mcphub_session_of(hub, r);
	if (!hub->has_sessions) {
		mcphub_get(hub, r);
	} else if (!s) {
		reply_error(r, 404, JSONRPC_INVALID_REQUEST, "Session not found");
	} else {
		session_end(s);
		http_reply(r, 204, NULL, STR(""));
	}
}

/* ---- HTTP with SSE ---- */

static void on_stream_closed(void *arg)
{
	session_end(arg);
}

void mcphub_sse(struct mcphub *hub, struct http_request *r, const char *messages)
{
	static const struct http_ops ops = { .on_closed = on_stream_closed };
	struct mcphub_session *s = session_new(hub);
	auto_buf struct buf b = BUF_INIT(HTTP_HEAD_MAX);
	auto_buf struct buf endpoint = BUF_INIT(HTTP_HEAD_MAX);
	if (!s) {
		reply_error(r, 429, JSONRPC_INTERNAL_ERROR, "Too many sessions");
		return;
	}
	s->stream = r;
	http_listen(r, &ops, s);
	http_stream_begin(r, 200, "text/event-stream", -1);
	buf_printf(&endpoint, "%s?session_id=%s", messages, s->id);
	sse_put(&b, "endpoint", NULL, buf_str(&endpoint));
	http_stream_write(r, buf_str(&b));
}

static void reply_text(struct http_request *r, int status, const char *text)
{
	http_reply(r, status, "text/plain; charset=utf-8", str_from(text));
}

void mcphub_sse_post(struct mcphub *hub, struct http_request *r)
{
	struct str id = http_query(r, "session_id");
	struct mcphub_session *s = id.len ? find_session(hub, id) : NULL;
	struct json *tree;
	struct jsonrpc m;
	struct error err;
	int code;
	if (!id.len) {
		reply_text(r, 400, "session_id is required");
		return;
	}
	if (!s || !s->stream) {
		reply_text(r, 404, "Could not find session");
		return;
	}
	if (read_body(r, &tree, &m, &code, &err) < 0) {
		reply_text(r, 400, "Could not parse message");
		return;
	}
	if (m.kind == JSONRPC_REQUEST && !has_room(hub, "")) {
		json_free(tree);
		reply_text(r, 429, "Too many requests are under way");
		return;
	}
	reply_text(r, 202, "Accepted");
	if (m.kind == JSONRPC_REQUEST) {
		hub->ops->on_request(hub->arg, turn_new(hub, s, "", tree, &m));
		return;
	}
	notify(hub, s, "", &m);
	json_free(tree);
}

/* ---- the hub ---- */

struct mcphub *mcphub_new(struct loop *loop, bool has_sessions, const struct mcphub_ops *ops,
	void *arg)
{
	struct mcphub *hub = mem_new(struct mcphub);
	hub->loop = loop;
	hub->has_sessions = has_sessions;
	hub->ops = ops;
	hub->arg = arg;
	hub->sweep = timer_new(loop, on_sweep, hub);
	list_init(&hub->sessions);
	list_init(&hub->turns);
	return hub;
}

void mcphub_free(struct mcphub *hub)
{
	if (!hub)
		return;
	while (!list_is_empty(&hub->sessions))
		session_end(list_get_first(&hub->sessions, struct mcphub_session, link));
	while (!list_is_empty(&hub->turns))
		mcphub_refuse(list_get_first(&hub->turns, struct mcphub_turn, link),
			JSONRPC_INTERNAL_ERROR, "the server is shutting down");
	timer_free(hub->sweep);
	free(hub);
}

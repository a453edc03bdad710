/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET …/stream: one action over one WebSocket, both ways. The first text says which; then binary
 * messages are a channel's byte and its data. A client that goes away ends the call; what a session
 * or process does goes on.
 */
#include "face/rest/handlers.h"

#include "base/bug.h"
#include "http/websocket.h"

enum {
	PARAMS_MAX = 2 * WS_MESSAGE_MAX,
	RESULT_MAX = 3 * 1024 * 1024, /* beyond, the socket could not take it at once */
	WS_CODE_DONE = 1000,
	WS_CODE_FAILED = 1011,
};

struct stream {
	struct runtime *runtime;
	char id[ID_SIZE];
	struct ws *ws;
	struct runtime_call *call; /* NULL: not begun */
};

static void stream_free(struct stream *s)
{
	if (s->call)
		runtime_call_cancel(s->call);
	free(s);
}

static void send_wrapped(struct stream *s, const char *key, struct str json)
{
	auto_buf struct buf b = BUF_INIT(json.len + 64);
	buf_printf(&b, "{\"%s\":", key);
	buf_put(&b, json);
	buf_putc(&b, '}');
	ws_send_text(s->ws, buf_str(&b));
}

static void fail(struct stream *s, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	jsonw_error(&w, err);
	send_wrapped(s, "error", buf_str(&b));
	ws_close(s->ws, WS_CODE_FAILED, error_name(err->code));
	stream_free(s);
}

/* What comes from the call. */

static void pause_if_full(struct stream *s)
{
	if (ws_is_full(s->ws))
		runtime_call_pause(s->call, true);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct stream *s = arg;
	auto_buf struct buf b = BUF_INIT(bytes.len + 1);
	buf_putc(&b, (char)channel);
	buf_put(&b, bytes);
	ws_send_binary(s->ws, buf_str(&b));
	pause_if_full(s);
}

static void on_event(void *arg, struct str json)
{
	struct stream *s = arg;
	send_wrapped(s, "event", json);
	pause_if_full(s);
}

static void on_error(void *arg, const struct error *err)
{
	struct stream *s = arg;
	s->call = NULL;
	fail(s, err);
}

static void on_result(void *arg, struct str json)
{
	struct stream *s = arg;
	struct error err;
	s->call = NULL;
	if (json.len > RESULT_MAX) {
		error_set(&err, ERROR_TOO_LARGE,
			"a result of %zu bytes does not fit a WebSocket; the limit is %d", json.len,
			RESULT_MAX);
		fail(s, &err);
		return;
	}
	send_wrapped(s, "result", json);
	ws_close(s->ws, WS_CODE_DONE, "done");
	stream_free(s);
}

static void on_taken(void *arg)
{
	struct stream *s = arg;
	ws_pause(s->ws, false);
}

/* What comes from the client. */

static const struct field first_fields[] = {
	{ "action", FIELD_STRING, 0, FIELD_REQUIRED, .help = "which action" },
	{ "params", FIELD_JSON, sizeof(struct str), .help = "its parameters" },
	{ 0 },
};

struct first {
	struct str action;
	const struct json *params;
};

static int begin(struct stream *s, const struct json *json, struct error *err)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_event,
		.drain = on_taken,
		.result = on_result,
		.error = on_error,
	};
	auto_arena struct arena arena = ARENA_INIT(64 * 1024);
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	void *decoded;
	if (fields_decode(first_fields, sizeof(struct first), "stream", json, &arena, &decoded,
		    err) < 0)
		return -1;
	const struct first *first = decoded;
	const struct action *action = action_find(first->action);
	struct sandbox *sandbox = runtime_find(s->runtime, str_from(s->id), err);
	if (!sandbox)
		return -1;
	if (!action)
		return error_set(err, ERROR_NOT_FOUND, "no such action: '%.*s'",
			STR_ARG(str_first(first->action, 64)));
	if (first->params)
		json_write(first->params, &params);
	s->call = runtime_perform(sandbox, action, buf_str(&params), &sink, s);
	return 0;
}

static int take_control(struct stream *s, const struct json *json, struct error *err)
{
	const struct json *control = json_find(json, "control");
	const struct json *eof = json_find(json, "eof");
	if (json_len(json) != 1 || (!control && json_kind(eof) != JSON_KIND_INT))
		return error_set(err, ERROR_INVALID,
			"stream: a text must be {\"control\":…} or {\"eof\":channel}");
	if (eof) {
		runtime_call_eof(s->call, (uint8_t)json_int(eof));
		return 0;
	}
	auto_buf struct buf b = BUF_INIT(WS_MESSAGE_MAX);
	json_write(control, &b);
	runtime_call_control(s->call, buf_str(&b));
	return 0;
}

static void on_text(void *arg, struct str text)
{
	struct stream *s = arg;
	auto_json struct json *json = NULL;
	struct error err;
	int r = json_check_values(text, HTTP_GUEST_VALUES, &err);
	if (r == 0)
		r = json_parse(text, &json, &err);
	if (r == 0)
		r = s->call ? take_control(s, json, &err) : begin(s, json, &err);
	if (r < 0)
		fail(s, &err);
}

static void on_binary(void *arg, struct str bytes)
{
	struct stream *s = arg;
	struct error err;
	if (!s->call || bytes.len == 0) {
		error_set(&err, ERROR_INVALID, "stream: %s",
			s->call ? "a binary message without channel"
				: "data came before the action");
		fail(s, &err);
		return;
	}
	runtime_call_send(s->call, (uint8_t)bytes.ptr[0], str_skip(bytes, 1));
	if (runtime_call_is_full(s->call))
		ws_pause(s->ws, true);
}

static void on_drain(void *arg)
{
	struct stream *s = arg;
	if (s->call)
		runtime_call_pause(s->call, false);
}

static void on_close(void *arg, int code)
{
	struct stream *s = arg;
	ws_free(s->ws);
	stream_free(s);
}

void stream_open(struct http_request *r)
{
	static const struct ws_ops ops = { on_text, on_binary, on_drain, on_close };
	struct sandbox *sandbox = rest_sandbox(r);
	if (!sandbox)
		return;
	struct stream *s = mem_new(struct stream);
	s->runtime = rest_of(r)->runtime;
	memcpy(s->id, sandbox->id, sizeof(s->id));
	s->ws = ws_accept(r, NULL, &ops, s);
}

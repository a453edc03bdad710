/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /NAME. The body is looked at as Python reads JSON, and goes on as text: what Python alone
 * can hold (NaN, an integer of a hundred digits) arrives. What FastAPI refuses is refused with its
 * words and positions.
 */
#include "action/gate.h"
#include "action/tool_actions.h"
#include "base/auto.h"
#include "face/camel/state.h"
#include "guard/camel.h"
#include "wire/frame.h"
#include "wire/pyjson.h"
#include "wire/utf8.h"

enum { MEMBER_ARGS, MEMBER_KWARGS, MEMBER_REDIRECT, MEMBERS };

/* In the request's arena. */
struct act {
	struct http_request *r;
	struct runtime_call *call; /* NULL: it is over */
	bool has_stdout;
};

/* ---- refusals ---- */

static void reply_invalid(struct http_request *r, const char *type, const char *message,
	struct str input, bool is_text)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	buf_printf(&b,
		"{\"detail\":[{\"type\":\"%s\",\"loc\":[\"body\"],\"msg\":\"%s\",\"input\":", type,
		message);
	if (is_text)
		jsonw_str(&w, input);
	else
		pyjson_put_compact(&b, input);
	buf_puts(&b, "}]}");
	http_reply_json(r, 422, &b);
}

static void reply_fault(struct http_request *r, const struct pyjson_fault *fault)
{
	auto_buf struct buf b = BUF_INIT(1024);
	struct jsonw w = JSONW(&b);
	buf_printf(&b,
		"{\"detail\":[{\"type\":\"json_invalid\",\"loc\":[\"body\",%zu],\"msg\":\"JSON decode "
		"error\",\"input\":{},\"ctx\":{\"error\":",
		fault->at);
	jsonw_str(&w, str_from(fault->what));
	buf_puts(&b, "}}]}");
	http_reply_json(r, 422, &b);
}

/* As the original answers when a tool raises. */
static void reply_failed(struct http_request *r, int status, struct str message)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "detail", STR("Internal Server Error"));
	jsonw_key_str(&w, "error_message", message);
	jsonw_close(&w);
	http_reply_json(r, status, &b);
}

static bool is_json_type(struct str type)
{
	ptrdiff_t at = str_find_char(type, ';');
	type = str_trim(at < 0 ? type : str_first(type, (size_t)at));
	return str_eq_nocase(type, STR("application/json")) ||
		(str_starts(type, STR("application/")) && str_ends(type, STR("+json")));
}

/* False: the request has been answered. */
static bool take_members(struct http_request *r, struct str *members)
{
	static const char *const names[MEMBERS] = { "args", "kwargs", "redirect_stdout" };
	struct pyjson_fault fault;
	if (!r->body.len) {
		reply_invalid(r, "missing", "Field required", STR("null"), false);
	} else if (!utf8_is_valid(r->body)) {
		camel_reply_detail(r, 400, "There was an error parsing the body");
	} else if (!is_json_type(http_header(r, "Content-Type"))) {
		reply_invalid(r, "dict_type", "Input should be a valid dictionary", r->body, true);
	} else if (pyjson_members(r->body, names, members, MEMBERS, &fault) < 0) {
		reply_fault(r, &fault);
	} else if (pyjson_kind(r->body) != JSON_KIND_OBJECT) {
		reply_invalid(r, "dict_type", "Input should be a valid dictionary", r->body, false);
	} else if (!members[MEMBER_ARGS].ptr || !members[MEMBER_KWARGS].ptr) {
		reply_failed(r, 500, members[MEMBER_ARGS].ptr ? STR("'kwargs'") : STR("'args'"));
	} else {
		return true;
	}
	return false;
}

/* ---- the answer ---- */

static void reply_output(struct act *act, struct str output, struct str said)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "output", output);
	if (act->has_stdout)
		jsonw_key_str(&w, "stdout", said);
	jsonw_close(&w);
	http_reply_json(act->r, 200, &b);
}

static void on_result(void *arg, struct str text)
{
	struct act *act = arg;
	auto_json struct json *result = NULL;
	struct error err;
	act->call = NULL;
	if (json_parse(text, &result, &err) < 0) {
		reply_failed(act->r, 500, str_from(err.text));
		return;
	}
	const struct json *failure = json_find(result, "error");
	if (json_kind(failure) == JSON_KIND_OBJECT) {
		reply_failed(act->r, 500, json_str(json_find(failure, "message")));
		return;
	}
	reply_output(act, json_str(json_find(result, "output")),
		json_str(json_find(result, "stdout")));
}

static void on_error(void *arg, const struct error *err)
{
	struct act *act = arg;
	auto_buf struct buf refusal = BUF_INIT(65536);
	act->call = NULL;
	if (gate_is_refusal(err)) {
		camel_put_refusal(&refusal, http_param(act->r, "tool"), err);
		reply_output(act, buf_str(&refusal), STR(""));
		return;
	}
	if (err->code == ERROR_NOT_FOUND)
		camel_reply_detail(act->r, 404, "Not Found");
	else if (err->code == ERROR_LIMIT)
		http_reply_header(act->r, "Retry-After", "1");
	if (err->code != ERROR_NOT_FOUND)
		reply_failed(act->r, err->code == ERROR_LIMIT ? 503 : 500, str_from(err->text));
}

/* Nobody waits for it any more: the tool is told. */
static void on_closed(void *arg)
{
	struct act *act = arg;
	if (!act->call)
		return;
	runtime_call_cancel(act->call);
	act->call = NULL;
	reply_failed(act->r, 500, STR("the client went away"));
}

static void put_params(struct http_request *r, const struct str *members, struct buf *b)
{
	auto_buf struct buf call = BUF_INIT(2 * CAMEL_BODY_MAX);
	struct jsonw w = JSONW(b);
	buf_puts(&call, "{\"args\":");
	buf_put(&call, members[MEMBER_ARGS]);
	buf_puts(&call, ",\"kwargs\":");
	buf_put(&call, members[MEMBER_KWARGS]);
	buf_putc(&call, '}');
	jsonw_open(&w);
	jsonw_key_str(&w, "tool", http_param(r, "tool"));
	jsonw_key_str(&w, "call", buf_str(&call));
	jsonw_close(&w);
}

void camel_call(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	static const struct call_sink sink = { .result = on_result, .error = on_error };
	struct str members[MEMBERS];
	struct sandbox *s = camel_sandbox(r);
	if (!s)
		return;
	if (tool_name_is_taken(http_param(r, "tool"))) {
		http_reply_header(r, "Allow", "GET");
		camel_reply_detail(r, 405, "Method Not Allowed");
		return;
	}
	if (!take_members(r, members))
		return;
	auto_buf struct buf params = BUF_INIT(FRAME_PAYLOAD_MAX);
	put_params(r, members, &params);
	if (params.is_full) {
		camel_reply_detail(r, 413, "the arguments are too large");
		return;
	}
	struct act *act = arena_new(&r->arena, struct act);
	act->r = r;
	act->has_stdout = members[MEMBER_REDIRECT].ptr && pyjson_is_true(members[MEMBER_REDIRECT]);
	act->call = runtime_perform(s, &tool_call_action, buf_str(&params), &sink, act);
	http_listen(r, &ops, act);
}

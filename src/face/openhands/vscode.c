/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The editor of a sandbox: its token, which its process list says, and the way to it. Clients build the address
 * /{runtime_id}/vscode?tkn=TOKEN; who comes there with the token is led to the editor's own origin
 * (face/rest/ports.h), where it can keep what an editor keeps.
 */
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/clock.h"
#include "face/openhands/handlers.h"
#include "face/openhands/reply.h"
#include "face/openhands/state.h"
#include "runtime/plugin.h"
#include "runtime/port.h"

enum { ASK_AGAIN_MS = 1000 };

/* ---- the token ---- */

/* What a list of processes says of it; kept for who comes to the editor. */
static struct str take_token(struct http_request *r, const struct json *list)
{
	struct openhands *oh = openhands_of(r);
	struct str name = http_param(r, "sandbox"), token = plugin_vscode_token(list);
	const struct sandbox *s = runtime_find(oh->rt, name.ptr ? name : STR(OPENHANDS_SANDBOX),
		NULL);
	struct cursor *c = s ? cursors_get(&oh->cursors, oh->rt, s->id) : NULL;
	if (c) {
		free(c->editor_token);
		c->editor_token = token.len ? str_dup(token) : NULL;
	}
	return token;
}

static void on_list(void *arg, struct str json)
{
	struct http_request *r = arg;
	auto_json struct json *list = NULL;
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	struct str token = json_parse(json, &list, NULL) == 0 ? take_token(r, list) : STR_NONE;
	jsonw_open(&w);
	jsonw_key(&w, "token");
	if (token.ptr)
		jsonw_str(&w, token);
	else
		jsonw_null(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void on_error(void *arg, const struct error *err)
{
	reply_detail(arg, 500, "%s", err->text);
}

static void token_in(struct openhands *oh, struct http_request *r, struct sandbox *s)
{
	static const struct call_sink sink = { .result = on_list, .error = on_error };
	runtime_perform(s, &process_list_action, STR_NONE, &sink, r);
}

void connection_token(struct http_request *r)
{
	openhands_with_sandbox(r, token_in);
}

/* ---- the way ---- */

static void refuse(struct http_request *r)
{
	reply_detail(r, 403, "the editor's token is wanted: ?tkn=…");
}

static void redirect(struct http_request *r, const struct sandbox *s)
{
	auto_buf struct buf to = BUF_INIT(2 * HTTP_HEAD_MAX);
	port_put_link(r, s, PLUGIN_VSCODE_PORT, &to);
	if (!to.len) {
		reply_detail(r, 501,
			"the server listens on no TCP port: a browser cannot reach it");
		return;
	}
	buf_putc(&to, str_find_char(buf_str(&to), '?') < 0 ? '?' : '&');
	buf_put(&to, r->query);
	http_reply_header(r, "Location", to.ptr);
	http_reply(r, 302, NULL, STR(""));
}

static void on_list_for_way(void *arg, struct str json)
{
	struct http_request *r = arg;
	auto_json struct json *list = NULL;
	struct str token = json_parse(json, &list, NULL) == 0 ? take_token(r, list) : STR_NONE;
	const struct sandbox *s = runtime_find(openhands_of(r)->rt, http_param(r, "sandbox"), NULL);
	if (s && token.len && str_eq_secret(token, http_query(r, "tkn")))
		redirect(r, s);
	else
		refuse(r);
}

static void on_no_list(void *arg, const struct error *err)
{
	refuse(arg);
}

/*
 * No token of ours comes with it: the editor's is asked for, and nothing is told to who has none. Nor does he have the
 * sandbox do anything: it is asked once in a while, for all who come with a token that is not the last one known.
 */
void vscode_open(struct http_request *r)
{
	static const struct call_sink sink = { .result = on_list_for_way, .error = on_no_list };
	struct openhands *oh = openhands_of(r);
	struct sandbox *s = openhands_find_open(r, NULL);
	struct str shown = http_query(r, "tkn");
	struct cursor *c = s && shown.len ? cursors_get(&oh->cursors, oh->rt, s->id) : NULL;
	int64_t now = clock_mono_ms();
	if (c && c->editor_token && str_eq_secret(shown, str_from(c->editor_token))) {
		redirect(r, s);
	} else if (c && (!c->editor_asked_ms || now - c->editor_asked_ms >= ASK_AGAIN_MS)) {
		c->editor_asked_ms = now;
		runtime_perform(s, &process_list_action, STR_NONE, &sink, r);
	} else {
		refuse(r);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The editor of a sandbox, and the way to it. The editor has one token for all its life, which its
 * process list says and which opens it; what clients are told is that token and a ticket,
 * "TOKEN.TICKET", that ends with what they were let in by. They build the address
 * /{runtime_id}/vscode?tkn=TOKEN.TICKET; who comes there is led, for as long, to the editor's own
 * origin (face/rest/ports.h), where it can keep what an editor keeps. The editor's token alone
 * leads nowhere: whoever was in the sandbox once knows it.
 */
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/clock.h"
#include "face/openhands/handlers.h"
#include "face/openhands/reply.h"
#include "face/openhands/state.h"
#include "runtime/plugin.h"
#include "runtime/port.h"
#include "wire/url.h"

enum { ASK_AGAIN_MS = 1000, PURPOSE_SIZE = ID_SIZE + 16 };

static void put_purpose(const struct sandbox *s, char ret[PURPOSE_SIZE])
{
	snprintf(ret, PURPOSE_SIZE, "editor %s", s->id);
}

/* ---- the token ---- */

static const struct sandbox *sandbox_asked_for(struct http_request *r)
{
	struct str name = http_param(r, "sandbox");
	return runtime_find(openhands_of(r)->rt, name.ptr ? name : STR(OPENHANDS_SANDBOX), NULL);
}

/* What a list of processes says of it; kept for who comes to the editor. */
static struct str take_token(struct http_request *r, const struct json *list)
{
	struct openhands *oh = openhands_of(r);
	struct str token = plugin_vscode_token(list);
	const struct sandbox *s = sandbox_asked_for(r);
	struct cursor *c = s ? cursors_get(&oh->cursors, oh->rt, s->id) : NULL;
	if (c) {
		free(c->editor_token);
		c->editor_token = token.len ? str_dup(token) : NULL;
	}
	return token;
}

/* The second is for who comes to the port in another way, with what lets him in there. */
static void put_tokens(const struct http_request *r, const struct sandbox *s, struct str token,
	struct jsonw *w)
{
	char purpose[PURPOSE_SIZE], ticket[TICKET_UNTIL_SIZE];
	auto_buf struct buf b = BUF_INIT(HTTP_HEAD_MAX);
	put_purpose(s, purpose);
	port_make_ticket(r, purpose, ticket);
	buf_put(&b, token);
	buf_printf(&b, "%s%s", ticket[0] ? "." : "", ticket);
	jsonw_key_str(w, "token", buf_str(&b));
	jsonw_key_str(w, "editor_token", token);
}

static void on_list(void *arg, struct str json)
{
	struct http_request *r = arg;
	auto_json struct json *list = NULL;
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	struct str token = json_parse(json, &list, NULL) == 0 ? take_token(r, list) : STR_NONE;
	const struct sandbox *s = sandbox_asked_for(r);
	jsonw_open(&w);
	if (s && token.ptr) {
		put_tokens(r, s, token, &w);
	} else {
		jsonw_key(&w, "token");
		jsonw_null(&w);
	}
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

/* The request's query, with the editor's own token. */
static void put_query(const struct http_request *r, struct str token, struct buf *to)
{
	struct str rest = r->query, piece;
	char sep = str_find_char(buf_str(to), '?') < 0 ? '?' : '&';
	while (str_split(&rest, '&', &piece)) {
		buf_putc(to, sep);
		sep = '&';
		if (!str_starts(piece, STR("tkn="))) {
			buf_put(to, piece);
			continue;
		}
		buf_puts(to, "tkn=");
		url_encode(token, to);
	}
}

static void redirect(struct http_request *r, const struct sandbox *s, struct str token)
{
	auto_buf struct buf to = BUF_INIT(2 * HTTP_HEAD_MAX);
	port_put_link(r, s, PLUGIN_VSCODE_PORT, &to);
	if (!to.len) {
		reply_detail(r, 501,
			"the server listens on no TCP port: a browser cannot reach it");
		return;
	}
	put_query(r, token, &to);
	http_reply_header(r, "Location", to.ptr);
	http_reply(r, 302, NULL, STR(""));
}

/*
 * What was shown as the editor's token, without the ticket that lets its bearer come here; STR_NONE
 * if it does not. From then on the request is one of who got the ticket, for as long as that is
 * good, and so is the link that it is given.
 */
static struct str shown_token(struct http_request *r, const struct sandbox *s)
{
	char purpose[PURPOSE_SIZE];
	struct str shown = http_query(r, "tkn"), ticket = STR_NONE;
	ptrdiff_t dot = str_find_char(shown, '.');
	if (dot >= 0) {
		ticket = str_skip(shown, (size_t)dot + 1);
		shown = str_first(shown, (size_t)dot);
	}
	put_purpose(s, purpose);
	if (!port_opens(r, purpose, ticket))
		return STR_NONE;
	if (ticket.ptr && ticket_end(ticket))
		r->grant = (struct grant){ .role = ROLE_SANDBOX,
			.sandbox = str_from(s->id),
			.until_s = ticket_end(ticket) };
	return shown;
}

static void on_list_for_way(void *arg, struct str json)
{
	struct http_request *r = arg;
	auto_json struct json *list = NULL;
	struct str token = json_parse(json, &list, NULL) == 0 ? take_token(r, list) : STR_NONE;
	const struct sandbox *s = sandbox_asked_for(r);
	if (s && token.len && str_eq_secret(token, shown_token(r, s)))
		redirect(r, s, token);
	else
		refuse(r);
}

static void on_no_list(void *arg, const struct error *err)
{
	refuse(arg);
}

/*
 * No token of ours comes with it: the editor's is asked for, and nothing is told to who has none.
 * Nor does he have the sandbox do anything: it is asked once in a while, for all who come with a
 * token that is not the last one known.
 */
void vscode_open(struct http_request *r)
{
	static const struct call_sink sink = { .result = on_list_for_way, .error = on_no_list };
	struct openhands *oh = openhands_of(r);
	struct sandbox *s = openhands_find_open(r, NULL);
	struct str shown = s ? shown_token(r, s) : STR_NONE;
	struct cursor *c = shown.len ? cursors_get(&oh->cursors, oh->rt, s->id) : NULL;
	int64_t now = clock_mono_ms();
	if (c && c->editor_token && str_eq_secret(shown, str_from(c->editor_token))) {
		redirect(r, s, shown);
	} else if (c && (!c->editor_asked_ms || now - c->editor_asked_ms >= ASK_AGAIN_MS)) {
		c->editor_asked_ms = now;
		runtime_perform(s, &process_list_action, STR_NONE, &sink, r);
	} else {
		refuse(r);
	}
}

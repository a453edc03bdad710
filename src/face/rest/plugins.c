/* SPDX-License-Identifier: Apache-2.0 */
/* The plugins of a sandbox. An action of one that fails as a program is an answer with isError. */
#include "face/rest/handlers.h"

#include "base/auto.h"
#include "runtime/plugin.h"

enum { TIMEOUT_MS = 3600 * 1000 };

void plugins_list(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	if (!s)
		return;
	auto_buf struct buf b = BUF_INIT(REST_JSON_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "plugins");
	plugins_write(s, &w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* In the request's arena. */
struct asked {
	struct http_request *r;
	struct mcp_request *request;
};

static void on_done(void *arg, const struct mcp_answer *answer)
{
	struct asked *asked = arg;
	auto_buf struct buf b = BUF_INIT(2 * MCP_MESSAGE_MAX);
	asked->request = NULL;
	if (!answer->result) {
		http_reply_error(asked->r, &answer->err);
		return;
	}
	json_write(answer->result, &b);
	http_reply_json(asked->r, 200, &b);
}

static void on_closed(void *arg)
{
	struct asked *asked = arg;
	struct error err;
	if (!asked->request)
		return;
	mcp_request_cancel(asked->request);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(asked->r, &err);
}

void plugins_perform(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct sandbox *s = rest_sandbox(r);
	struct error err;
	if (!s)
		return;
	struct asked *asked = arena_new(&r->arena, struct asked);
	asked->r = r;
	asked->request = plugin_call(s, http_param(r, "plugin"), http_param(r, "action"), r->body,
		TIMEOUT_MS, on_done, asked, &err);
	if (asked->request)
		http_listen(r, &ops, asked);
	else
		http_reply_error(r, &err);
}

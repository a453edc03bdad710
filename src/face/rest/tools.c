/* SPDX-License-Identifier: Apache-2.0 */
/* POST …/tool-server: a port of its own for the tools of a sandbox (face/camel). The rest of tools are actions. */
#include "face/camel/camel.h"
#include "face/rest/handlers.h"

struct lend_params {
	struct str listen, token;
	bool ends_sandbox;
};

const struct field tool_server_fields[] = {
	{ "listen", FIELD_STRING, FIELD_AT(struct lend_params, listen),
		.standard = "127.0.0.1:8000", .help = "HOST:PORT; port 0: any free one" },
	{ "token", FIELD_STRING, FIELD_AT(struct lend_params, token), FIELD_SECRET,
		.help = "what callers have to show; needed for an address that other machines can reach" },
	{ "ends_sandbox", FIELD_BOOL, FIELD_AT(struct lend_params, ends_sandbox),
		.standard = "false", .help = "remove the sandbox when the stream ends" },
	{ 0 },
};

void tool_server_open(struct http_request *r)
{
	auto_json struct json *body = NULL;
	struct sandbox *s = rest_sandbox(r);
	struct error err;
	void *params;
	if (!s)
		return;
	if ((r->body.len && json_parse(r->body, &body, &err) < 0) ||
		fields_decode(tool_server_fields, sizeof(struct lend_params), "tool-server", body,
			&r->arena, &params, &err) < 0) {
		http_reply_error(r, &err);
		return;
	}
	const struct lend_params *p = params;
	const struct camel_lending lending = {
		.where = arena_str(&r->arena, p->listen),
		.token = p->token.len ? arena_str(&r->arena, p->token) : NULL,
		.ends_sandbox = p->ends_sandbox,
	};
	camel_lend(rest_of(r)->camel, r, s, &lending);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* POST …/tool-server: a port of its own for the tools of a sandbox (face/camel). The rest of tools are actions. */
#include "face/camel/camel.h"
#include "face/rest/handlers.h"

struct lend_params {
	struct str listen, token;
};

const struct field tool_server_fields[] = {
	{ "listen", FIELD_STRING, FIELD_AT(struct lend_params, listen),
		.standard = "127.0.0.1:8000", .help = "HOST:PORT; port 0: any free one" },
	{ "token", FIELD_STRING, FIELD_AT(struct lend_params, token), FIELD_SECRET,
		.help = "what callers have to show; needed for an address that other machines can reach" },
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
	camel_lend(rest_of(r)->camel, r, s, arena_str(&r->arena, p->listen),
		p->token.len ? arena_str(&r->arena, p->token) : NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * camel: the tool server of CAMEL's runtimes (camel/runtimes/api.py of camel-ai 0.2.91), over the
 * tools of a sandbox (action/tool_actions.h), so that its RemoteHttpRuntime connects unmodified.
 *
 *	POST /camel/{sandbox}/NAME   {"args":[…],"kwargs":{…},"redirect_stdout":false} → {"output":"<JSON>"}
 *	GET  /camel/{sandbox}/health, /docs, /openapi.json
 *
 * That client wants a server at the root of a port. Such a one is lent: it listens as long as the
 * request that asked for it is open, and no longer than the one sandbox that it serves.
 *
 *	POST /v1/sandboxes/{id}/tool-server {"listen":"127.0.0.1:8000"} → an event stream, first `listening`
 *	DELETE /v1/sandboxes/{id}/tool-server?port=8000 → the port is free; that stream says `ended`
 *
 * A caller shows the token as a bearer token, or as the password of Basic authentication, which
 * that client sends when its host is "user:TOKEN@address". A lent server on a loopback address asks
 * for none; on any other it must be given one.
 */
#pragma once

#include "http/server.h"

struct camel;
struct runtime;
struct sandbox;

enum {
	CAMEL_BODY_MAX = 15 * 1024 * 1024,
	CAMEL_SERVERS_MAX = 64, /* lent at once */
};

extern const struct http_route camel_routes[];

struct camel *camel_new(struct runtime *rt);
/* After the HTTP server and before the runtime. */
void camel_free(struct camel *camel);
const struct http_face *camel_face(const struct camel *camel);

struct camel_lending {
	const char *where; /* HOST:PORT; port 0: any free one */
	const char *token; /* NULL only on a loopback address */
	bool ends_sandbox; /* when the client goes away */
};

/*
 * Answers r with an event stream and listens as long as that is open and the sandbox lives: then
 * comes `ended`.
 */
void camel_lend(struct camel *camel, struct http_request *r, const struct sandbox *sandbox,
	const struct camel_lending *lending);
/* The port is free when this returns. ERROR_NOT_FOUND: there is none of that sandbox's. */
int camel_take_back(struct camel *camel, const struct sandbox *sandbox, int port,
	struct error *err);

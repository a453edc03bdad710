/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: sandboxes that run an agent server (version 1 of OpenHands), which serves everything
 * itself, at a port inside. This face starts it, tells how it is, and passes on what comes for it:
 *
 *	/openhands/{sandbox}/server/…
 *	/api/…                          with a session API key of such a sandbox, which names it
 *	/sockets/events/{conversation}  (conversation.h)
 *
 * The second and third are there since a client of the Runtime API takes no url with a path
 * (APIRemoteWorkspace compares it with what its HTTP library makes of it). Of /api what the
 * workspace has (bash.c, workspace.c) is answered by that, of the same sandbox.
 *
 * The server inside knows the key too, and asks for it itself. WebSockets send it in their first
 * message, which is its own to read: they, and whoever only asks whether it is there, are let
 * through by the sandbox's whole id, or the conversation's, that nobody can guess.
 */
#pragma once

#include "face/openhands/errand.h"

struct start;

#define LABEL_SERVER "openhands.server" /* its port; sandboxes without one run none */

extern const char openhands_server[]; /* as a route's data */

/* "ID.TICKET": the session API key of the sandbox that is named by it. In the request's arena. */
const char *server_key(struct http_request *r, const char *id);
/* The id in a key of that form, which may be anybody's; STR_NONE: it has another. */
struct str server_id_of_key(struct str key);
/* The same of the key that the request shows. */
struct str server_of_key(const struct http_request *r);
/* Passes a request on, whose row has HTTP_STREAMS_BODY: `path` is the server's. */
void server_forward(struct http_request *r, struct sandbox *s, struct str path, const char *prefix);

/* Its port; 0: it runs none. */
int server_port(const struct sandbox *s);
/* Parameters of the action exec: the command as it was asked for. */
void server_put_exec(const struct start *start, struct buf *params);
/* For who shows no key: what may come in all the same. */
bool server_lets_in(struct http_request *r);

struct server_report {
	bool has_ended, is_listening;
	const char *why; /* of that: the end of what it wrote, and how it ended; "" else */
};

typedef void server_report_fn(struct http_request *r, struct sandbox *s,
	const struct server_report *report);
/* How it is: comes later, unless the client goes away. */
void server_ask(struct openhands *oh, struct http_request *r, struct sandbox *s,
	server_report_fn *then);
/* Starts it once more where it has ended, and then reports. */
void server_ask_again(struct openhands *oh, struct http_request *r, struct sandbox *s,
	const struct start *start, server_report_fn *then);

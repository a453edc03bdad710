/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opensandbox: OpenSandbox's protocol, over native sandboxes: its lifecycle API, and what execd and
 * the egress sidecar would serve from within a sandbox.
 *
 *	OPEN_SANDBOX_DOMAIN=127.0.0.1:8000/opensandbox OPEN_SANDBOX_API_KEY=<token>
 *
 *	/opensandbox/v1/sandboxes…, /opensandbox/v1/snapshots…   the API key is the server's token
 *	/opensandbox/sandboxes/ID/proxy/44772/…                  execd
 *	/opensandbox/sandboxes/ID/proxy/18080/…                  the policy of its network
 *	/opensandbox/sandboxes/ID/proxy/PORT/…                   what listens inside
 *
 * Clients are told of the latter three by GET …/endpoints/PORT, with a header that opens that
 * sandbox, or that port of it, and nothing else. The header's value is kept nowhere: it is a ticket
 * (http/ticket.h).
 *
 * What the face knows of a sandbox is the sandbox's note (runtime/create.h), so it survives a
 * restart of the server; terminals do not.
 */
#pragma once

#include "http/server.h"

struct osb;
struct runtime;

struct osb *osb_new(struct runtime *rt);
void osb_free(struct osb *o); /* before the runtime; NULL is fine */
const struct http_face *osb_face(const struct osb *o);

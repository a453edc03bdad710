/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openhands: the HTTP interfaces of OpenHands (version 0.62), so that its runtime clients connect
 * unmodified: the action execution server's (/alive, /execute_action, …), and that of a fleet of
 * them, the Remote Runtime API (/start, /stop, /sessions/{id}, …).
 *
 * The original is one server in one sandbox. Here one server has many: `/{sandbox}/execute_action`
 * and `/openhands/{sandbox}/execute_action` act on that sandbox, by id or name; the bare
 * `/execute_action` acts on the sandbox named "openhands", which its first use makes. A label
 * NO_CHANGE_TIMEOUT_SECONDS of a sandbox is what the environment variable of that name is to the
 * original.
 *
 * A caller shows the server's token as X-Session-API-Key, X-API-Key or a bearer token; for one
 * sandbox its session API key (session_key, state.h) does as well. Actions of one sandbox are
 * performed one after the other; the face keeps a cursor for each sandbox (cursor.h): what the
 * shell was last seen doing. All of it is asked for again after a restart of the server.
 */
#pragma once

#include "http/server.h"

struct openhands;
struct runtime;

enum {
	OPENHANDS_BODY_MAX = 16 * 1024 * 1024, /* of /execute_action */
	OPENHANDS_QUEUE_MAX = 64,              /* actions of one sandbox that wait for their turn */
};

#define OPENHANDS_SANDBOX "openhands" /* what the bare paths act on */

/*
 * n_warm: sandboxes that are kept ready for /start (warm.h). has_browser false: none has one. The
 * runtime has started.
 */
struct openhands *openhands_new(struct runtime *rt, int64_t n_warm, bool has_browser);
/* After the HTTP server and before the runtime. Requests not answered yet never will be. */
void openhands_free(struct openhands *oh);
const struct http_face *openhands_face(const struct openhands *oh);

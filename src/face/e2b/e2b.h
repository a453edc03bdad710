/* SPDX-License-Identifier: Apache-2.0 */
/*
 * e2b: the part of E2B's API, of the daemon in its sandboxes (envd) and of its code interpreter
 * that its SDKs need, over native sandboxes.
 *
 *	E2B_API_KEY=<token> E2B_API_URL=http://127.0.0.1:8000/e2b
 *	E2B_SANDBOX_URL=http://127.0.0.1:8000/e2b
 *
 *	/e2b/sandboxes…, /e2b/v2/sandboxes…              life cycle: the API key is the server's token
 *	/e2b/process.Process/…, /e2b/filesystem.Filesystem/…, /e2b/files, /e2b/health   envd
 *	/e2b/execute, /e2b/contexts…                     the interpreter
 *	/files                                           signed links, from which SDKs take the prefix away
 *	api.DOMAIN/…, 49983-ID.DOMAIN/…, 49999-ID.DOMAIN/…   the same by names, for E2B_DOMAIN
 *
 * What is asked of a sandbox names it in the header E2b-Sandbox-Id and shows its access token,
 * which is kept nowhere: an HMAC of the sandbox's id, keyed with the server's token. It opens
 * that sandbox in this face, and nothing else.
 *
 * Sandboxes, their time to live and their processes survive a restart of the server; streams and
 * watchers do not.
 */
#pragma once

#include "http/server.h"

struct e2b;
struct runtime;

struct e2b *e2b_new(struct runtime *rt);
void e2b_free(struct e2b *e); /* before the runtime; NULL is fine */
const struct http_face *e2b_face(const struct e2b *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swerex: the protocol of SWE-ReX's runtime server, which SWE-agent speaks. Its clients know one
 * server for one sandbox and no life of sandboxes, so the path, or the token, says which one:
 *
 *	RemoteDeployment(host="http://H:P/swerex/NAME", auth_token=TOKEN)       one that there is
 *	RemoteDeployment(host="http://H:P/swerex/new/IMAGE/NAME", …)            made by its first use, ended
 *	                                                                         by `close`
 *	RemoteDeployment(host="http://H", port=P, auth_token=TOKEN-FOR-ONE)     the token's own
 *
 * A session of the protocol is a session of the sandbox with SWEREX_PREFIX before its name. What
 * this face keeps by itself are the last answers to requests with an X-Request-ID, and calls under
 * way. See docs/swerex.md and docs/decisions/0051-who-makes-a-sandbox-for-swe-rex.md.
 *
 * https://github.com/SWE-agent/SWE-ReX, src/swerex/server.py and runtime/abstract.py.
 */
#pragma once

#include "http/server.h"

struct swerex;
struct runtime;

#define SWEREX_PREFIX "swerex-"

struct swerex *swerex_new(struct runtime *rt);
void swerex_free(struct swerex *x); /* before the runtime; NULL is fine */
extern const struct http_route swerex_routes[];

const struct http_face *swerex_face(const struct swerex *x);

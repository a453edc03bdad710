/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp: a sandbox as an MCP server (https://modelcontextprotocol.io, revisions 2024-11-05 to
 * 2025-11-25 over streamable HTTP). Its tools are the rows of the actions.
 *
 *	POST /mcp             a session: its first call makes a sandbox of its own, which ends with the session
 *	POST /mcp/{sandbox}   the sandbox of that name or id, which stays
 *
 * A command that fails is a result with isError, so that a model sees it; an unknown tool and wrong
 * arguments are JSON-RPC errors. A call that is cancelled, or whose client leaves, is stopped.
 */
#pragma once

#include "http/server.h"

struct mcp_face;
struct runtime;

extern const struct http_route mcp_routes[];

struct mcp_face *mcp_face_new(struct runtime *rt, const char *version);
/* After the HTTP server and before the runtime. */
void mcp_face_free(struct mcp_face *face);
const struct http_face *mcp_face_http(const struct mcp_face *face);

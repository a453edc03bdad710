/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_web: the messages of an MCP server over HTTP, in both of its transports:
 *
 *	streamable HTTP   each message is POSTed; what is answered comes in the reply, as JSON or as an event stream
 *	HTTP with SSE     (revision 2024-11-05) a stream says where to POST to, and brings the answers
 *
 * The second is tried where a server refuses the first message of the first with 400, 404 or 405,
 * as the specification says. A session that the server has given up ends the link; the next request
 * makes another.
 */
#pragma once

#include "http/fetch.h"
#include "runtime/mcp_link.h"

/* headers: "Name: value", NULL-terminated, copied; the fetcher must outlive the link. */
struct mcp_link *mcp_web_new(struct loop *loop, struct fetcher *fetcher, const char *url,
	const char *const *headers, const struct mcp_link_events *events, void *arg);

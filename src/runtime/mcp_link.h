/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_link: what carries the messages of an MCP server, each a text without a line feed: the
 * standard input and output of a program in a sandbox (mcp_run.h), or HTTP (mcp_web.h). Its owner
 * gets whole messages, and one on_end, after which the link is gone. One that is let go of calls
 * nothing any more and ends by itself.
 *
 * Nothing is called from within the function that makes one.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct mcp_link;

struct mcp_link_events {
	void (*on_line)(void *arg, struct str line); /* may end or let go of the link */
	void (*on_end)(void *arg, const struct error *why);
};

struct mcp_link_ops {
	/* -1: too much waits for the server already. */
	int (*send)(struct mcp_link *link, struct str line, struct error *err);
	/* The server hears that it is over, and is given a moment; none with is_urgent. */
	void (*let_go)(struct mcp_link *link, bool is_urgent);
	/*
	 * Adds the last that it said otherwise to the error's text, if there is any. NULL: it never
	 * does.
	 */
	void (*explain)(struct mcp_link *link, struct error *err);
};

struct mcp_link {
	const struct mcp_link_ops *ops;
};

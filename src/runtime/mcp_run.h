/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_run: one run of an MCP server's program: a process in a sandbox whose input and output are lines. Its
 * owner gets whole lines of standard output, and one on_end, after which the run is gone. A run that is let go
 * of calls nothing any more and ends by itself.
 */
#pragma once

#include "runtime/mcp.h"

struct mcp_run;

struct mcp_run_ops {
	void (*on_line)(void *arg, struct str line); /* may end or let go of the run */
	void (*on_end)(void *arg, const struct error *why);
};

/*
 * Nothing is called from within. `exec_json`: parameters of exec; `process`: the name that they give the
 * process: an older one of it, of a server that crashed, is removed first.
 */
struct mcp_run *mcp_run_new(struct sandbox *s, const char *process, struct str exec_json,
	const struct mcp_run_ops *ops, void *arg);
/* Sends a line; `line` has no line feed. -1: too much waits for the program already. */
int mcp_run_send(struct mcp_run *run, struct str line, struct error *err);
/* Its input ends; what does not leave then is terminated, then killed. With is_urgent it is killed. */
void mcp_run_let_go(struct mcp_run *run, bool is_urgent);
/* Adds what it wrote last on standard error to the error's text, if there is any. */
void mcp_run_explain(const struct mcp_run *run, struct error *err);

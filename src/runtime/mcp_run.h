/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_run: one run of an MCP server's program: a process in a sandbox whose input and output are
 * lines.
 */
#pragma once

#include "runtime/mcp.h"
#include "runtime/mcp_link.h"

/*
 * `exec_json`: parameters of exec; `process`: the name that they give the process: an older one of
 * it, of a server that crashed, is removed first. Let go of, its input ends; what does not leave
 * then is terminated, then killed.
 */
struct mcp_link *mcp_run_new(struct sandbox *s, const char *process, struct str exec_json,
	const struct mcp_link_events *events, void *arg);

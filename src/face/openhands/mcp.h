/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp: the MCP servers of a sandbox behind one proxy, as fastmcp's proxy offers them. With one
 * server tools have their own names; with several, "<server>_<tool>". Servers are started when
 * something is first asked of them; of several, one that cannot be started is left out of the
 * lists.
 */
#pragma once

#include "base/id.h"
#include "base/list.h"
#include "http/mcphub.h"
#include "runtime/mcp.h"

enum { MCP_SERVERS_MAX = 64 };

struct openhands;

struct mcp_server {
	struct mcp_client *client;
	struct mcp_proxy *proxy;
	char *name;
	char *config; /* as JSON: whether an update changes it */
};

struct mcp_proxy {
	struct list link; /* openhands::mcp_proxies */
	struct openhands *oh;
	char id[ID_SIZE]; /* of the sandbox */
	struct mcphub *hub;
	struct mcp_server *servers[MCP_SERVERS_MAX];
	size_t n_servers;
	struct list forwards; /* mcp_merge.c: what is under way */
	int64_t next_token;
};

/* mcp_merge.c */
extern const struct mcphub_ops mcp_merge_ops; /* arg: the proxy */
void mcp_merge_drop_all(struct mcp_proxy *proxy);
/* A server says something unasked; arg: the struct mcp_server. */
void mcp_merge_notice(void *arg, struct str method, const struct json *params);

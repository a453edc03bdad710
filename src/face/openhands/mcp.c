/* SPDX-License-Identifier: Apache-2.0 */
/* /update_mcp_server. There is no proxy yet, and the answer says so. */
#include "face/openhands/handlers.h"
#include "face/openhands/reply.h"

void update_mcp_server(struct http_request *r)
{
	reply_detail(r, 501, "MCP servers are not available in this release of cay");
}

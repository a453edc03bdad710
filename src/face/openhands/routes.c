/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/handlers.h"
#include "face/openhands/openhands.h"

enum { UPLOAD_MAX_GIB = 8 };

/* Both paths of a route: of the sandbox that is named, and of the one that is not. */
#define ROUTE(method, tail, ...)                                 \
	{ method, tail, __VA_ARGS__ },                           \
	{                                                        \
		method, "/openhands/{sandbox}" tail, __VA_ARGS__ \
	}

const struct http_route openhands_routes[] = {
	ROUTE("GET", "/alive", alive, HTTP_NO_AUTH, .summary = "tell whether actions can be sent"),
	ROUTE("GET", "/server_info", server_info, HTTP_NO_AUTH,
		.summary = "tell times and what the server uses"),
	ROUTE("POST", "/execute_action", execute_action, .body_max = OPENHANDS_BODY_MAX,
		.summary = "perform an action and give its observation"),
	ROUTE("POST", "/list_files", list_files, .summary = "list a directory"),
	ROUTE("POST", "/upload_file", upload_file, HTTP_STREAMS_BODY,
		.body_max = (int64_t)UPLOAD_MAX_GIB << 30,
		.summary = "put a file, or what is in a zip archive, into a directory"),
	ROUTE("GET", "/download_files", download_files,
		.summary = "give a directory as a zip archive"),
	ROUTE("GET", "/vscode/connection_token", connection_token,
		.summary = "give the token of the editor, or null if there is none"),
	ROUTE("POST", "/update_mcp_server", update_mcp_server,
		.summary = "set the MCP servers that run in the sandbox"),
	{ 0 },
};

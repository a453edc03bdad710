/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/handlers.h"
#include "face/openhands/openhands.h"
#include "http/mcphub.h"

enum { UPLOAD_MAX_GIB = 8 };

const char openhands_fleet[] = "fleet";

/*
 * The paths of a route: of the sandbox that is named, in two ways, and of the one that is not. A
 * runtime_id as the first segment is where clients look for what belongs to a runtime but is no
 * action: /{id}/vscode.
 */
#define ROUTE(method, tail, ...) \
	{ method, tail, __VA_ARGS__ }, ROUTE_NAMED(method, tail, __VA_ARGS__)

/* Where the bare path is another face's. */
#define ROUTE_NAMED(method, tail, ...)                                              \
	{ method, "/openhands/{sandbox}" tail, __VA_ARGS__, .role = ROLE_SANDBOX }, \
	{                                                                           \
		method, "/{sandbox}" tail, __VA_ARGS__, .role = ROLE_SANDBOX        \
	}

#define FLEET(method, path, handler, text)                                      \
	{                                                                       \
		method, path, handler, .data = openhands_fleet, .summary = text \
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
	ROUTE_NAMED("GET", "/vscode", vscode_open, HTTP_NO_AUTH,
		.summary = "lead who has the editor's token to the editor"),
	ROUTE("POST", "/update_mcp_server", update_mcp_server,
		.summary = "set the MCP servers that run in the sandbox"),
	ROUTE("GET", "/mcp/sse", mcp_sse, .summary = "open a session with the MCP servers"),
	ROUTE("POST", "/mcp/messages/", mcp_messages, .body_max = MCPHUB_BODY_MAX,
		.summary = "send a message of such a session"),
	ROUTE("GET", "/sse", mcp_sse, .summary = "the same as /mcp/sse"),
	ROUTE("POST", "/messages/", mcp_messages, .body_max = MCPHUB_BODY_MAX,
		.summary = "the same as /mcp/messages/"),
	ROUTE_NAMED("POST", "/mcp", mcp_post, .body_max = MCPHUB_BODY_MAX,
		.summary = "the MCP servers over streamable HTTP"),
	ROUTE_NAMED("GET", "/mcp", mcp_get, .summary = "nothing: there is no such stream"),
	ROUTE("GET", "/docs", openhands_docs, .summary = "show this as a page"),
	ROUTE("GET", "/redoc", openhands_docs, .summary = "the same as /docs"),
	ROUTE("GET", "/openapi.json", openhands_openapi, .summary = "describe this"),
	FLEET("POST", "/start", runtime_start_post,
		"make a sandbox for an action execution server"),
	FLEET("POST", "/stop", runtime_stop_post, "take a sandbox down"),
	FLEET("POST", "/pause", runtime_pause_post, "freeze every process of a sandbox"),
	FLEET("POST", "/resume", runtime_resume_post, "let a paused sandbox go on"),
	FLEET("GET", "/list", runtime_list, "list the sandboxes that live"),
	FLEET("GET", "/runtime/{runtime}", runtime_get, "tell whether a sandbox is ready"),
	FLEET("GET", "/sessions/batch", sessions_batch, "give the sandboxes of several sessions"),
	FLEET("GET", "/sessions/{session}", session_get, "give the sandbox of a session"),
	FLEET("GET", "/registry_prefix", registry_prefix, "tell where images are named"),
	{ "POST", "/build", build_post, HTTP_STREAMS_BODY, .data = openhands_fleet,
		.body_max = (int64_t)UPLOAD_MAX_GIB << 30,
		.summary = "build an image from a form with its context" },
	FLEET("GET", "/build_status", build_status, "tell what became of a build"),
	FLEET("GET", "/image_exists", image_exists, "tell whether an image can be started"),
	{ 0 },
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/handlers.h"
#include "face/openhands/openhands.h"
#include "face/openhands/server.h"
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

#define SERVER \
	HTTP_STREAMS_BODY, .body_max = INT64_MAX, .role = ROLE_SANDBOX, .data = openhands_server

const struct http_route openhands_routes[] = {
	ROUTE("GET", "/alive", alive, HTTP_NO_AUTH, .summary = "tell whether actions can be sent"),
	ROUTE("GET", "/server_info", server_info, HTTP_NO_AUTH | HTTP_STREAMS_BODY,
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
	ROUTE("GET", "/health", alive, HTTP_NO_AUTH, .summary = "the same as /alive"),
	ROUTE("GET", "/ready", workspace_ready, HTTP_NO_AUTH, .summary = "the same as /alive"),
	ROUTE("POST", "/api/bash/start_bash_command", bash_start,
		.summary = "start a command; its events tell the rest"),
	ROUTE("POST", "/api/bash/execute_bash_command", bash_execute,
		.summary = "run a command and give its last output"),
	ROUTE("GET", "/api/bash/bash_events/search", bash_search,
		.summary = "give events of commands, in pages"),
	ROUTE("GET", "/api/bash/bash_events/{event}", bash_get, .summary = "give one event"),
	ROUTE("POST", "/api/bash/bash_commands/{command}/stop", bash_stop,
		.summary = "end a command"),
	ROUTE("DELETE", "/api/bash/bash_events", bash_clear,
		.summary = "forget the commands that have ended"),
	ROUTE("POST", "/api/file/upload", workspace_upload, HTTP_STREAMS_BODY,
		.body_max = (int64_t)UPLOAD_MAX_GIB << 30, .summary = "put a file where path says"),
	ROUTE("GET", "/api/file/download", workspace_download, .summary = "give a file"),
	ROUTE("POST", "/api/file/create_directory", workspace_mkdir,
		.summary = "make a directory, with what is missing on the way"),
	ROUTE("GET", "/api/file/home", workspace_home,
		.summary = "tell the home and the directories in it"),
	ROUTE("GET", "/api/file/search_subdirs", workspace_subdirs,
		.summary = "list the directories in a directory, in pages"),
	ROUTE("GET", "/api/git/changes", workspace_changes,
		.summary = "tell which files differ from the branch's origin, or from ref"),
	ROUTE("GET", "/api/git/diff", workspace_diff,
		.summary = "give a file as it was and as it is, or as commit changed it"),
	ROUTE("GET", "/api/git/commits", workspace_commits, .summary = "list the newest commits"),
	ROUTE("GET", "/api/git/commits/{sha}/changes", workspace_changes,
		.summary = "tell which files a commit changed"),
	ROUTE(HTTP_ANY_METHOD, "/api/{rest*}", server_api, HTTP_STREAMS_BODY, .body_max = INT64_MAX,
		.summary = "the agent server whose key is shown"),
	{ "GET", "/sockets/events/{conversation}", server_socket, HTTP_STREAMS_BODY,
		.data = openhands_server, .summary = "the agent server that has the conversation" },
	{ HTTP_ANY_METHOD, "/openhands/{sandbox}/server", server_pass, SERVER,
		.summary = "the agent server inside" },
	{ HTTP_ANY_METHOD, "/openhands/{sandbox}/server/{rest*}", server_pass, SERVER,
		.summary = "the agent server inside" },
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

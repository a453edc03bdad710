/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers: one function for each route of routes.c. A handler that needs its sandbox calls
 * openhands_with_sandbox (state.h) and answers from there.
 */
#pragma once

#include "http/server.h"

extern const struct http_route openhands_routes[];
/* As a route's data: of the Remote Runtime API, which the server's token alone opens. */
extern const char openhands_fleet[];

/* openhands.c */
void alive(struct http_request *r);
void execute_action(struct http_request *r);
/* bash.c */
void bash_clear(struct http_request *r);
void bash_execute(struct http_request *r);
void bash_get(struct http_request *r);
void bash_search(struct http_request *r);
void bash_start(struct http_request *r);
void bash_stop(struct http_request *r);
/* docs.c */
void openhands_docs(struct http_request *r);
void openhands_openapi(struct http_request *r);
/* info.c */
void server_info(struct http_request *r);
/* mcp.c */
void update_mcp_server(struct http_request *r);
void mcp_sse(struct http_request *r);
void mcp_messages(struct http_request *r);
void mcp_post(struct http_request *r);
void mcp_get(struct http_request *r);
/* remote.c */
void build_post(struct http_request *r);
void build_status(struct http_request *r);
void image_exists(struct http_request *r);
void registry_prefix(struct http_request *r);
void runtime_get(struct http_request *r);
void runtime_list(struct http_request *r);
void runtime_pause_post(struct http_request *r);
void runtime_resume_post(struct http_request *r);
void runtime_start_post(struct http_request *r);
void runtime_stop_post(struct http_request *r);
void session_get(struct http_request *r);
void sessions_batch(struct http_request *r);
/* server.c */
void server_api(struct http_request *r);
void server_pass(struct http_request *r);
void server_socket(struct http_request *r);
/* transfer.c */
void list_files(struct http_request *r);
void upload_file(struct http_request *r);
void download_files(struct http_request *r);
void workspace_download(struct http_request *r);
void workspace_upload(struct http_request *r);
/* vscode.c */
void connection_token(struct http_request *r);
void vscode_open(struct http_request *r);
/* workspace.c */
void workspace_changes(struct http_request *r);
void workspace_commits(struct http_request *r);
void workspace_diff(struct http_request *r);
void workspace_home(struct http_request *r);
void workspace_mkdir(struct http_request *r);
void workspace_not_served(struct http_request *r);
void workspace_ready(struct http_request *r);
void workspace_subdirs(struct http_request *r);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers: one function for each route of routes.c. A handler that needs its sandbox calls
 * openhands_with_sandbox (state.h) and answers from there.
 */
#pragma once

#include "http/server.h"

extern const struct http_route openhands_routes[];

/* openhands.c */
void alive(struct http_request *r);
void execute_action(struct http_request *r);
/* info.c */
void server_info(struct http_request *r);
/* mcp.c */
void update_mcp_server(struct http_request *r);
/* transfer.c */
void list_files(struct http_request *r);
void upload_file(struct http_request *r);
void download_files(struct http_request *r);
/* vscode.c */
void connection_token(struct http_request *r);

/* SPDX-License-Identifier: Apache-2.0 */
/* handlers: what the rows of osb_routes call. */
#pragma once

#include "face/opensandbox/state.h"

extern const struct http_route osb_routes[];

void osb_create(struct http_request *r);
void osb_list(struct http_request *r);
void osb_get(struct http_request *r);
void osb_delete(struct http_request *r);
void osb_patch_metadata(struct http_request *r);
void osb_pause(struct http_request *r);
void osb_resume(struct http_request *r);
void osb_renew(struct http_request *r);
void osb_snapshot_create(struct http_request *r);
void osb_snapshots_list(struct http_request *r);
void osb_snapshot_get(struct http_request *r);
void osb_snapshot_delete(struct http_request *r);
void osb_endpoint(struct http_request *r);
void osb_port_pass(struct http_request *r);
void osb_not_offered(struct http_request *r);

void osb_ping(struct http_request *r);
void osb_metrics(struct http_request *r);
void osb_metrics_watch(struct http_request *r);
void osb_command_run(struct http_request *r);
void osb_command_interrupt(struct http_request *r);
void osb_command_status(struct http_request *r);
void osb_command_logs(struct http_request *r);
void osb_session_create(struct http_request *r);
void osb_session_run(struct http_request *r);
void osb_session_delete(struct http_request *r);
void osb_code_run(struct http_request *r);
void osb_code_interrupt(struct http_request *r);
void osb_context_create(struct http_request *r);
void osb_contexts_list(struct http_request *r);
void osb_contexts_delete(struct http_request *r);
void osb_context_get(struct http_request *r);
void osb_context_delete(struct http_request *r);
void osb_files_info(struct http_request *r);
void osb_files_delete(struct http_request *r);
void osb_files_permissions(struct http_request *r);
void osb_files_move(struct http_request *r);
void osb_files_replace(struct http_request *r);
void osb_files_search(struct http_request *r);
void osb_files_upload(struct http_request *r);
void osb_files_download(struct http_request *r);
void osb_directories_list(struct http_request *r);
void osb_directories_make(struct http_request *r);
void osb_directories_delete(struct http_request *r);
void osb_pty_create(struct http_request *r);
void osb_pty_get(struct http_request *r);
void osb_pty_delete(struct http_request *r);
void osb_pty_connect(struct http_request *r);
void osb_policy_get(struct http_request *r);
void osb_policy_patch(struct http_request *r);
void osb_policy_delete(struct http_request *r);

/* SPDX-License-Identifier: Apache-2.0 */
/* handlers: what the rows of e2b_routes call. */
#pragma once

#include "face/e2b/state.h"

extern const struct http_route e2b_routes[];

void e2b_boxes_create(struct http_request *r);
void e2b_boxes_list(struct http_request *r);
void e2b_boxes_list_old(struct http_request *r);
void e2b_boxes_get(struct http_request *r);
void e2b_boxes_delete(struct http_request *r);
void e2b_boxes_timeout(struct http_request *r);
void e2b_boxes_refresh(struct http_request *r);
void e2b_boxes_connect(struct http_request *r);
void e2b_boxes_resume(struct http_request *r);
void e2b_boxes_pause(struct http_request *r);
void e2b_boxes_metrics(struct http_request *r);
void e2b_boxes_fork(struct http_request *r);
void e2b_snapshots_create(struct http_request *r);
void e2b_snapshots_list(struct http_request *r);
void e2b_snapshots_delete(struct http_request *r);
void e2b_not_offered(struct http_request *r);

void e2b_health(struct http_request *r);
void e2b_envs(struct http_request *r);
void e2b_use(struct http_request *r);

void e2b_process_start(struct http_request *r);
void e2b_process_connect(struct http_request *r);
void e2b_process_list(struct http_request *r);
void e2b_process_input(struct http_request *r);
void e2b_process_close(struct http_request *r);
void e2b_process_signal(struct http_request *r);
void e2b_process_update(struct http_request *r);
void e2b_rpc_not_offered(struct http_request *r);

void e2b_tree_stat(struct http_request *r);
void e2b_tree_list(struct http_request *r);
void e2b_tree_make(struct http_request *r);
void e2b_tree_move(struct http_request *r);
void e2b_tree_remove(struct http_request *r);

void e2b_watch_dir(struct http_request *r);
void e2b_watcher_create(struct http_request *r);
void e2b_watcher_events(struct http_request *r);
void e2b_watcher_remove(struct http_request *r);

void e2b_files_get(struct http_request *r);
void e2b_files_post(struct http_request *r);

void e2b_code_execute(struct http_request *r);
void e2b_contexts_create(struct http_request *r);
void e2b_contexts_list(struct http_request *r);
void e2b_contexts_delete(struct http_request *r);
void e2b_contexts_restart(struct http_request *r);

/* SPDX-License-Identifier: Apache-2.0 */
/* handlers: what the rows of daytona_routes call. */
#pragma once

#include "face/daytona/state.h"

extern const struct http_route daytona_routes[];
extern const char daytona_preview[], daytona_storage[]; /* data of the rows that a ticket opens */

void boxes_create(struct http_request *r);
void boxes_list(struct http_request *r);
void boxes_get(struct http_request *r);
void boxes_delete(struct http_request *r);
void boxes_start(struct http_request *r);
void boxes_stop(struct http_request *r);
void boxes_archive(struct http_request *r);
void boxes_pause(struct http_request *r);
void boxes_recover(struct http_request *r);
void boxes_snapshot(struct http_request *r);
void boxes_fork(struct http_request *r);
void boxes_not_offered(struct http_request *r);
void toolbox_url(struct http_request *r);

void labels_put(struct http_request *r);
void autostop_post(struct http_request *r);
void autoarchive_post(struct http_request *r);
void autodelete_post(struct http_request *r);
void autopause_post(struct http_request *r);
void ttl_post(struct http_request *r);
void public_post(struct http_request *r);
void activity_post(struct http_request *r);

void build_logs_url(struct http_request *r);
void build_logs(struct http_request *r);

void snapshots_list(struct http_request *r);
void snapshots_get(struct http_request *r);
void snapshots_create(struct http_request *r);
void snapshots_delete(struct http_request *r);
void snapshots_activate(struct http_request *r);
void empty_list(struct http_request *r);
void volumes_none(struct http_request *r);
void daytona_config(struct http_request *r);
void daytona_not_offered(struct http_request *r);

void previews_get(struct http_request *r);
void previews_signed(struct http_request *r);
void previews_expire(struct http_request *r);
void previews_pass(struct http_request *r);
bool previews_may_look(struct http_request *r);

void process_execute(struct http_request *r);
void process_code_run(struct http_request *r);

void sessions_create(struct http_request *r);
void sessions_list(struct http_request *r);
void sessions_get(struct http_request *r);
void sessions_delete(struct http_request *r);
void sessions_execute(struct http_request *r);
void sessions_command(struct http_request *r);
void sessions_input(struct http_request *r);
void sessions_logs(struct http_request *r);
void entrypoint_get(struct http_request *r);

void ptys_create(struct http_request *r);
void ptys_list(struct http_request *r);
void ptys_get(struct http_request *r);
void ptys_delete(struct http_request *r);
void ptys_resize(struct http_request *r);
void ptys_connect(struct http_request *r);
void ptys_create_connect(struct http_request *r);

void contexts_create(struct http_request *r);
void contexts_list(struct http_request *r);
void contexts_delete(struct http_request *r);
void interpreter_execute(struct http_request *r);

void files_list(struct http_request *r);
void files_info(struct http_request *r);
void files_folder(struct http_request *r);
void files_delete(struct http_request *r);
void files_move(struct http_request *r);
void files_permissions(struct http_request *r);
void files_find(struct http_request *r);
void files_search(struct http_request *r);
void files_replace(struct http_request *r);
void upload_one(struct http_request *r);
void upload_many(struct http_request *r);
void download_one(struct http_request *r);
void download_many(struct http_request *r);

void home_dir(struct http_request *r);
void work_dir(struct http_request *r);
void version_get(struct http_request *r);
void metrics_get(struct http_request *r);
void env_post(struct http_request *r);
void listeners_get(struct http_request *r);
void listeners_in_use(struct http_request *r);

/* process.c: exit_code, or 128 + signal, of a process as the executor tells it. */
int64_t exit_code_of(const struct json *process);

/* SPDX-License-Identifier: Apache-2.0 */
/* handlers: what the rows of routes.c call. */
#pragma once

#include "face/docker/state.h"

extern const struct http_route docker_routes[];

void containers_create(struct http_request *r);
void containers_start(struct http_request *r);
void containers_stop(struct http_request *r);
void containers_restart(struct http_request *r);
void containers_kill(struct http_request *r);
void containers_wait(struct http_request *r);
void containers_remove(struct http_request *r);
void containers_pause(struct http_request *r);
void containers_unpause(struct http_request *r);
void containers_rename(struct http_request *r);
void containers_resize(struct http_request *r);
void containers_prune(struct http_request *r);

void containers_list(struct http_request *r);
void containers_inspect(struct http_request *r);
void containers_top(struct http_request *r);
void containers_stats(struct http_request *r);
void containers_changes(struct http_request *r);

void containers_attach(struct http_request *r);
void containers_logs(struct http_request *r);
void archive_get(struct http_request *r);
void archive_put(struct http_request *r);

void execs_create(struct http_request *r);
void execs_start(struct http_request *r);
void execs_inspect(struct http_request *r);
void execs_resize(struct http_request *r);

/* What `changes` of the query say (docker import --change), as an image's configuration. */
int image_put_changes(struct http_request *r, struct buf *config, struct error *err);
/* "K=V" of the list, each name once, but for those that `later` has; into an open array. */
void config_put_pairs(const struct json *list, const struct json *later, struct jsonw *w);

void images_list(struct http_request *r);
void images_get(struct http_request *r);  /* json, history */
void images_post(struct http_request *r); /* tag, push */
void images_delete(struct http_request *r);
void images_create(struct http_request *r); /* pull, import */
void images_load(struct http_request *r);
void images_prune(struct http_request *r);
void images_build(struct http_request *r);
void containers_commit(struct http_request *r);
void builds_prune_docker(struct http_request *r);

void engine_ping(struct http_request *r);
void engine_version(struct http_request *r);
void engine_info(struct http_request *r);
void engine_events(struct http_request *r);
void engine_usage(struct http_request *r);
void engine_auth(struct http_request *r);
void networks_list(struct http_request *r);
void networks_get(struct http_request *r);
void networks_prune(struct http_request *r);
void volumes_get(struct http_request *r);
void volumes_list(struct http_request *r);
void volumes_prune(struct http_request *r);
void not_offered(struct http_request *r);

/* life.c. NULL: it is gone, and the request has been told so. */
struct sandbox *container_need_sandbox(struct http_request *r, struct container *c);

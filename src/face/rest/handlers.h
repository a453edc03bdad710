/* SPDX-License-Identifier: Apache-2.0 */
/* handlers: what the rows of rest_routes call, and the few things that they share. */
#pragma once

#include "face/rest/rest.h"

enum { REST_JSON_MAX = 16 * 1024 * 1024 };

void meta_health(struct http_request *r);
void meta_version(struct http_request *r);
void meta_capabilities(struct http_request *r);
void meta_stats(struct http_request *r);
void meta_openapi(struct http_request *r);

void sandboxes_create(struct http_request *r);
void sandboxes_list(struct http_request *r);
void sandboxes_get(struct http_request *r);
void sandboxes_delete(struct http_request *r);
void sandboxes_stop(struct http_request *r);
void sandboxes_pause(struct http_request *r);
void sandboxes_resume(struct http_request *r);
void sandboxes_usage(struct http_request *r);
void snapshots_post(struct http_request *r);
void forks_post(struct http_request *r);

void actions_perform(struct http_request *r);
void files_put(struct http_request *r);
void files_get(struct http_request *r);
void links_get(struct http_request *r);
void links_put(struct http_request *r);
void tokens_post(struct http_request *r);
/* The same as files_get and files_put, with these parameters. */
void files_download(struct http_request *r, struct sandbox *s, const struct buf *params);
void files_upload(struct http_request *r, struct sandbox *s, const struct buf *params);
void events_get(struct http_request *r);
void events_of_sandbox(struct http_request *r);
void stream_open(struct http_request *r);
void tool_server_close(struct http_request *r);
void tool_server_open(struct http_request *r);
void tools_add(struct http_request *r);
void server_tools_get(struct http_request *r);
void server_tools_post(struct http_request *r);
void server_tools_call(struct http_request *r);
void server_tools_delete(struct http_request *r);
void plugins_list(struct http_request *r);
void plugins_perform(struct http_request *r);
void ports_describe(struct http_request *r);
void ports_pass(struct http_request *r);

void git_clone_post(struct http_request *r);
void git_init_post(struct http_request *r);
void git_push_post(struct http_request *r);
void git_pull_post(struct http_request *r);
void git_branch_post(struct http_request *r);
void git_changes_get(struct http_request *r);
void git_diff_get(struct http_request *r);
void git_hook_post(struct http_request *r);
void microagents_get(struct http_request *r);
void setup_post(struct http_request *r);
void environment_post(struct http_request *r);
/*
 * Prepares what the body of a create wishes for in s, and answers r then; false: it wishes for
 * nothing.
 */
bool workspace_prepare(struct http_request *r, struct sandbox *s, const struct json *body);
int workspace_check(const struct json *repo, struct arena *arena, struct error *err);

extern const struct field environment_fields[], token_fields[];
void guard_get(struct http_request *r);
void guard_assess(struct http_request *r);
void confirmations_get(struct http_request *r);
void confirmations_confirm(struct http_request *r);
void confirmations_reject(struct http_request *r);

extern const struct field assess_fields[], decision_fields[];
extern const struct field tool_server_fields[], tool_server_query[], server_tool_fields[];
void builds_post(struct http_request *r);
void builds_prune(struct http_request *r);
extern const struct field build_query[];
void images_get_all(struct http_request *r);
void images_get_one(struct http_request *r);
void images_fetch(struct http_request *r);
void images_import(struct http_request *r);
void images_name(struct http_request *r);
void images_drop(struct http_request *r);
void images_gc(struct http_request *r);

extern const struct field snapshot_fields[], fork_fields[];
extern const struct field images_import_query[], images_tag_fields[], images_remove_query[];
extern const struct field events_query[];    /* of /v1/events */
extern const struct field events_of_query[]; /* of one sandbox */

static inline struct rest *rest_of(const struct http_request *r)
{
	return r->face->arg;
}

/* The sandbox that {id} names; NULL: the request has been answered. */
struct sandbox *rest_sandbox(struct http_request *r);
/* The query as a JSON object of the fields' types. -1: the request has been answered. */
int rest_query_json(struct http_request *r, const struct field *fields, struct buf *b);
/* The same, decoded into the request's arena. */
int rest_query(struct http_request *r, const struct field *fields, size_t size, void **ret);
/*
 * The body, or none, decoded; *ret_tree is what they point into. name: for errors. -1: the request
 * has been answered.
 */
int rest_body(struct http_request *r, const char *name, const struct field *fields, size_t size,
	struct json **ret_tree, void **ret);
/* Copies the strings of decoded fields, whose tree will be freed, into the arena. */
void rest_keep_strings(const struct field *fields, char *params, struct arena *arena);
/* Replies with a sandbox as JSON. */
void rest_reply_sandbox(struct http_request *r, int status, const struct sandbox *s);

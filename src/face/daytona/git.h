/* SPDX-License-Identifier: Apache-2.0 */
/* git: the rows that git_run performs; a route names one as its data. */
#pragma once

#include "http/server.h"

struct git_route;

void git_run(struct http_request *r);
void git_clone_repository(struct http_request *r);
void git_sync_changes(struct http_request *r); /* push and pull */

extern const struct git_route git_add, git_add_remote, git_branches, git_checkout, git_commit,
	git_create_branch, git_delete_branch, git_get_config, git_history, git_remotes, git_reset,
	git_restore, git_set_config, git_set_user, git_status;
extern const struct git_route git_init_route;

/* SPDX-License-Identifier: Apache-2.0 */
/* client: the commands that talk to a server, and what they share. */
#pragma once

#include "cli/options.h"
#include "cli/out.h"
#include "cli/remote.h"

command_fn browse_main, reject_main, confirm_main, confirmations_main, cp_main, create_main,
	events_main, exec_main, git_main, image_main, logs_main, ls_main, mcp_main, pause_main,
	act_main, port_main, py_main, resume_main, rm_main, shell_main, stats_main, stop_main,
	token_main, tool_main, snapshot_main, fork_main;

/* The body of POST /v1/sandboxes. */
int create_put_body(struct jsonw *w, const struct create_options *o, struct error *err);
/* "plugins":[…] of names and directories. */
int client_put_plugins(struct jsonw *w, const struct option_texts *texts, struct error *err);
/* "env":{…} of NAME=VALUE and NAME. */
int client_put_env(struct jsonw *w, const struct option_texts *texts, struct error *err);
/* The exit status that a process's result stands for: 128+N where signal N ended it. */
int client_exit_status(const struct json *process);
/* A word that is JSON is that value; any other is a string. */
void client_put_word(struct jsonw *w, const char *word);

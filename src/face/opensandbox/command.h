/* SPDX-License-Identifier: Apache-2.0 */
/* command: what runs as a command and is followed as a stream of events. */
#pragma once

#include "face/opensandbox/events.h"

enum { OSB_ARGUMENTS_MAX = 6 };

struct osb_command {
	const struct json *body;                 /* cwd, timeout, envs, uid, gid */
	struct str arguments[OSB_ARGUMENTS_MAX]; /* of SHELL -c */
	size_t n_arguments;
	const char *name;   /* of its process, of which there is one at a time; NULL: none */
	struct str init_id; /* as which it is told; STR_NONE: the process's id */
	bool is_background, needs_bash, has_own_cwd;
};

/* Answers the request with what comes of it. */
void osb_command_begin(struct http_request *r, const struct sandbox *s,
	const struct osb_command *c);
/* The same of a line for a shell, as POST /command has it. */
void osb_command_of_body(struct http_request *r, const struct sandbox *s, const struct json *body,
	struct str text);
/* Ends a process and answers; `failed`: it could not be told to. */
void osb_command_end(struct chore *e, struct str process, chore_error_fn *failed);

/* session.c: the name of the process that runs in a session. */
struct str osb_session_process(struct http_request *r, struct str session);

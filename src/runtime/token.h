/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token: the bearer token of this server. The environment's CAY_TOKEN if it is set; else the file
 * `token` in the state directory, which is made at the first start, readable by the server alone.
 *
 * Who else may read it follows from who owns that directory: root's server runs under a uid of its
 * own, so root can read it and nobody else; a user's server runs as the user, whose programs can.
 * The token is never logged and leaves the process's environment once it is read.
 */
#pragma once

#include "base/error.h"

enum { TOKEN_MIN = 16, TOKEN_MAX = 512 };

/* On the heap. */
int token_load(const char *state_dir, char **ret, struct error *err);
/* Another one, kept in another file, from another variable: the approver's. */
int token_load_as(const char *state_dir, const char *file, const char *variable, char **ret,
	struct error *err);

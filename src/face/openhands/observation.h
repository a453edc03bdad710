/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observation: what an action answers, as JSON with its keys in the order of the original. Clients
 * refuse a key that they do not know, so there is none beyond these. STR_NONE is written as null.
 */
#pragma once

#include "action/action.h"
#include "base/buf.h"

#include <stdint.h>

struct run_observation {
	struct str command;
	struct str content;
	int64_t exit_code; /* -1: still running */
	int64_t pid;       /* of the last background job; -1: none */
	struct str username, hostname, workdir, python;
	struct str prefix, suffix;
	bool is_hidden;
};

struct ipython_observation {
	struct str code;
	struct str content;
	struct field_strings images; /* PNG in base64 */
};

struct edit_observation {
	struct str path;
	struct str content;
	struct str old_content, new_content; /* as the action gave them */
	struct str diff;
};

void observation_put_error(struct buf *b, struct str text);
void observation_put_error_id(struct buf *b, struct str text, const char *id);
void observation_put_run(struct buf *b, const struct run_observation *o);
void observation_put_ipython(struct buf *b, const struct ipython_observation *o);
void observation_put_read(struct buf *b, struct str path, struct str impl_source,
	struct str content);
void observation_put_write(struct buf *b, struct str path);
void observation_put_edit(struct buf *b, const struct edit_observation *o);

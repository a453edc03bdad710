/* SPDX-License-Identifier: Apache-2.0 */
/* files: a file as execd tells of it, and who it belongs to. */
#pragma once

#include "face/opensandbox/state.h"

/* What the actions stat and list tell, as a FileInfo. */
void osb_put_file(struct jsonw *w, const struct json *file, struct str path);

/* {"owner","group","mode"} of one path: mode 755 is 0755. */
struct osb_permission {
	struct str path, mode, owner, group; /* "" where nothing is asked for */
};
/* -1: *err says what is wrong with it. Into the arena. */
int osb_permission_read(struct http_request *r, struct str path, const struct json *from,
	struct osb_permission *ret, struct error *err);
/*
 * Sets them, of directories that are made if they are missing, or of files; then answers with 200.
 * Owners and groups that the sandbox does not know are passed over, as execd does.
 */
void osb_permissions_set(struct chore *e, const struct osb_permission *all, size_t n,
	bool are_directories);

/* SPDX-License-Identifier: Apache-2.0 */
/* daytona_verbs: what actions become there. Private to runtime/remote. */
#pragma once

#include "runtime/remote/daytona_member.h"

static inline struct daytona_member *daytona_member_of(const struct far *far)
{
	return container_of(far->site, struct daytona_member, tenant.site);
}

enum { DAYTONA_FILE_MS = 60000, DAYTONA_PATH_BYTES = 64 * 1024 };

extern const struct far_verb *const daytona_verbs[]; /* NULL-terminated */
extern const struct far_verb daytona_configure, daytona_exec, daytona_info, daytona_run;
extern const struct far_verb daytona_download, daytona_glob, daytona_grep, daytona_list,
	daytona_mkdir, daytona_move, daytona_read, daytona_remove, daytona_stat, daytona_upload,
	daytona_write;

/*
 * {"command":…,"cwd":…,"envs":…,"timeout":…}; the deadline of the question is that and some more.
 */
void daytona_execute(struct far *far, struct str command, struct str cwd,
	const struct field_map *env, int64_t timeout_ms, far_fn *then);
/* The path of an absolute or relative name, encoded, behind `head`: "/files/info?path=…" */
void daytona_put_path(struct far *far, struct buf *b, const char *head, struct str cwd,
	struct str path);
/* "path": the absolute one of what the action is about. */
void daytona_key_path(struct far *far, struct jsonw *w);

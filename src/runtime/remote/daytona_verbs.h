/* SPDX-License-Identifier: Apache-2.0 */
/* daytona_verbs: what the files of the Daytona backend share. */
#pragma once

#include "runtime/backend.h"
#include "runtime/remote/site.h"

struct daytona_member {
	struct list link; /* daytona_backend::members */
	struct daytona_backend *backend;
	char id[ID_SIZE];
	char *there; /* its id there; NULL: not made yet */
	char *name;  /* "" if it has none */
	struct site site;
	struct buf env;       /* {"A":"1"}, as configured; empty: none */
	struct list sessions; /* daytona_session::link: those that were opened there */
	/* The errand: what is being done to it as a whole, one thing at a time. */
	struct ask *ask;
	struct timer *timer;
	int64_t deadline_ms, wait_ms;
	void (*errand)(struct daytona_member *m, const struct error *err); /* NULL: none */
	backend_fn *done;
	void *arg;
	const char *wanted; /* the state that is waited for */
	char *workdir;      /* of a create: to be made; NULL: the toolbox's own */
};

struct daytona_session {
	struct list link;
	char *name; /* here */
	char there[ID_SIZE];
};

static inline struct daytona_member *daytona_member_of(const struct far *far)
{
	return (struct daytona_member *)((char *)far->site - offsetof(struct daytona_member, site));
}

extern const struct far_verb *const daytona_verbs[]; /* NULL-terminated */
extern const struct far_verb daytona_configure, daytona_exec, daytona_info, daytona_run;
extern const struct far_verb daytona_download, daytona_glob, daytona_grep, daytona_list,
	daytona_mkdir, daytona_move, daytona_read, daytona_remove, daytona_stat, daytona_upload,
	daytona_write;

/* {"command":…,"cwd":…,"envs":…,"timeout":…}; the deadline of the question is that and some more. */
void daytona_execute(struct far *far, struct str command, struct str cwd,
	const struct field_map *env, int64_t timeout_ms, far_fn *then);
/* The path of an absolute or relative name, encoded, behind `head`: "/files/info?path=…" */
void daytona_put_path(struct far *far, struct buf *b, const char *head, struct str cwd,
	struct str path);

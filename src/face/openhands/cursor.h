/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor: what the protocol must remember about a sandbox between two actions, and whose turn it
 * is.
 *
 * The original holds one lock around every action, so at most one job is active; the others wait in
 * order. All else is a copy of what the sandbox said: is_known false means that it has to be asked
 * first.
 */
#pragma once

#include "base/id.h"
#include "base/list.h"
#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>

struct job;
struct runtime;

struct cursor {
	struct list link;          /* cursors::all */
	char id[ID_SIZE];          /* of the sandbox */
	bool is_known;             /* the fields below are */
	bool is_waiting;           /* the last report said that a command goes on */
	bool has_shown;            /* output of that command has been reported already */
	bool is_lint_known, lints; /* whether edits are looked over: lint.c */
	char *cwd;                 /* of the shell after the last command that ended */
	char *workdir;             /* where relative paths of /list_files and new shells start */
	char *username;
	char *hostname;     /* up to its first dot */
	char *session_key;  /* that its maker has chosen; NULL: none, or forgotten with a restart */
	char *editor_token; /* as it was last seen; NULL: not seen, or there was none */
	int64_t editor_asked_ms; /* monotonic: when somebody without a token of ours had us look; 0: never */
	bool has_kernel;   /* it was opened */
	char *kernel_cwd;  /* the cwd that the kernel was told last; NULL: none */
	int n_downloads;   /* of the browser, so far */
	int64_t active_ms; /* monotonic: when the last action began */
	struct job *active;
	struct list queue; /* job::link */
	int n_queued;
	bool is_taking_turns; /* of job.c: not to be entered twice */
};

struct cursors {
	struct map by_id;
	struct list all;
	size_t sweep_at; /* count at which those of sandboxes that are gone are looked for */
};

void cursors_init(struct cursors *c);
void cursors_fini(struct cursors *c);
/*
 * Made if there is none. Stays where it is as long as its sandbox lives or a job of it is under
 * way.
 */
struct cursor *cursors_get(struct cursors *c, struct runtime *rt, const char *id);
struct cursor *cursors_find(const struct cursors *c, const char *id);

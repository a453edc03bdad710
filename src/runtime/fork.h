/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork: new sandboxes that begin with the files that another one has at this moment
 * (runtime/snapshot.h). Processes and sessions stay with the other one.
 *
 * What the wish leaves open is as the other one was asked for: its user, directory, limits,
 * network, guard, required controls, deadlines, and what is mounted read-only. Not its name, its
 * labels, its variables and secrets (which nobody knows any more), or its plugins. Directories of
 * the host that it may write to are no part of a snapshot: where it has some, the wish has to say
 * its own `mounts`.
 */
#pragma once

#include "runtime/snapshot.h"

enum { FORK_MAX = 64 }; /* sandboxes at once */

struct fork_wish {
	/* the same for each; NULL: nothing. What create_fields lets a body say, but for `image` */
	const struct json *create;
	struct str note; /* struct create; STR_NONE: none */
	int64_t count; /* 1 to FORK_MAX; with a name more than one is called NAME-1, NAME-2, … */
	bool is_live;  /* struct snapshot_wish */
};

struct fork;

/* ids: of all of them; or none was made. */
typedef void fork_fn(void *arg, const char (*ids)[ID_SIZE], size_t n, const struct error *err);

/* The wish is copied. `done` is called once, never from within; what it made is the caller's. */
struct fork *fork_new(struct sandbox *s, const struct fork_wish *wish, fork_fn *done, void *arg);
/* What was made goes again. NULL is fine. */
void fork_cancel(struct fork *f);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_internal: what the files of a snapshot share.
 *
 *	snapshot.c        from the wish to where nothing moves, and the end
 *	snapshot_parts.c  the layers, and the image
 */
#pragma once

#include "runtime/haul.h"
#include "runtime/internal.h"
#include "runtime/snapshot.h"
#include "runtime/staging.h"

enum {
	SNAPSHOT_PARTS_MAX = 12, /* executor/layer_owners.h */
	SNAPSHOT_OWNERS_MAX = 6,
	SNAPSHOT_PARAMS_MAX = 64 * 1024,
};

struct snapshot_part {
	int64_t level, owner;
};

struct snapshot {
	struct list link; /* all */
	int64_t number;
	struct runtime *rt;
	struct images *images;
	char sandbox_id[ID_SIZE];
	struct snapshot_wish wish;
	char *name, *config_json;
	snapshot_fn *done;
	void *arg;
	struct error error; /* of one that could not begin */
	struct staging *staging;
	struct timer *timer;
	int64_t deadline_ms, rest_ms; /* monotonic; until when it may take */
	bool is_holding;
	bool is_frozen; /* by us; a client may have paused it as well */
	bool is_pinging;
	struct runtime_call *looking;                   /* or pinging; NULL: not yet, or over */
	struct haul *haul;                              /* of a part; NULL: none */
	struct json *look;                              /* what the executor found */
	struct snapshot_part parts[SNAPSHOT_PARTS_MAX]; /* the topmost first */
	int n_parts, at;                                /* at: counts down */
	struct image image;                             /* on its way */
	struct buf history;
};

/* snapshot.c. Each ends it, and it is gone: */
void snapshot_finish(struct snapshot *n, const struct image *image);
void snapshot_fail(struct snapshot *n, const struct error *err);
/* NULL: it has ended with the reason. */
struct sandbox *snapshot_sandbox(struct snapshot *n);
/* Its processes and callers go on. */
void snapshot_let_go(struct snapshot *n);

/* snapshot_parts.c */
/* What does not belong to it, and what does beside what was changed: fields of the action layer. */
void snapshot_put_places(const struct sandbox *s, struct jsonw *w);
void snapshot_next_part(struct snapshot *n); /* n->at is the one before; 0: all are there */

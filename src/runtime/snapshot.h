/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot: an image of a living sandbox: the layers of its own image, and above them what it has
 * changed since; with what it sees in directories that are mounted as copies, and without what is
 * mounted from the host otherwise. Processes, sessions, kernels, shared memory, sockets and FIFOs
 * are no part of it, nor are variables and secrets of its wish, which are kept nowhere.
 *
 * Its processes are brought to rest meanwhile, and calls that would change something wait; then
 * both go on. Whatever ends it, they do: a client that leaves, a deadline, the sandbox's end; after
 * the death of the server the next one sees to it (adopt.c). See docs/decisions/0050.
 *
 *	struct snapshot *n = snapshot_new(s, &wish, on_done, arg);
 *
 * `done` is called once, never from within snapshot_new; it is gone then.
 */
#pragma once

#include "runtime/images.h"

enum {
	SNAPSHOTS_AT_ONCE = 4,
	SNAPSHOT_MS = 600 * 1000, /* how long one may take */
	SNAPSHOT_REST_MS = 5000,  /* how long its processes may take to come to rest */
};
/* Of all files, without their holes. */
#define SNAPSHOT_BYTES_MAX ((int64_t)8 << 30)

struct snapshot_wish {
	struct str name;        /* of the image; STR_NONE: it has only its id */
	struct str config_json; /* Env, Cmd, …; STR_NONE: as its image has it */
	bool is_live;           /* its processes go on: where they cannot be brought to rest */
	bool is_fleeting;       /* struct image */
};

struct snapshot;

typedef void snapshot_fn(void *arg, const struct image *image, const struct error *err);

/* The wish is copied. */
struct snapshot *snapshot_new(struct sandbox *s, const struct snapshot_wish *wish,
	snapshot_fn *done, void *arg);
void snapshot_cancel(struct snapshot *n); /* NULL is fine */

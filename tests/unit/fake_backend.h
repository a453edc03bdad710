/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_backend: a backend for tests, in this process. Its sandboxes are names; its executor answers
 * the action `run` by its command: "echo X", "hang", "die", "lie", "flood", "stream", and `upload`
 * by counting. Sandboxes outlive the backend in a list that the test keeps, as they outlive a
 * server.
 */
#pragma once

#include "base/list.h"
#include "event/loop.h"
#include "runtime/backend.h"

struct fake_world {
	struct list living;  /* fake_sandbox::link */
	struct error refuse; /* what the next creates are refused with; ERROR_OK: they work */
	bool holds_creates;  /* creates are never answered */
	loop_fn *created;    /* told that a create is held */
	void *created_arg;
	bool gives_other_ids; /* as a pool of ready ones does */
	int n_created, n_destroyed, n_calls, n_sockets;
	char configured[200]; /* the last configure request */
	int64_t n_bytes;      /* of data that the executors got */
};

struct fake_sandbox {
	struct list link;
	char id[ID_SIZE];
	bool is_frozen;
};

void fake_world_init(struct fake_world *w);
void fake_world_fini(struct fake_world *w);
struct backend *fake_backend_new(struct loop *loop, struct fake_world *w);
/* One ends by itself. */
void fake_end(struct backend *b, const char *id, enum end_reason reason);

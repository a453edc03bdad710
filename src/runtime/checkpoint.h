/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint: keeps the state database's log (WAL) short. The log grows with each commit until a
 * checkpoint has copied it into the database; then the next writer starts it over. That waits for
 * the disk (fsync), so it runs in a worker, while writers go on. Those who never rest could keep it
 * from ever finishing: beyond CHECKPOINT_PAGES_HIGH they have to wait for it (checkpoint_holds),
 * which takes no more than two. No transaction may be open between their turns.
 */
#pragma once

#include "event/loop.h"

enum {
	CHECKPOINT_PAGES_DUE = 1000,   /* 4 MiB more than at the last one: time for another */
	CHECKPOINT_PAGES_HIGH = 16000, /* 64 MiB: writers wait for it */
};

struct checkpoint;

/* copied(arg) after each one; released(arg) when writers need not wait any more. */
struct checkpoint *checkpoint_new(struct loop *loop, const char *path, loop_fn *copied,
	loop_fn *released, void *arg);
/* One that is under way goes on, and tells nobody. NULL is fine. */
void checkpoint_free(struct checkpoint *c);

/* The log has so many pages after a commit. */
void checkpoint_watch(struct checkpoint *c, int log_pages);
bool checkpoint_holds(const struct checkpoint *c);

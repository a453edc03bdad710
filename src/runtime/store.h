/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: the records of sandboxes and the log of events, on disk, in one SQLite database.
 *
 * What is written during one turn of the loop is one transaction: it is committed at the end of the
 * turn, or fails as a whole. Writers do not wait; who must not speak before the commit hangs a
 * store_wait on the turn and is called after it, with the error if there was one. So the log costs
 * one commit per turn, whatever the number of callers, and nobody is told what is not on disk.
 *
 * After the commit a record or event survives the death of every program of ours; the last moments
 * before a power failure may be lost (WAL, synchronous=NORMAL). Readers see only what is committed.
 *
 * No call blocks for the disk: copying the log into the database is a worker thread's business.
 * Only store_open reads and waits. Private to the runtime layer.
 */
#pragma once

#include "base/list.h"
#include "event/loop.h"
#include "runtime/db.h"
#include "runtime/event.h"
#include "runtime/sandbox.h"

struct store;

enum {
	STORE_EVENTS_MAX = 1000000,          /* kept; the oldest go first */
	STORE_SIZE_MAX = 2047 * 1024 * 1024, /* bytes of database at which old events go */
	STORE_SHARES = 8, /* one sandbox may have as much of it before its own old events go */
};

struct store_wait {
	struct list link; /* of the turn; list_init it at birth */
	void (*fn)(void *arg, const struct error *err);
	void *arg;
};

/* Makes or opens DIR/state.db, which no other process may have open. */
int store_open(struct loop *loop, const char *dir, struct store **ret, struct error *err);
/* Commits the open turn without calling who waits for it. NULL is fine. */
void store_close(struct store *s);

/* Appends; gives seq, and sets event->seq and ->time_ms. */
int64_t store_event(struct store *s, struct event *event);
/* Writes or replaces the record of a sandbox; removes it. */
void store_put(struct store *s, const struct sandbox *sandbox);
void store_drop(struct store *s, const char *id);

/*
 * Commits what was written so far before it returns: for who speaks in this turn still. What cannot
 * be written now is tried once more at the end of the turn, which tells who waits; who asked is
 * told by -1.
 */
int store_now(struct store *s, struct error *err);
/* Calls wait->fn after the commit of what was written so far, never from inside. */
void store_after(struct store *s, struct store_wait *wait);
static inline void store_forget(struct store_wait *wait)
{
	list_remove(&wait->link);
}

/* For record.c: puts a statement into the turn, its values copied; the database, to read from. */
void store_write(struct store *s, enum db_statement which, const struct db_value *values, int n);
struct db *store_db(struct store *s);

/*
 * Every record, oldest first: a sandbox on the heap whose strings the callee takes over
 * (sandbox_free).
 */
int store_records(struct store *s, void (*fn)(void *arg, struct sandbox *sandbox), void *arg,
	struct error *err);
int store_read(struct store *s, const char *id, int64_t after, int limit, event_fn *fn, void *arg,
	struct error *err);
/* How many events a sandbox has had: the highest index. */
int64_t store_last_index(struct store *s, const char *id);

/* The kept events are those from `oldest` (1 more than newest if none) to `newest`. */
int64_t store_oldest(const struct store *s);
int64_t store_newest(const struct store *s); /* committed */
int64_t store_size(const struct store *s);   /* bytes of database */
/* fn is called after each commit that added events. */
void store_on_commit(struct store *s, loop_fn *fn, void *arg);
/*
 * Who is talkative does not push the others' events out: how much one sandbox may have had (each
 * event as shed_cost says), and that so much of the oldest of one is to go. False: so many shed
 * already; to be asked again.
 */
int64_t store_share(const struct store *s);
bool store_shed(struct store *s, const char *id, int64_t bytes);
/*
 * A turn that failed is forgotten, and with it the records in it. A while after fn is called for
 * each of them, and again until it could be written: to put it once more, or to drop it.
 */
typedef void store_lost_fn(void *arg, const char *id);
void store_on_loss(struct store *s, store_lost_fn *fn, void *arg);
/* For tests: other ceilings. */
void store_set_limits(struct store *s, int64_t events_max, int64_t size_max);

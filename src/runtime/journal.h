/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal: events that are on disk already and not in the database yet. A turn of the loop that
 * brings nothing but events costs one write to it, a tenth of a transaction; the store puts them
 * into the database some hundreds at a time, and starts the journal over (docs/decisions: "A
 * journal before the database").
 *
 * The file is a row of entries, each with its size, its number, a sum over its bytes, and the
 * generation. The database knows which generation it has not got yet: entries of one before are in
 * it. Entries of one behind are not: the database is not what it was, and they are all that is left
 * of what happened since. The first one says which generation counts; one of another, one that is
 * torn, and all behind it are old.
 * All of it is kept in memory, too, as it is on disk: events are read from there.
 *
 * Belongs to the loop's thread. Private to the store.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "runtime/event.h"

struct journal;

enum {
	JOURNAL_BYTES_MAX = 256 * 1024,
	JOURNAL_EVENTS_MAX = 512,
};

/* Makes or opens the file, and reads what it has of that generation, or a later one. */
int journal_open(const char *path, int64_t generation, struct journal **ret, struct error *err);
void journal_close(struct journal *j); /* NULL is fine; what is in it stays */

/* An event as it is in an entry: text that journal_put takes. */
void journal_encode(struct buf *b, const struct event *event);

bool journal_has_room(const struct journal *j, size_t bytes, size_t n_events);
/*
 * Appends the events, whole or not at all: they survive the death of this program when it returns
 * 0.
 */
int journal_put(struct journal *j, struct str events, size_t n_events, struct error *err);
/* Whatever is in it is in the database, which names the next generation. */
void journal_start_over(struct journal *j);
int64_t journal_generation(const struct journal *j);
bool journal_is_empty(const struct journal *j);
/* Those that are in it, encoded, in order; valid until it is changed. */
struct str journal_events(const struct journal *j);

/*
 * The event at the front of encoded ones: its size, 0 at the end, -1 for what is none. Its strings
 * end with a NUL.
 */
ssize_t journal_decode(struct str events, struct event *ret);

struct journal_content {
	size_t bytes, n_events;
	uint64_t n_entries;
	int64_t generation; /* of these; else the one that was asked for */
};
/*
 * What counts of a file: whole entries of that generation or a later one, from its front; their
 * events are appended.
 */
struct journal_content journal_parse(struct str file, int64_t generation, struct buf *ret_events);

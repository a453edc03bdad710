/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db: the state database: its tables, its statements, and values in and out. What is written when,
 * and who may hear of it, is store.c's business.
 *
 * A db belongs to the loop's thread; a checkpoint has a connection of its own and may run in a
 * worker. One whose locks have come out of step with the kernel's closes itself, and opens anew,
 * before the next statement outside of a transaction: what it has answered with success is kept.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

enum db_statement {
	DB_BEGIN,
	DB_COMMIT,
	DB_ROLLBACK,
	DB_EVENT_ADD,
	DB_EVENT_OF_ONE,
	DB_EVENT_OF_ALL,
	DB_EVENT_LAST_INDEX,
	DB_EVENT_FIRST,
	DB_EVENT_LAST,
	DB_EVENT_PRUNE,
	DB_EVENT_COUNT,
	DB_EVENT_SIZES, /* of a sandbox's oldest events before one: seq, bytes of data */
	DB_EVENT_SHED,
	DB_JOURNAL_GET,
	DB_JOURNAL_SET,
	DB_RECORD_PUT,
	DB_RECORD_DROP,
	DB_RECORD_ALL,
	DB_STATEMENT_MAX,
};

enum { DB_VALUES_MAX = 16 };

enum db_kind { DB_INT, DB_TEXT, DB_BLOB };

struct db_value {
	enum db_kind kind;
	int64_t number;
	struct str bytes;
};

static inline struct db_value db_int(int64_t number)
{
	return (struct db_value){ .kind = DB_INT, .number = number };
}

static inline struct db_value db_text(struct str text)
{
	return (struct db_value){ .kind = DB_TEXT, .bytes = text };
}

static inline struct db_value db_blob(const void *ptr, size_t len)
{
	return (struct db_value){ .kind = DB_BLOB, .bytes = { ptr, len } };
}

struct db;
struct db_row;

/* Makes it, or brings an older format to ours. Refuses a newer one. */
int db_open(const char *path, struct db **ret, struct error *err);
void db_close(struct db *db); /* NULL is fine */

/* Performs a statement that gives no rows; n values for its parameters. */
int db_run(struct db *db, enum db_statement which, const struct db_value *values, int n,
	struct error *err);
/* Rolls back if a transaction is open: an error may have done that already. */
void db_roll_back(struct db *db);
/* The next statement opens it anew: one that has just failed may be tried once more. */
bool db_is_stuck(const struct db *db);

/* Calls fn for each row. The same statement must not be asked for again from within. */
int db_query(struct db *db, enum db_statement which, const struct db_value *values, int n,
	void (*fn)(void *arg, struct db_row *row), void *arg, struct error *err);
int64_t db_row_int(struct db_row *row, int column);
struct str db_row_bytes(struct db_row *row, int column); /* NUL-terminated; valid within fn */
/* The first column of the first row; 0 if there is none, or on failure. */
int64_t db_number(struct db *db, enum db_statement which, const struct db_value *values, int n);
/* The same for who has to know that it could not be had. */
int db_get_number(struct db *db, enum db_statement which, int64_t *ret, struct error *err);

int64_t db_changed(const struct db *db); /* rows, by the last statement that was performed */
int64_t db_size(struct db *db);          /* bytes in use */
int db_log_pages(const struct db *db);   /* of the write-ahead log, as of the last commit */

/*
 * Copies the log into the database. Waits for the disk: for a worker. How many pages are left to
 * copy, which others were writing meanwhile; negative: failed.
 */
int db_checkpoint(const char *path, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This is the only file that knows SQLite.
 *
 * What SQLite knows of its locks is kept beside what the kernel knows of them, and shared by all
 * connections of a process. When a call for a lock has failed (no descriptor, no memory for it),
 * the two may differ from then on, and everything ends with "locking protocol" or "database is
 * locked". Nothing but to close it helps: that is done before the next statement that is not part
 * of a transaction. What was committed is in the log and is found there again.
 */
#include "runtime/db.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

enum {
	BUSY_MS = 100, /* nobody else writes; a reader from outside may hold a lock for a moment */
	NAP_US = 1000,
};

/* Step n brings version n to n + 1. Never edited once released: a change is a new step. */
static const char *const migrations[] = {
	"CREATE TABLE events (seq INTEGER PRIMARY KEY, sandbox TEXT NOT NULL, idx INTEGER NOT NULL,"
	" time_ms INTEGER NOT NULL, cause INTEGER NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL) STRICT;"
	"CREATE INDEX events_of_sandbox ON events (sandbox, seq);"
	"CREATE TABLE sandboxes (id TEXT PRIMARY KEY, backend_id TEXT NOT NULL, name TEXT NOT NULL,"
	" state TEXT NOT NULL, reason TEXT NOT NULL, created_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
	" timeout_ms INTEGER NOT NULL, idle_timeout_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,"
	" spec TEXT NOT NULL, labels TEXT NOT NULL, enforced BLOB NOT NULL, init_pid INTEGER NOT NULL) STRICT;",
	"ALTER TABLE sandboxes ADD COLUMN note TEXT NOT NULL DEFAULT '';",
	"ALTER TABLE sandboxes ADD COLUMN tools TEXT NOT NULL DEFAULT '';",
	"CREATE TABLE journal (generation INTEGER NOT NULL) STRICT; INSERT INTO journal VALUES (1);",
};

#define EVENT_COLUMNS "seq,sandbox,idx,time_ms,cause,kind,data"

static const char *const statements[] = {
	[DB_BEGIN] = "BEGIN IMMEDIATE",
	[DB_COMMIT] = "COMMIT",
	[DB_ROLLBACK] = "ROLLBACK",
	[DB_EVENT_ADD] = "INSERT INTO events VALUES (?1,?2,?3,?4,?5,?6,?7)",
	[DB_EVENT_OF_ALL] = ("SELECT " EVENT_COLUMNS " FROM events"
			     " WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3"),
	[DB_EVENT_OF_ONE] =
		("SELECT " EVENT_COLUMNS " FROM events"
		 " WHERE sandbox = ?4 AND seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3"),
	[DB_EVENT_LAST_INDEX] =
		"SELECT idx FROM events WHERE sandbox = ?1 ORDER BY seq DESC LIMIT 1",
	[DB_EVENT_FIRST] = "SELECT min(seq) FROM events",
	[DB_EVENT_LAST] = "SELECT max(seq) FROM events",
	[DB_EVENT_PRUNE] = "DELETE FROM events WHERE seq <= ?1",
	[DB_EVENT_COUNT] = "SELECT count(*) FROM events",
	[DB_EVENT_SIZES] = ("SELECT seq, length(CAST(data AS BLOB)) FROM events"
			    " WHERE sandbox = ?1 AND seq < ?2 ORDER BY seq LIMIT ?3"),
	[DB_EVENT_SHED] = "DELETE FROM events WHERE sandbox = ?1 AND seq <= ?2",
	[DB_JOURNAL_GET] = "SELECT generation FROM journal",
	[DB_JOURNAL_SET] = "UPDATE journal SET generation = ?1",
	[DB_RECORD_PUT] =
		"INSERT OR REPLACE INTO sandboxes VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
	[DB_RECORD_DROP] = "DELETE FROM sandboxes WHERE id = ?1",
	[DB_RECORD_ALL] =
		("SELECT id,backend_id,name,state,reason,created_ms,ended_ms,timeout_ms,"
		 "idle_timeout_ms,deadline_ms,spec,labels,enforced,init_pid,note,tools FROM sandboxes"
		 " ORDER BY created_ms, id"),
};

struct db {
	char *path;
	sqlite3 *sqlite; /* NULL: it was closed, and could not be opened since */
	sqlite3_stmt *statements[DB_STATEMENT_MAX];
	int n_running; /* queries, one within another */
	bool is_stuck;
	int log_pages;
};

struct db_row {
	sqlite3_stmt *statement;
};

/*
 * What the disk says to a write of nothing: SQLite does not keep why a commit failed. 0: it takes
 * it, or there is no database yet.
 */
static int ask_disk(sqlite3 *sqlite)
{
	const char *path = sqlite3_db_filename(sqlite, "main");
	return path && utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT
		? errno
		: 0;
}

static int fail(sqlite3 *sqlite, struct error *err, const char *doing)
{
	int code = sqlite3_errcode(sqlite) & 0xff, sys = sqlite3_system_errno(sqlite);
	enum error_code kind = ERROR_INTERNAL;
	if (code == SQLITE_IOERR || code == SQLITE_READONLY || code == SQLITE_CANTOPEN)
		sys = sys ?: ask_disk(sqlite);
	if (code == SQLITE_FULL || sys == EROFS)
		kind = ERROR_NO_SPACE;
	else if (code == SQLITE_IOERR || code == SQLITE_READONLY || code == SQLITE_CANTOPEN)
		kind = ERROR_UNAVAILABLE;
	if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		return error_set(err, kind,
			"the state database is damaged (%s); to begin anew, move state.db, state.db-wal and state.journal away",
			sqlite3_errmsg(sqlite));
	return error_set(err, kind, "state database: %s: %s%s%s", doing, sqlite3_errmsg(sqlite),
		sys ? ": " : "", sys ? strerror(sys) : "");
}

/* Statements. */

static void bind(sqlite3_stmt *stmt, const struct db_value *values, int n)
{
	for (int i = 0; i < n; i++) {
		struct str bytes = values[i].bytes;
		if (values[i].kind == DB_INT)
			sqlite3_bind_int64(stmt, i + 1, values[i].number);
		else if (values[i].kind == DB_TEXT)
			sqlite3_bind_text(stmt, i + 1, bytes.ptr ? bytes.ptr : "", (int)bytes.len,
				SQLITE_STATIC);
		else
			sqlite3_bind_blob(stmt, i + 1, bytes.ptr, (int)bytes.len, SQLITE_STATIC);
	}
}

/*
 * Failures after which the locks may not be what they seem. One of the disk is none: what reads
 * goes on then.
 */
static bool is_lasting(sqlite3 *sqlite)
{
	switch (sqlite3_extended_errcode(sqlite)) {
	case SQLITE_IOERR_LOCK:
	case SQLITE_IOERR_UNLOCK:
	case SQLITE_IOERR_RDLOCK:
	case SQLITE_IOERR_CHECKRESERVEDLOCK:
	case SQLITE_IOERR_SHMLOCK:
	case SQLITE_IOERR_SHMMAP:
	case SQLITE_IOERR_SHMOPEN:
		return true;
	default:
		break;
	}
	int code = sqlite3_errcode(sqlite) & 0xff;
	return code == SQLITE_PROTOCOL || code == SQLITE_BUSY;
}

static int reopen(struct db *db, struct error *err);

/*
 * Within a transaction, or another query, there is no closing; its end comes first. Who begins is
 * within none.
 */
static int unstick(struct db *db, enum db_statement next, struct error *err)
{
	bool is_at_rest = next == DB_BEGIN || !db->sqlite || sqlite3_get_autocommit(db->sqlite);
	return db->is_stuck && db->n_running == 0 && is_at_rest ? reopen(db, err) : 0;
}

int db_query(struct db *db, enum db_statement which, const struct db_value *values, int n,
	void (*fn)(void *arg, struct db_row *row), void *arg, struct error *err)
{
	if (unstick(db, which, err) < 0)
		return -1;
	sqlite3_stmt *stmt = db->statements[which];
	BUG_IF(sqlite3_stmt_busy(stmt), "a query is asked for from within itself");
	bind(stmt, values, n);
	struct db_row row = { stmt };
	int r;
	db->n_running++;
	while ((r = sqlite3_step(stmt)) == SQLITE_ROW)
		fn(arg, &row);
	db->n_running--;
	if (r != SQLITE_DONE) {
		db->is_stuck = db->is_stuck || is_lasting(db->sqlite);
		fail(db->sqlite, err, statements[which]);
	}
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return r == SQLITE_DONE ? 0 : -1;
}

static void no_row(void *arg, struct db_row *row)
{
}

int db_run(struct db *db, enum db_statement which, const struct db_value *values, int n,
	struct error *err)
{
	return db_query(db, which, values, n, no_row, NULL, err);
}

void db_roll_back(struct db *db)
{
	if (db->sqlite && !sqlite3_get_autocommit(db->sqlite))
		db_run(db, DB_ROLLBACK, NULL, 0, NULL);
	db->is_stuck = db->is_stuck || (db->sqlite && !sqlite3_get_autocommit(db->sqlite));
}

bool db_is_stuck(const struct db *db)
{
	return db->is_stuck;
}

int64_t db_row_int(struct db_row *row, int column)
{
	return sqlite3_column_int64(row->statement, column);
}

struct str db_row_bytes(struct db_row *row, int column)
{
	const char *bytes = (const char *)sqlite3_column_text(row->statement, column);
	return str_from_len(bytes, (size_t)sqlite3_column_bytes(row->statement, column));
}

static void take_number(void *arg, struct db_row *row)
{
	*(int64_t *)arg = db_row_int(row, 0);
}

int64_t db_number(struct db *db, enum db_statement which, const struct db_value *values, int n)
{
	int64_t number = 0;
	db_query(db, which, values, n, take_number, &number, NULL);
	return number;
}

int db_get_number(struct db *db, enum db_statement which, int64_t *ret, struct error *err)
{
	int64_t number = 0;
	if (db_query(db, which, NULL, 0, take_number, &number, err) < 0)
		return -1;
	*ret = number;
	return 0;
}

/* The database itself. */

int64_t db_changed(const struct db *db)
{
	return db->sqlite ? sqlite3_changes64(db->sqlite) : 0;
}

static int64_t pragma(struct db *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = 0;
	if (sqlite3_prepare_v2(db->sqlite, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

int64_t db_size(struct db *db)
{
	if (!db->sqlite)
		return 0;
	int64_t used = pragma(db, "PRAGMA page_count") - pragma(db, "PRAGMA freelist_count");
	return used * pragma(db, "PRAGMA page_size");
}

int db_log_pages(const struct db *db)
{
	return db->log_pages;
}

static int on_commit(void *arg, sqlite3 *sqlite, const char *name, int pages)
{
	struct db *db = arg;
	db->log_pages = pages;
	return SQLITE_OK;
}

/*
 * The one place in cay that sleeps and looks again, and it is SQLite that does: a lock that
 * somebody from outside holds (a backup, the sqlite3 program) is let go without a word. It tries a
 * hundred times and rests ever longer, ten seconds in all; the loop cannot wait for that, so it
 * rests for a millisecond at most.
 */
static int nap(sqlite3_vfs *vfs, int us)
{
	const struct timespec time = { .tv_nsec = (long)MIN(us, NAP_US) * 1000 };
	nanosleep(&time, NULL);
	return us;
}

/* The usual one in all else. */
static const char *napping_vfs(void)
{
	static sqlite3_vfs vfs;
	if (vfs.zName)
		return vfs.zName;
	vfs = *sqlite3_vfs_find(NULL);
	vfs.zName = "cay";
	vfs.xSleep = nap;
	sqlite3_vfs_register(&vfs, 0);
	return vfs.zName;
}

static int connect(const char *path, sqlite3 **ret, struct error *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW |
		SQLITE_OPEN_NOMUTEX;                /* each connection is one thread's at a time */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* no lock around each allocation */
	int r = sqlite3_open_v2(path, ret, flags, napping_vfs());
	if (r != SQLITE_OK)
		return error_set(err, ERROR_UNAVAILABLE, "%s", sqlite3_errstr(r));
	sqlite3_extended_result_codes(*ret, 1);
	sqlite3_busy_timeout(*ret, BUSY_MS);
	return 0;
}

static int execute(sqlite3 *sqlite, const char *sql, struct error *err)
{
	return sqlite3_exec(sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
									: fail(sqlite, err, sql);
}

static int migrate(struct db *db, struct error *err)
{
	int64_t version = pragma(db, "PRAGMA user_version");
	if (version > (int64_t)ARRAY_LEN(migrations))
		return error_set(err, ERROR_UNSUPPORTED,
			"a newer cay has written it: its format is %lld, this one knows up to %zu",
			(long long)version, ARRAY_LEN(migrations));
	for (; version < (int64_t)ARRAY_LEN(migrations); version++) {
		auto_free char *sql = mem_printf(
			"BEGIN IMMEDIATE; %s PRAGMA user_version = %lld; COMMIT;",
			migrations[version], (long long)version + 1);
		if (execute(db->sqlite, sql, err) < 0)
			return error_wrap(err, "bring its format to %lld", (long long)version + 1);
	}
	return 0;
}

static int prepare(struct db *db, struct error *err)
{
	for (int i = 0; i < DB_STATEMENT_MAX; i++)
		if (sqlite3_prepare_v3(db->sqlite, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &db->statements[i], NULL) != SQLITE_OK)
			return fail(db->sqlite, err, statements[i]);
	return 0;
}

static int open_at(struct db *db, struct error *err)
{
	static const char mode[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
				   "PRAGMA wal_autocheckpoint = 0; PRAGMA trusted_schema = OFF;";
	if (connect(db->path, &db->sqlite, err) < 0 || execute(db->sqlite, mode, err) < 0 ||
		migrate(db, err) < 0 || prepare(db, err) < 0)
		return -1;
	sqlite3_wal_hook(db->sqlite, on_commit, db);
	return 0;
}

static void disconnect(struct db *db)
{
	for (int i = 0; i < DB_STATEMENT_MAX; i++) {
		sqlite3_finalize(db->statements[i]);
		db->statements[i] = NULL;
	}
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
}

/* The log stays as it is: to copy it would be to wait for the disk. */
static int reopen(struct db *db, struct error *err)
{
	if (db->sqlite)
		sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	disconnect(db);
	if (open_at(db, err) < 0) {
		disconnect(db);
		return error_wrap(err, "open the state database again");
	}
	db->is_stuck = false;
	log_warn("db.reopened", "path=%s", db->path);
	return 0;
}

int db_open(const char *path, struct db **ret, struct error *err)
{
	struct db *db = mem_new(struct db);
	db->path = str_dup(str_from(path));
	if (open_at(db, err) < 0) {
		db_close(db);
		return -1;
	}
	*ret = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	disconnect(db);
	free(db->path);
	free(db);
}

/*
 * By a connection that lasts no longer: a second one would keep alive what the first one's end
 * shall mend.
 */
int db_checkpoint(const char *path, struct error *err)
{
	sqlite3 *sqlite = NULL;
	int in_log = 0, copied = 0, left = -1;
	if (connect(path, &sqlite, err) == 0 &&
		execute(sqlite, "PRAGMA synchronous = NORMAL;", err) == 0) {
		int r = sqlite3_wal_checkpoint_v2(sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log,
			&copied);
		left = r == SQLITE_OK || r == SQLITE_BUSY ? in_log - copied
							  : fail(sqlite, err, "checkpoint");
	}
	sqlite3_close(sqlite);
	return left;
}

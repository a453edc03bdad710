/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Writes are collected, and at the end of the turn performed in one transaction. One
 * that fails fails them all, and everybody who waits is told the cause. The next turn tries afresh, so a
 * disk that has room again needs no restart.
 *
 * WAL grows with each commit until a checkpoint has copied it into the database and the next writer may
 * start it over. A checkpoint waits for the disk (fsync), so it runs in a worker with a connection of its
 * own; writers go on meanwhile. Writers that never rest could keep it from ever finishing: beyond
 * WAL_PAGES_HIGH the ends of turns wait for it (is_held), while the loop goes on. No transaction is open
 * between turns, so that the first one after a whole checkpoint does start the log over.
 *
 * This is the only file that knows SQLite.
 */
#include "runtime/store.h"

#include "base/arena.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
	WAL_PAGES_DUE = 1000,   /* 4 MiB more than at the last one: time for a checkpoint */
	WAL_PAGES_HIGH = 16000, /* 64 MiB: writers wait for it */
	PRUNE_STEP = 64,        /* old events that go with one turn, besides two for each new one */
	TURN_MAX = 64 * 1024 * 1024, /* bytes of one turn */
	VALUES_MAX = 14,
	BUSY_MS = 100, /* nobody else writes; a reader from outside may hold a lock for a moment */
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
};

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	EVENT_ADD,
	EVENT_OF_ONE,
	EVENT_OF_ALL,
	EVENT_LAST_INDEX,
	EVENT_PRUNE,
	RECORD_PUT,
	RECORD_DROP,
	RECORD_ALL,
	STATEMENT_MAX,
};

static const char *const statements[] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[EVENT_ADD] = "INSERT INTO events VALUES (?1,?2,?3,?4,?5,?6,?7)",
	[EVENT_OF_ONE] = "SELECT seq,sandbox,idx,time_ms,cause,kind,data FROM events"
			 " WHERE sandbox = ?4 AND seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
	[EVENT_OF_ALL] = "SELECT seq,sandbox,idx,time_ms,cause,kind,data FROM events"
			 " WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3",
	[EVENT_LAST_INDEX] = "SELECT idx FROM events WHERE sandbox = ?1 ORDER BY seq DESC LIMIT 1",
	[EVENT_PRUNE] = "DELETE FROM events WHERE seq <= ?1",
	[RECORD_PUT] =
		"INSERT OR REPLACE INTO sandboxes VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
	[RECORD_DROP] = "DELETE FROM sandboxes WHERE id = ?1",
	[RECORD_ALL] = "SELECT id,backend_id,name,state,reason,created_ms,ended_ms,timeout_ms,"
		       "idle_timeout_ms,deadline_ms,spec,labels,enforced,init_pid FROM sandboxes"
		       " ORDER BY created_ms, id",
};

/* What the worker has: it may outlive the store. */
struct checkpoint {
	struct store *store; /* NULL: closed meanwhile */
	sqlite3 *db;
	int result, pages_left;
	bool is_running;
	bool is_last_try;
};

enum value_kind { VALUE_INT, VALUE_TEXT, VALUE_BLOB };

struct value {
	enum value_kind kind;
	int64_t number;
	struct str text;
};

/* One statement of the open turn, with what it is bound to. */
struct write {
	struct list link;
	enum statement which;
	int n;
	struct value values[VALUES_MAX];
};

struct store {
	struct loop *loop;
	sqlite3 *db;
	int lock_fd;
	sqlite3_stmt *statements[STATEMENT_MAX];
	struct checkpoint *checkpoint;
	struct list waits;  /* store_wait::link, of the open turn */
	struct list writes; /* write::link, of the open turn; in the arena */
	struct arena arena;
	bool is_overfull;  /* the open turn was too large and fails */
	bool is_due;       /* the end of the turn has been deferred, or waits for a checkpoint */
	bool is_held;      /* turns wait for a checkpoint */
	int wal_pages;     /* after the last commit */
	int wal_pages_due; /* when to start the next checkpoint */
	int64_t oldest, newest, committed;
	int64_t prune_to; /* events up to here go */
	int64_t size;
	int64_t events_max, size_max;
	loop_fn *on_commit;
	void *on_commit_arg;
};

static int fail(struct store *s, struct error *err, const char *doing)
{
	int code = sqlite3_errcode(s->db) & 0xff;
	enum error_code kind = code == SQLITE_FULL ? ERROR_NO_SPACE
		: code == SQLITE_IOERR || code == SQLITE_READONLY || code == SQLITE_CANTOPEN
		? ERROR_UNAVAILABLE
		: ERROR_INTERNAL;
	int sys = sqlite3_system_errno(s->db);
	error_set(err, kind, "state database: %s: %s%s%s", doing, sqlite3_errmsg(s->db),
		code == SQLITE_IOERR && sys ? ": " : "",
		code == SQLITE_IOERR && sys ? strerror(sys) : "");
	return -1;
}

static void bind_str(sqlite3_stmt *stmt, int at, struct str text)
{
	sqlite3_bind_text(stmt, at, text.ptr ? text.ptr : "", (int)text.len, SQLITE_STATIC);
}

static struct str column_str(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);
	return str_from_len(text, (size_t)sqlite3_column_bytes(stmt, column));
}

static int run(struct store *s, enum statement which)
{
	sqlite3_stmt *stmt = s->statements[which];
	int r = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	return r == SQLITE_DONE ? 0 : -1;
}

/* Turns. */

static struct value number(int64_t n)
{
	return (struct value){ VALUE_INT, n, STR_NONE };
}

static struct value text(struct str s)
{
	return (struct value){ VALUE_TEXT, 0, s };
}

static void due(struct store *s);

/* Puts a write into the turn; everything is copied. */
static void add_write(struct store *s, enum statement which, const struct value *values, int n)
{
	due(s);
	size_t size = sizeof(struct write);
	for (int i = 0; i < n; i++)
		size += values[i].text.len + 32;
	if (!arena_has_room(&s->arena, size)) {
		s->is_overfull = true;
		return;
	}
	struct write *w = arena_new(&s->arena, struct write);
	w->which = which;
	w->n = n;
	for (int i = 0; i < n; i++) {
		w->values[i] = values[i];
		if (values[i].kind != VALUE_INT)
			w->values[i].text.ptr = arena_str(&s->arena, values[i].text);
	}
	list_append(&s->writes, &w->link);
}

static void bind(sqlite3_stmt *stmt, int at, const struct value *v)
{
	if (v->kind == VALUE_INT)
		sqlite3_bind_int64(stmt, at, v->number);
	else if (v->kind == VALUE_TEXT)
		sqlite3_bind_text(stmt, at, v->text.ptr, (int)v->text.len, SQLITE_STATIC);
	else
		sqlite3_bind_blob(stmt, at, v->text.ptr, (int)v->text.len, SQLITE_STATIC);
}

static int perform(struct store *s, const struct write *w, struct error *err)
{
	sqlite3_stmt *stmt = s->statements[w->which];
	for (int i = 0; i < w->n; i++)
		bind(stmt, i + 1, &w->values[i]);
	int r = run(s, w->which);
	if (r < 0)
		fail(s, err, statements[w->which]);
	sqlite3_clear_bindings(stmt);
	return r;
}

static int prune(struct store *s, int64_t newest, int64_t *ret_oldest, struct error *err);

static int transact(struct store *s, struct error *err)
{
	if (s->is_overfull)
		return error_set(err, ERROR_LIMIT,
			"state database: over %d bytes wait to be written", TURN_MAX);
	if (list_is_empty(&s->writes))
		return 0;
	if (run(s, BEGIN) < 0)
		return fail(s, err, "begin");
	int64_t oldest = s->oldest;
	struct write *w;
	int r = 0;
	list_for_each(w, &s->writes, link)
		if ((r = perform(s, w, err)) < 0)
			break;
	if (r == 0)
		r = prune(s, s->newest, &oldest, err);
	if (r == 0 && (r = run(s, COMMIT)) < 0)
		fail(s, err, "commit");
	if (r == 0)
		s->oldest = oldest;
	else if (!sqlite3_get_autocommit(s->db))
		run(s, ROLLBACK); /* SQLite may have rolled back by itself */
	return r;
}

static void release(struct list *waits, const struct error *err)
{
	while (!list_is_empty(waits)) {
		struct store_wait *w = list_first(waits, struct store_wait, link);
		list_remove(&w->link);
		w->fn(w->arg, err);
	}
}

static void start_checkpoint(struct store *s);

/* Numbers of a failed turn are not used again. */
static int commit(struct store *s, struct error *err)
{
	int r = transact(s, err);
	if (r == 0)
		s->committed = s->newest;
	else
		log_error("store.failed", "%s", err->text);
	list_init(&s->writes);
	arena_fini(&s->arena);
	s->is_overfull = false;
	return r;
}

/* Whoever waits is called when the next turn is in place: what it writes belongs to that. */
static void end_turn(void *arg)
{
	struct store *s = arg;
	if (s->is_held)
		return; /* checkpoint_done comes back to it */
	s->is_due = false;
	int64_t before = s->committed;
	struct error err;
	int r = commit(s, &err);
	s->is_held = s->wal_pages >= WAL_PAGES_HIGH;
	if (s->is_held || s->wal_pages >= s->wal_pages_due)
		start_checkpoint(s);

	struct list waits = LIST_INIT(waits);
	if (!list_is_empty(&s->waits)) {
		waits = s->waits;
		waits.next->prev = waits.prev->next = &waits;
		list_init(&s->waits);
	}
	bool has_news = s->committed > before;
	release(&waits, r < 0 ? &err : NULL);
	if (has_news && s->on_commit)
		s->on_commit(s->on_commit_arg);
}

static void due(struct store *s)
{
	if (s->is_due)
		return;
	s->is_due = true;
	if (!s->is_held)
		loop_defer(s->loop, end_turn, s);
}

void store_after(struct store *s, struct store_wait *wait)
{
	list_remove(&wait->link);
	list_append(&s->waits, &wait->link);
	due(s);
}

/* Checkpoints. */

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;
	if (pages < s->wal_pages)
		s->wal_pages_due = WAL_PAGES_DUE; /* the log was started over */
	s->wal_pages = pages;
	return SQLITE_OK;
}

static void checkpoint_work(void *arg)
{
	struct checkpoint *c = arg;
	int in_log = 0, copied = 0;
	c->result = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log,
		&copied);
	c->pages_left = in_log - copied;
}

static int64_t pragma_int(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = 0;
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static void measure(struct store *s)
{
	int64_t used = pragma_int(s->db, "PRAGMA page_count") -
		pragma_int(s->db, "PRAGMA freelist_count");
	s->size = used * pragma_int(s->db, "PRAGMA page_size");
	int64_t kept = s->newest + 1 - s->oldest;
	if (s->size > s->size_max && kept > 0)
		s->prune_to = MAX(s->prune_to, s->oldest + kept / 20);
}

static void checkpoint_free(struct checkpoint *c)
{
	sqlite3_close(c->db);
	free(c);
}

static void checkpoint_done(void *arg)
{
	struct checkpoint *c = arg;
	struct store *s = c->store;
	c->is_running = false;
	if (!s) {
		checkpoint_free(c);
		return;
	}
	if (c->result != SQLITE_OK && c->result != SQLITE_BUSY)
		log_warn("store.checkpoint", "failed: %s", sqlite3_errstr(c->result));
	measure(s);
	if (!s->is_held)
		return;
	if (c->pages_left > 0 && !c->is_last_try) {
		start_checkpoint(s); /* nobody writes now: this one gets to the end */
		c->is_last_try = true;
		return;
	}
	s->is_held = c->is_last_try = false;
	s->wal_pages = 0; /* the next commit starts the log over, or says how long it is */
	s->wal_pages_due = WAL_PAGES_DUE;
	if (s->is_due)
		loop_defer(s->loop, end_turn, s);
}

static void start_checkpoint(struct store *s)
{
	struct checkpoint *c = s->checkpoint;
	if (c->is_running)
		return;
	c->is_running = true;
	s->wal_pages_due = s->wal_pages + WAL_PAGES_DUE;
	loop_work(s->loop, checkpoint_work, checkpoint_done, c);
}

/* Events. */

static int prune(struct store *s, int64_t newest, int64_t *ret_oldest, struct error *err)
{
	if (newest + 1 - s->oldest > s->events_max)
		s->prune_to = MAX(s->prune_to, newest - s->events_max);
	int64_t step = PRUNE_STEP + 2 * (newest - s->committed); /* faster than they come */
	int64_t to = MIN(MIN(s->prune_to, newest - 1), s->oldest + step - 1);
	if (to < s->oldest)
		return 0;
	sqlite3_bind_int64(s->statements[EVENT_PRUNE], 1, to);
	if (run(s, EVENT_PRUNE) < 0)
		return fail(s, err, "remove old events");
	*ret_oldest = to + 1;
	return 0;
}

int64_t store_event(struct store *s, struct event *event)
{
	event->seq = ++s->newest;
	event->time_ms = clock_wall_ms();
	const struct value values[] = {
		number(event->seq),
		text(event->sandbox),
		number(event->index),
		number(event->time_ms),
		number(event->cause),
		text(event->kind),
		text(event->data),
	};
	add_write(s, EVENT_ADD, values, ARRAY_LEN(values));
	return event->seq;
}

int store_read(struct store *s, const char *id, int64_t after, int limit, event_fn *fn, void *arg,
	struct error *err)
{
	sqlite3_stmt *stmt = s->statements[id ? EVENT_OF_ONE : EVENT_OF_ALL];
	BUG_IF(sqlite3_stmt_busy(stmt), "events are read from inside a reader of events");
	sqlite3_bind_int64(stmt, 1, after);
	sqlite3_bind_int64(stmt, 2, s->committed);
	sqlite3_bind_int(stmt, 3, limit);
	if (id)
		bind_str(stmt, 4, str_from(id));
	int r;
	while ((r = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct event event = {
			.seq = sqlite3_column_int64(stmt, 0),
			.sandbox = column_str(stmt, 1),
			.index = sqlite3_column_int64(stmt, 2),
			.time_ms = sqlite3_column_int64(stmt, 3),
			.cause = sqlite3_column_int64(stmt, 4),
			.kind = column_str(stmt, 5),
			.data = column_str(stmt, 6),
		};
		fn(arg, &event);
	}
	if (r != SQLITE_DONE)
		fail(s, err, "read events");
	sqlite3_reset(stmt);
	return r == SQLITE_DONE ? 0 : -1;
}

int64_t store_last_index(struct store *s, const char *id)
{
	sqlite3_stmt *stmt = s->statements[EVENT_LAST_INDEX];
	bind_str(stmt, 1, str_from(id));
	int64_t index = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return index;
}

/* Records. */

static void labels_to_json(const struct sandbox *sandbox, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	for (size_t i = 0; i < sandbox->n_labels; i++) {
		jsonw_key_dyn(&w, str_from(sandbox->label_keys[i]));
		jsonw_str(&w, str_from(sandbox->label_values[i]));
	}
	jsonw_close(&w);
}

static void labels_from_json(struct sandbox *sandbox, struct str text)
{
	auto_json struct json *labels = NULL;
	if (json_parse(text, &labels, NULL) < 0)
		return;
	sandbox->label_keys = mem_new_n(char *, json_len(labels) + 1);
	sandbox->label_values = mem_new_n(char *, json_len(labels) + 1);
	void *it = NULL;
	struct str key;
	struct json *value;
	while ((value = json_next(labels, &it, &key))) {
		sandbox->label_keys[sandbox->n_labels] = str_dup(key);
		sandbox->label_values[sandbox->n_labels++] = str_dup(json_str(value));
	}
}

void store_put(struct store *s, const struct sandbox *sandbox)
{
	auto_buf struct buf labels = BUF_INIT(4 * 1024 * 1024);
	labels_to_json(sandbox, &labels);
	struct str enforced = { (const char *)&sandbox->enforced, sizeof(sandbox->enforced) };
	const struct value values[] = {
		text(str_from(sandbox->id)),
		text(str_from(sandbox->backend_id)),
		text(str_from(sandbox->name)),
		text(str_from(sandbox_state_name(sandbox->state))),
		text(str_from(sandbox->reason)),
		number(sandbox->created_ms),
		number(sandbox->ended_ms),
		number(sandbox->timeout_ms),
		number(sandbox->idle_timeout_ms),
		number(sandbox->deadline_ms),
		text(str_from(sandbox->spec_json)),
		text(buf_str(&labels)),
		{ VALUE_BLOB, 0, enforced },
		number(sandbox->init_pid),
	};
	add_write(s, RECORD_PUT, values, ARRAY_LEN(values));
}

void store_drop(struct store *s, const char *id)
{
	const struct value values[] = { text(str_from(id)) };
	add_write(s, RECORD_DROP, values, ARRAY_LEN(values));
}

static struct sandbox *record_read(sqlite3_stmt *stmt)
{
	struct sandbox *sandbox = mem_new(struct sandbox);
	snprintf(sandbox->id, sizeof(sandbox->id), "%s", column_str(stmt, 0).ptr);
	snprintf(sandbox->backend_id, sizeof(sandbox->backend_id), "%s", column_str(stmt, 1).ptr);
	snprintf(sandbox->name, sizeof(sandbox->name), "%s", column_str(stmt, 2).ptr);
	if (!sandbox_state_from_name(column_str(stmt, 3), &sandbox->state))
		sandbox->state = SANDBOX_ENDED;
	snprintf(sandbox->reason, sizeof(sandbox->reason), "%s", column_str(stmt, 4).ptr);
	sandbox->created_ms = sqlite3_column_int64(stmt, 5);
	sandbox->ended_ms = sqlite3_column_int64(stmt, 6);
	sandbox->timeout_ms = sqlite3_column_int64(stmt, 7);
	sandbox->idle_timeout_ms = sqlite3_column_int64(stmt, 8);
	sandbox->deadline_ms = sqlite3_column_int64(stmt, 9);
	sandbox->spec_json = str_dup(column_str(stmt, 10));
	labels_from_json(sandbox, column_str(stmt, 11));
	if (sqlite3_column_bytes(stmt, 12) == sizeof(sandbox->enforced))
		memcpy(&sandbox->enforced, sqlite3_column_blob(stmt, 12),
			sizeof(sandbox->enforced));
	sandbox->init_pid = sqlite3_column_int(stmt, 13);
	return sandbox;
}

int store_records(struct store *s, void (*fn)(void *arg, struct sandbox *sandbox), void *arg,
	struct error *err)
{
	sqlite3_stmt *stmt = s->statements[RECORD_ALL];
	int r;
	while ((r = sqlite3_step(stmt)) == SQLITE_ROW)
		fn(arg, record_read(stmt));
	if (r != SQLITE_DONE)
		fail(s, err, "read the records");
	sqlite3_reset(stmt);
	return r == SQLITE_DONE ? 0 : -1;
}

/* Opening and closing. */

static int exec(struct store *s, const char *sql, struct error *err)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(s, err, sql);
}

static int migrate(struct store *s, struct error *err)
{
	int64_t version = pragma_int(s->db, "PRAGMA user_version");
	if (version > (int64_t)ARRAY_LEN(migrations))
		return error_set(err, ERROR_UNSUPPORTED,
			"its format is %lld; this program knows up to %zu", (long long)version,
			ARRAY_LEN(migrations));
	for (; version < (int64_t)ARRAY_LEN(migrations); version++) {
		auto_free char *sql = mem_printf(
			"BEGIN IMMEDIATE; %s PRAGMA user_version = %lld; COMMIT;",
			migrations[version], (long long)version + 1);
		if (exec(s, sql, err) < 0)
			return error_wrap(err, "bring its format to %lld", (long long)version + 1);
	}
	return 0;
}

static int open_db(const char *path, sqlite3 **ret, struct error *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW |
		SQLITE_OPEN_NOMUTEX; /* each connection is one thread's */
	int r = sqlite3_open_v2(path, ret, flags, NULL);
	if (r != SQLITE_OK)
		return error_set(err, ERROR_UNAVAILABLE, "%s", sqlite3_errstr(r));
	sqlite3_extended_result_codes(*ret, 1);
	sqlite3_busy_timeout(*ret, BUSY_MS);
	return 0;
}

static int prepare(struct store *s, struct error *err)
{
	for (int i = 0; i < STATEMENT_MAX; i++)
		if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &s->statements[i], NULL) != SQLITE_OK)
			return fail(s, err, statements[i]);
	return 0;
}

static int open_in(struct store *s, const char *path, struct error *err)
{
	if (open_db(path, &s->db, err) < 0 || open_db(path, &s->checkpoint->db, err) < 0)
		return -1;
	const char *mode = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
			   "PRAGMA wal_autocheckpoint = 0; PRAGMA trusted_schema = OFF;";
	if (exec(s, mode, err) < 0 || migrate(s, err) < 0 || prepare(s, err) < 0)
		return -1;
	if (sqlite3_exec(s->checkpoint->db, "PRAGMA synchronous = NORMAL;", NULL, NULL, NULL) !=
		SQLITE_OK)
		return fail(s, err, "prepare the checkpoints");
	sqlite3_wal_hook(s->db, on_wal, s);
	/* Retention never takes the newest one, so that no number comes twice. */
	s->newest = s->committed = pragma_int(s->db, "SELECT max(seq) FROM events");
	s->oldest = pragma_int(s->db, "SELECT min(seq) FROM events");
	if (!s->oldest)
		s->oldest = s->newest + 1;
	measure(s);
	return 0;
}

static int take_lock(struct store *s, const char *dir, struct error *err)
{
	auto_free char *path = mem_printf("%s/state.lock", dir);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return error_sys(err, errno, "open %s", path);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, ERROR_CONFLICT, "%s is in use by another server", dir);
	return 0;
}

int store_open(struct loop *loop, const char *dir, struct store **ret, struct error *err)
{
	struct store *s = mem_new(struct store);
	s->loop = loop;
	s->lock_fd = -1;
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* no lock around each allocation */
	s->wal_pages_due = WAL_PAGES_DUE;
	s->events_max = STORE_EVENTS_MAX;
	s->size_max = STORE_SIZE_MAX;
	list_init(&s->waits);
	list_init(&s->writes);
	s->arena = ARENA_INIT(TURN_MAX);
	s->checkpoint = mem_new(struct checkpoint);
	s->checkpoint->store = s;
	auto_free char *path = mem_printf("%s/state.db", dir);
	mode_t mask = umask(077);
	int r = take_lock(s, dir, err);
	if (r == 0 && open_in(s, path, err) < 0)
		r = error_wrap(err, "open %s", path);
	umask(mask);
	if (r < 0) {
		store_close(s);
		return -1;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	loop_undefer(s->loop, s);
	struct error err;
	if (s->db)
		commit(s, &err);
	arena_fini(&s->arena);
	while (!list_is_empty(&s->waits))
		list_remove(s->waits.next);
	for (int i = 0; i < STATEMENT_MAX; i++)
		sqlite3_finalize(s->statements[i]);
	s->checkpoint->store = NULL;
	if (!s->checkpoint->is_running)
		checkpoint_free(s->checkpoint);
	sqlite3_close(s->db);
	close_fd(s->lock_fd);
	free(s);
}

int64_t store_oldest(const struct store *s)
{
	return s->oldest;
}

int64_t store_newest(const struct store *s)
{
	return s->committed;
}

int64_t store_size(const struct store *s)
{
	return s->size;
}

void store_on_commit(struct store *s, loop_fn *fn, void *arg)
{
	s->on_commit = fn;
	s->on_commit_arg = arg;
}

void store_set_limits(struct store *s, int64_t events_max, int64_t size_max)
{
	s->events_max = events_max;
	s->size_max = size_max;
}

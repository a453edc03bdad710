/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Writes are collected, and at the end of the turn performed in one
 * transaction. One that fails fails them all, and everybody who waits is told the cause. The next
 * turn tries afresh, so a disk that has room again needs no restart.
 *
 * A turn that brings nothing but events goes to the journal (journal.h) instead, which costs a
 * tenth. The next transaction takes along what is there: when the journal is full, when a record is
 * written, when the store is opened or closed. Until then events are read from the journal's
 * memory; their numbers are above all in the database.
 *
 * When the database's own log is long the ends of turns wait for a checkpoint (checkpoint.h), while
 * the loop goes on.
 */
#include "runtime/store.h"

#include "base/arena.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/checkpoint.h"
#include "runtime/db.h"
#include "runtime/journal.h"
#include "runtime/lost.h"
#include "runtime/shed.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
	PRUNE_STEP = 64, /* old events that go with one turn, besides two for each new one */
	TURN_MAX = 64 * 1024 * 1024, /* bytes of one turn */
};

/* One statement of the open turn, with its values. */
struct write {
	struct list link; /* store::writes */
	enum db_statement which;
	int n;
	struct db_value values[DB_VALUES_MAX];
};

struct store {
	struct loop *loop;
	struct db *db;
	int lock_fd;
	char *path;   /* of the database */
	dev_t db_dev; /* its file: somebody may remove it, or put another in its place */
	ino_t db_ino;
	struct checkpoint *checkpoint;
	struct journal *journal;
	struct list waits; /* store_wait::link, of the open turn */
	struct buf events; /* of the open turn, encoded */
	size_t n_events;
	struct list writes; /* write::link, of the open turn; in the arena */
	struct arena arena;
	/*
	 * A transaction has: who knows what of it is on disk? The journal rests until one has
	 * succeeded.
	 */
	bool has_failed;
	bool is_overfull; /* the open turn was too large and fails */
	bool is_due;      /* the end of the turn has been deferred, or waits for a checkpoint */
	int64_t oldest, newest, committed;
	int64_t announced; /* committed when on_commit was called last */
	int64_t in_db;     /* newest event in the database; what is newer is in the journal */
	int64_t prune_to;  /* events up to here go */
	int64_t rows;      /* events in the database */
	int64_t added;     /* to it, in the open transaction */
	struct shed shed;
	int64_t size;
	int64_t events_max, size_max;
	loop_fn *on_commit;
	void *on_commit_arg;
	struct lost lost;
};

/* Turns. */

static void due(struct store *s);

static void lose(struct store *s, enum db_statement which, const struct db_value *values)
{
	if (which == DB_RECORD_PUT || which == DB_RECORD_DROP)
		lost_add(&s->lost, values[0].bytes);
}

void store_write(struct store *s, enum db_statement which, const struct db_value *values, int n)
{
	due(s);
	size_t size = sizeof(struct write);
	for (int i = 0; i < n; i++)
		size += values[i].bytes.len + 1;
	if (!arena_has_room(&s->arena, size)) {
		s->is_overfull = true;
		lose(s, which, values);
		return;
	}
	struct write *w = arena_new(&s->arena, struct write);
	w->which = which;
	w->n = n;
	for (int i = 0; i < n; i++) {
		w->values[i] = values[i];
		if (values[i].kind != DB_INT)
			w->values[i].bytes.ptr = arena_str(&s->arena, values[i].bytes);
	}
	list_append(&s->writes, &w->link);
}

/* What is in the database once the transaction is committed. */
struct pruned {
	int64_t oldest, rows;
};

/* First those of who has had more than its share, then the oldest of all. */
static int prune(struct store *s, struct pruned *ret, struct error *err)
{
	int64_t step = PRUNE_STEP + 2 * (s->newest - s->in_db); /* faster than they come */
	if (shed_run(&s->shed, s->db, s->newest, step, err) < 0)
		return -1;
	ret->rows = s->rows + s->added - s->shed.rows;
	if (ret->rows > s->events_max)
		s->prune_to = MAX(s->prune_to, s->oldest + ret->rows - s->events_max - 1);
	/* The newest one stays, so that no number comes twice after a restart. */
	int64_t to = MIN(MIN(s->prune_to, s->newest - 1), s->oldest + step - 1);
	const struct db_value values[] = { db_int(to) };
	if (to >= s->oldest) {
		if (db_run(s->db, DB_EVENT_PRUNE, values, 1, err) < 0)
			return -1;
		ret->rows -= db_changed(s->db); /* what was shed before has left holes */
	}
	return to < s->oldest && !s->shed.rows
		? 0
		: db_get_number(s->db, DB_EVENT_FIRST, &ret->oldest, err);
}

/*
 * Those that the database has already are passed over: a journal that was read twice does no harm.
 */
static int add_events(struct store *s, struct str events, struct error *err)
{
	struct event event;
	for (ssize_t n; (n = journal_decode(events, &event)) > 0;) {
		const struct db_value values[] = {
			db_int(event.seq),
			db_text(event.sandbox),
			db_int(event.index),
			db_int(event.time_ms),
			db_int(event.cause),
			db_text(event.kind),
			db_text(event.data),
		};
		events = str_skip(events, (size_t)n);
		if (event.seq <= s->in_db)
			continue;
		if (db_run(s->db, DB_EVENT_ADD, values, ARRAY_LEN(values), err) < 0)
			return -1;
		s->added++;
	}
	return 0;
}

static int empty_journal(struct store *s, struct error *err)
{
	if (journal_is_empty(s->journal))
		return 0;
	const struct db_value values[] = { db_int(journal_generation(s->journal) + 1) };
	if (add_events(s, journal_events(s->journal), err) < 0)
		return -1;
	return db_run(s->db, DB_JOURNAL_SET, values, ARRAY_LEN(values), err);
}

static int write_all(struct store *s, struct error *err)
{
	struct write *w;
	list_for_each(w, &s->writes, link)
		if (db_run(s->db, w->which, w->values, w->n, err) < 0)
			return -1;
	return add_events(s, buf_str(&s->events), err);
}

/* What fails for locks that are out of step is tried once more, with the database opened anew. */
static int begin(struct store *s, struct error *err)
{
	if (db_run(s->db, DB_BEGIN, NULL, 0, err) == 0)
		return 0;
	return db_is_stuck(s->db) ? db_run(s->db, DB_BEGIN, NULL, 0, err) : -1;
}

static int transact(struct store *s, struct error *err)
{
	struct pruned left = { .oldest = s->oldest };
	if (begin(s, err) < 0)
		return -1;
	s->added = 0;
	if (s->has_failed) {
		s->in_db = MAX(s->in_db, db_number(s->db, DB_EVENT_LAST, NULL, 0));
		s->rows = db_number(s->db, DB_EVENT_COUNT, NULL, 0);
	}
	if (empty_journal(s, err) < 0 || write_all(s, err) < 0 || prune(s, &left, err) < 0 ||
		db_run(s->db, DB_COMMIT, NULL, 0, err) < 0) {
		db_roll_back(s->db);
		shed_settle(&s->shed, false);
		s->has_failed = true;
		return -1;
	}
	shed_settle(&s->shed, true);
	s->has_failed = false;
	s->rows = left.rows;
	if (!journal_is_empty(s->journal))
		journal_start_over(s->journal);
	s->oldest = left.oldest;
	s->in_db = s->newest;
	return 0;
}

/* So many above the ceiling wait for a transaction, which comes when the journal is full. */
static bool wants_pruning(const struct store *s)
{
	int64_t slack = MIN(JOURNAL_EVENTS_MAX, s->events_max / 4);
	return s->rows + s->newest - s->in_db > s->events_max + slack || s->prune_to >= s->oldest ||
		s->shed.n > 0;
}

/* What were written to a file that is gone would be acknowledged, and lost with this process. */
static int check_in_place(const struct store *s, struct error *err)
{
	struct stat st;
	if (stat(s->path, &st) == 0 && st.st_dev == s->db_dev && st.st_ino == s->db_ino)
		return 0;
	return error_set(err, ERROR_UNAVAILABLE,
		"%s was removed, or replaced, under the server: end it and start another", s->path);
}

static int write_turn(struct store *s, struct error *err)
{
	if (s->is_overfull || s->events.is_full)
		return error_set(err, ERROR_LIMIT,
			"state database: over %d bytes wait to be written", TURN_MAX);
	if (list_is_empty(&s->writes) && s->n_events == 0)
		return 0;
	if (check_in_place(s, err) < 0)
		return -1;
	if (list_is_empty(&s->writes) && !s->has_failed && !wants_pruning(s) &&
		journal_has_room(s->journal, s->events.len, s->n_events) &&
		journal_put(s->journal, buf_str(&s->events), s->n_events, NULL) == 0)
		return 0;
	return transact(s, err);
}

static void forget_turn(struct store *s)
{
	list_init(&s->writes);
	arena_fini(&s->arena);
	buf_reset(&s->events);
	s->n_events = 0;
	s->is_overfull = false;
}

/* Numbers of a failed turn are not used again. */
static int commit(struct store *s, struct error *err)
{
	int r = write_turn(s, err);
	if (r == 0)
		s->committed = s->newest;
	else
		log_error("store.failed", "%s", err->text);
	struct write *w;
	if (r < 0)
		list_for_each(w, &s->writes, link)
			lose(s, w->which, w->values);
	forget_turn(s);
	return r;
}

int store_now(struct store *s, struct error *err)
{
	if (write_turn(s, err) < 0)
		return -1;
	s->committed = s->newest;
	forget_turn(s);
	return 0;
}

void store_on_loss(struct store *s, store_lost_fn *fn, void *arg)
{
	lost_init(&s->lost, s->loop, fn, arg);
}

/* Calls who waited when the next turn is in place: what they write belongs to that. */
static void release(struct store *s, const struct error *err)
{
	struct list waits = LIST_INIT(waits);
	if (!list_is_empty(&s->waits)) {
		waits = s->waits;
		waits.next->prev = waits.prev->next = &waits;
		list_init(&s->waits);
	}
	while (!list_is_empty(&waits)) {
		struct store_wait *w = list_get_first(&waits, struct store_wait, link);
		list_remove(&w->link);
		w->fn(w->arg, err);
	}
}

static void end_turn(void *arg)
{
	struct store *s = arg;
	if (checkpoint_holds(s->checkpoint))
		return; /* on_released comes back to it */
	s->is_due = false;
	struct error err;
	int r = commit(s, &err);
	checkpoint_watch(s->checkpoint, db_log_pages(s->db));
	bool has_news = s->committed > s->announced;
	s->announced = s->committed;
	release(s, r < 0 ? &err : NULL);
	if (has_news && s->on_commit)
		s->on_commit(s->on_commit_arg);
}

static void due(struct store *s)
{
	if (s->is_due)
		return;
	s->is_due = true;
	if (!checkpoint_holds(s->checkpoint))
		loop_defer(s->loop, end_turn, s);
}

void store_after(struct store *s, struct store_wait *wait)
{
	list_remove(&wait->link);
	list_append(&s->waits, &wait->link);
	due(s);
}

void store_on_commit(struct store *s, loop_fn *fn, void *arg)
{
	s->on_commit = fn;
	s->on_commit_arg = arg;
}

static void measure(void *arg)
{
	struct store *s = arg;
	s->size = db_size(s->db);
	int64_t kept = s->newest + 1 - s->oldest;
	if (s->size > s->size_max && kept > 0)
		s->prune_to = MAX(s->prune_to, s->oldest + kept / 20);
}

static void on_released(void *arg)
{
	struct store *s = arg;
	if (s->is_due)
		loop_defer(s->loop, end_turn, s);
}

/* Events. */

int64_t store_event(struct store *s, struct event *event)
{
	event->seq = ++s->newest;
	event->time_ms = clock_wall_ms();
	journal_encode(&s->events, event);
	s->n_events++;
	due(s);
	return event->seq;
}

struct reading {
	event_fn *fn;
	void *arg;
	int n;
};

static void read_event(void *arg, struct db_row *row)
{
	struct reading *reading = arg;
	struct event event = {
		.seq = db_row_int(row, 0),
		.sandbox = db_row_bytes(row, 1),
		.index = db_row_int(row, 2),
		.time_ms = db_row_int(row, 3),
		.cause = db_row_int(row, 4),
		.kind = db_row_bytes(row, 5),
		.data = db_row_bytes(row, 6),
	};
	reading->n++;
	reading->fn(reading->arg, &event);
}

static int read_db(struct store *s, const char *id, int64_t after, int limit,
	struct reading *reading, struct error *err)
{
	const struct db_value values[] = {
		db_int(after),
		db_int(s->committed),
		db_int(limit),
		db_text(str_from(id)),
	};
	if (after >= s->in_db)
		return 0;
	return db_query(s->db, id ? DB_EVENT_OF_ONE : DB_EVENT_OF_ALL, values, id ? 4 : 3,
		read_event, reading, err);
}

int store_read(struct store *s, const char *id, int64_t after, int limit, event_fn *fn, void *arg,
	struct error *err)
{
	struct reading reading = { fn, arg, 0 };
	struct event event;
	if (read_db(s, id, after, limit, &reading, err) < 0)
		return -1;
	struct str rest = journal_events(s->journal);
	for (ssize_t n; reading.n < limit && (n = journal_decode(rest, &event)) > 0;) {
		rest = str_skip(rest, (size_t)n);
		if (event.seq <= MAX(after, s->in_db) || (id && !str_is(event.sandbox, id)))
			continue;
		reading.n++;
		fn(arg, &event);
	}
	return 0;
}

int64_t store_last_index(struct store *s, const char *id)
{
	const struct db_value values[] = { db_text(str_from(id)) };
	int64_t last = db_number(s->db, DB_EVENT_LAST_INDEX, values, 1);
	struct str rest = journal_events(s->journal);
	struct event event;
	for (ssize_t n; (n = journal_decode(rest, &event)) > 0; rest = str_skip(rest, (size_t)n))
		if (str_is(event.sandbox, id))
			last = MAX(last, event.index);
	return last;
}

int64_t store_share(const struct store *s)
{
	return MIN(s->size_max, s->events_max * SHED_EVENT_BYTES) / STORE_SHARES;
}

bool store_shed(struct store *s, const char *id, int64_t bytes)
{
	return shed_add(&s->shed, id, bytes);
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

struct db *store_db(struct store *s)
{
	return s->db;
}

/* Opening and closing. */

void store_set_limits(struct store *s, int64_t events_max, int64_t size_max)
{
	s->events_max = events_max;
	s->size_max = size_max;
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

/*
 * What a server that died had written to the journal goes to the database; if that cannot be, it is
 * still there.
 */
static int open_journal(struct store *s, const char *dir, struct error *err)
{
	auto_free char *path = mem_printf("%s/state.journal", dir);
	struct event event;
	int64_t generation;
	if (db_get_number(s->db, DB_JOURNAL_GET, &generation, err) < 0 ||
		journal_open(path, generation, &s->journal, err) < 0)
		return -1;
	if (journal_generation(s->journal) != generation)
		log_error("store.damaged",
			"text=\"the state database lacks what came before the journal: it was damaged, or is a copy\" "
			"database=%lld journal=%lld",
			(long long)generation, (long long)journal_generation(s->journal));
	struct str rest = journal_events(s->journal);
	for (ssize_t n; (n = journal_decode(rest, &event)) > 0; rest = str_skip(rest, (size_t)n)) {
		if (!s->newest)
			s->oldest = event.seq;
		s->newest = s->committed = s->announced = MAX(s->newest, event.seq);
	}
	if (!journal_is_empty(s->journal) && transact(s, err) < 0)
		log_error("store.failed", "%s", err->text);
	return 0;
}

static int open_in(struct store *s, const char *dir, struct error *err)
{
	if (take_lock(s, dir, err) < 0)
		return -1;
	if (db_open(s->path, &s->db, err) < 0)
		return error_wrap(err, "open %s", s->path);
	struct stat st;
	if (stat(s->path, &st) < 0)
		return error_sys(err, errno, "stat %s", s->path);
	s->db_dev = st.st_dev;
	s->db_ino = st.st_ino;
	if (db_get_number(s->db, DB_EVENT_LAST, &s->newest, err) < 0 ||
		db_get_number(s->db, DB_EVENT_FIRST, &s->oldest, err) < 0 ||
		db_get_number(s->db, DB_EVENT_COUNT, &s->rows, err) < 0)
		return -1;
	s->committed = s->announced = s->in_db = s->newest;
	if (!s->oldest)
		s->oldest = s->newest + 1;
	if (open_journal(s, dir, err) < 0)
		return -1;
	measure(s);
	return 0;
}

int store_open(struct loop *loop, const char *dir, struct store **ret, struct error *err)
{
	struct store *s = mem_new(struct store);
	s->loop = loop;
	s->lock_fd = -1;
	s->path = mem_printf("%s/state.db", dir);
	s->arena = ARENA_INIT(TURN_MAX);
	buf_init(&s->events, TURN_MAX);
	list_init(&s->waits);
	list_init(&s->writes);
	store_set_limits(s, STORE_EVENTS_MAX, STORE_SIZE_MAX);
	s->checkpoint = checkpoint_new(loop, s->path, measure, on_released, s);
	mode_t mask = umask(077);
	int r = open_in(s, dir, err);
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
	if (s->db && s->journal) {
		commit(s, &err);
		if (!journal_is_empty(s->journal) && transact(s, &err) < 0)
			log_error("store.failed", "%s", err.text);
	}
	journal_close(s->journal);
	buf_fini(&s->events);
	arena_fini(&s->arena);
	while (!list_is_empty(&s->waits))
		list_remove(s->waits.next);
	checkpoint_free(s->checkpoint);
	lost_fini(&s->lost);
	db_close(s->db);
	close_fd(s->lock_fd);
	free(s->path);
	free(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Writes are collected, and at the end of the turn performed in one transaction. One
 * that fails fails them all, and everybody who waits is told the cause. The next turn tries afresh, so a
 * disk that has room again needs no restart.
 *
 * The log (WAL) grows with each commit until a checkpoint has copied it into the database and the next
 * writer may start it over. A checkpoint waits for the disk (fsync), so it runs in a worker with a
 * connection of its own; writers go on meanwhile. Writers that never rest could keep it from ever
 * finishing: beyond LOG_PAGES_HIGH the ends of turns wait for it (is_held), while the loop goes on. No
 * transaction is open between turns, so that the first one after a whole checkpoint does start the log
 * over.
 */
#include "runtime/store.h"

#include "base/arena.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/db.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
	LOG_PAGES_DUE = 1000,   /* 4 MiB more than at the last one: time for a checkpoint */
	LOG_PAGES_HIGH = 16000, /* 64 MiB: writers wait for it */
	PRUNE_STEP = 64,        /* old events that go with one turn, besides two for each new one */
	TURN_MAX = 64 * 1024 * 1024, /* bytes of one turn */
};

/* What the worker has: it may outlive the store. */
struct checkpoint {
	struct store *store; /* NULL: closed meanwhile */
	struct db_checkpoint *db;
	int pages_left; /* negative: it failed */
	struct error error;
	bool is_running;
	bool is_last_try;
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
	struct checkpoint *checkpoint;
	struct list waits;  /* store_wait::link, of the open turn */
	struct list writes; /* write::link, of the open turn; in the arena */
	struct arena arena;
	bool is_overfull;   /* the open turn was too large and fails */
	bool is_due;        /* the end of the turn has been deferred, or waits for a checkpoint */
	bool is_held;       /* turns wait for a checkpoint */
	int log_pages_seen; /* after the last turn */
	int log_pages_due;  /* when to start the next checkpoint */
	int64_t oldest, newest, committed;
	int64_t prune_to; /* events up to here go */
	int64_t size;
	int64_t events_max, size_max;
	loop_fn *on_commit;
	void *on_commit_arg;
};

/* Turns. */

static void due(struct store *s);

void store_write(struct store *s, enum db_statement which, const struct db_value *values, int n)
{
	due(s);
	size_t size = sizeof(struct write);
	for (int i = 0; i < n; i++)
		size += values[i].bytes.len + 1;
	if (!arena_has_room(&s->arena, size)) {
		s->is_overfull = true;
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

static int prune(struct store *s, int64_t *ret_oldest, struct error *err)
{
	if (s->newest + 1 - s->oldest > s->events_max)
		s->prune_to = MAX(s->prune_to, s->newest - s->events_max);
	int64_t step = PRUNE_STEP + 2 * (s->newest - s->committed); /* faster than they come */
	/* The newest one stays, so that no number comes twice after a restart. */
	int64_t to = MIN(MIN(s->prune_to, s->newest - 1), s->oldest + step - 1);
	if (to < s->oldest)
		return 0;
	const struct db_value values[] = { db_int(to) };
	if (db_run(s->db, DB_EVENT_PRUNE, values, 1, err) < 0)
		return -1;
	*ret_oldest = to + 1;
	return 0;
}

static int write_all(struct store *s, struct error *err)
{
	struct write *w;
	list_for_each(w, &s->writes, link)
		if (db_run(s->db, w->which, w->values, w->n, err) < 0)
			return -1;
	return 0;
}

static int transact(struct store *s, struct error *err)
{
	int64_t oldest = s->oldest;
	if (s->is_overfull)
		return error_set(err, ERROR_LIMIT,
			"state database: over %d bytes wait to be written", TURN_MAX);
	if (list_is_empty(&s->writes))
		return 0;
	if (db_run(s->db, DB_BEGIN, NULL, 0, err) < 0)
		return -1;
	if (write_all(s, err) < 0 || prune(s, &oldest, err) < 0 ||
		db_run(s->db, DB_COMMIT, NULL, 0, err) < 0) {
		db_roll_back(s->db);
		return -1;
	}
	s->oldest = oldest;
	return 0;
}

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

static void start_checkpoint(struct store *s);

static void watch_log(struct store *s)
{
	int pages = db_log_pages(s->db);
	if (pages == s->log_pages_seen)
		return; /* nothing was written */
	if (pages < s->log_pages_seen)
		s->log_pages_due = LOG_PAGES_DUE; /* it was started over */
	s->log_pages_seen = pages;
	s->is_held = pages >= LOG_PAGES_HIGH;
	if (s->is_held || pages >= s->log_pages_due)
		start_checkpoint(s);
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
	if (s->is_held)
		return; /* checkpoint_done comes back to it */
	s->is_due = false;
	int64_t before = s->committed;
	struct error err;
	int r = commit(s, &err);
	watch_log(s);
	bool has_news = s->committed > before;
	release(s, r < 0 ? &err : NULL);
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

void store_on_commit(struct store *s, loop_fn *fn, void *arg)
{
	s->on_commit = fn;
	s->on_commit_arg = arg;
}

/* Checkpoints. */

static void measure(struct store *s)
{
	s->size = db_size(s->db);
	int64_t kept = s->newest + 1 - s->oldest;
	if (s->size > s->size_max && kept > 0)
		s->prune_to = MAX(s->prune_to, s->oldest + kept / 20);
}

static void checkpoint_free(struct checkpoint *c)
{
	db_checkpoint_free(c->db);
	free(c);
}

static void checkpoint_work(void *arg)
{
	struct checkpoint *c = arg;
	c->pages_left = db_checkpoint_run(c->db, &c->error);
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
	if (c->pages_left < 0)
		log_warn("store.checkpoint", "%s", c->error.text);
	measure(s);
	if (!s->is_held)
		return;
	if (c->pages_left > 0 && !c->is_last_try) {
		start_checkpoint(s); /* nobody writes now: this one gets to the end */
		c->is_last_try = true;
		return;
	}
	s->is_held = c->is_last_try = false;
	if (s->is_due)
		loop_defer(s->loop, end_turn, s);
}

static void start_checkpoint(struct store *s)
{
	struct checkpoint *c = s->checkpoint;
	if (c->is_running)
		return;
	c->is_running = true;
	s->log_pages_due = s->log_pages_seen + LOG_PAGES_DUE;
	loop_work(s->loop, checkpoint_work, checkpoint_done, c);
}

/* Events. */

int64_t store_event(struct store *s, struct event *event)
{
	event->seq = ++s->newest;
	event->time_ms = clock_wall_ms();
	const struct db_value values[] = {
		db_int(event->seq),
		db_text(event->sandbox),
		db_int(event->index),
		db_int(event->time_ms),
		db_int(event->cause),
		db_text(event->kind),
		db_text(event->data),
	};
	store_write(s, DB_EVENT_ADD, values, ARRAY_LEN(values));
	return event->seq;
}

struct reading {
	event_fn *fn;
	void *arg;
};

static void read_event(void *arg, struct db_row *row)
{
	const struct reading *reading = arg;
	struct event event = {
		.seq = db_row_int(row, 0),
		.sandbox = db_row_bytes(row, 1),
		.index = db_row_int(row, 2),
		.time_ms = db_row_int(row, 3),
		.cause = db_row_int(row, 4),
		.kind = db_row_bytes(row, 5),
		.data = db_row_bytes(row, 6),
	};
	reading->fn(reading->arg, &event);
}

int store_read(struct store *s, const char *id, int64_t after, int limit, event_fn *fn, void *arg,
	struct error *err)
{
	struct reading reading = { fn, arg };
	const struct db_value values[] = {
		db_int(after),
		db_int(s->committed),
		db_int(limit),
		db_text(str_from(id)),
	};
	return db_query(s->db, id ? DB_EVENT_OF_ONE : DB_EVENT_OF_ALL, values, id ? 4 : 3,
		read_event, &reading, err);
}

int64_t store_last_index(struct store *s, const char *id)
{
	const struct db_value values[] = { db_text(str_from(id)) };
	return db_number(s->db, DB_EVENT_LAST_INDEX, values, 1);
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

static int open_in(struct store *s, const char *dir, struct error *err)
{
	auto_free char *path = mem_printf("%s/state.db", dir);
	if (take_lock(s, dir, err) < 0)
		return -1;
	if (db_open(path, &s->db, err) < 0 || db_checkpoint_new(path, &s->checkpoint->db, err) < 0)
		return error_wrap(err, "open %s", path);
	s->newest = s->committed = db_number(s->db, DB_EVENT_LAST, NULL, 0);
	s->oldest = db_number(s->db, DB_EVENT_FIRST, NULL, 0);
	if (!s->oldest)
		s->oldest = s->newest + 1;
	measure(s);
	return 0;
}

int store_open(struct loop *loop, const char *dir, struct store **ret, struct error *err)
{
	struct store *s = mem_new(struct store);
	s->loop = loop;
	s->lock_fd = -1;
	s->log_pages_due = LOG_PAGES_DUE;
	s->arena = ARENA_INIT(TURN_MAX);
	list_init(&s->waits);
	list_init(&s->writes);
	store_set_limits(s, STORE_EVENTS_MAX, STORE_SIZE_MAX);
	s->checkpoint = mem_new(struct checkpoint);
	s->checkpoint->store = s;
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
	if (s->db)
		commit(s, &err);
	arena_fini(&s->arena);
	while (!list_is_empty(&s->waits))
		list_remove(s->waits.next);
	s->checkpoint->store = NULL;
	if (!s->checkpoint->is_running)
		checkpoint_free(s->checkpoint);
	db_close(s->db);
	close_fd(s->lock_fd);
	free(s);
}

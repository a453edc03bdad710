/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/internal.h"
#include "runtime/journal.h"
#include "runtime/shed.h"
#include "runtime/store.h"

#include "unit.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct world {
	char dir[64];
	struct loop *loop;
	struct store *store;
	int told;          /* how often a wait was called */
	struct error said; /* what it was told last; ERROR_OK: success */
	int64_t last;      /* of seen events */
	int n;
	bool is_sorted;
};

/*
 * Of the calls for locks, this one fails, and so many after it; SQLite's calls come here, as it is
 * a shared library.
 */
static int nth_lock = INT_MAX, n_failing, n_locks;

__attribute__((visibility("default"))) int fcntl64(int fd, int command, ...);
int fcntl64(int fd, int command, ...)
{
	va_list ap;
	va_start(ap, command);
	long argument = va_arg(ap, long);
	va_end(ap);
	if (command == F_SETLK && ++n_locks >= nth_lock && n_locks < nth_lock + n_failing) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

static void fail_locks(int nth, int n)
{
	nth_lock = nth;
	n_failing = n;
	n_locks = 0;
}

static void open_store(struct world *w)
{
	struct error err;
	assert_works(loop_new(&w->loop, &err), err);
	assert_works(store_open(w->loop, w->dir, &w->store, &err), err);
}

static void close_store(struct world *w)
{
	store_close(w->store);
	loop_free(w->loop);
}

static int setup(void **state)
{
	struct world *w = mem_new(struct world);
	snprintf(w->dir, sizeof(w->dir), "/tmp/cay-store-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	open_store(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	close_store(w);
	file_remove_tree(AT_FDCWD, w->dir, NULL);
	free(w);
	return 0;
}

static int64_t add(struct world *w, const char *sandbox, int64_t index, const char *data)
{
	struct event event = {
		.sandbox = str_from(sandbox),
		.index = index,
		.kind = STR("state"),
		.data = str_from(data),
	};
	return store_event(w->store, &event);
}

static void on_told(void *arg, const struct error *err)
{
	struct world *w = arg;
	w->told++;
	w->said = err ? *err : (struct error){ 0 };
	loop_stop(w->loop);
}

/* Ends the turn: returns once the transaction is over. */
static void turn(struct world *w)
{
	struct store_wait wait = { .fn = on_told, .arg = w };
	list_init(&wait.link);
	store_after(w->store, &wait);
	loop_run(w->loop);
}

static void on_event(void *arg, const struct event *event)
{
	struct world *w = arg;
	w->is_sorted = w->is_sorted && event->seq > w->last;
	w->last = event->seq;
	w->n++;
}

static int count(struct world *w, const char *id, int64_t after, int limit)
{
	struct error err;
	w->n = 0;
	w->last = after;
	w->is_sorted = true;
	assert_works(store_read(w->store, id, after, limit, on_event, w, &err), err);
	assert_true(w->is_sorted);
	return w->n;
}

static void nobody_sees_an_event_before_its_commit(void **state)
{
	struct world *w = *state;
	assert_int_equal(add(w, "a", 1, "{}"), 1);
	assert_int_equal(count(w, NULL, 0, 10), 0);
	assert_int_equal(store_newest(w->store), 0);
	turn(w);
	assert_int_equal(w->told, 1);
	assert_int_equal(w->said.code, ERROR_OK);
	assert_int_equal(count(w, NULL, 0, 10), 1);
	assert_int_equal(store_newest(w->store), 1);
}

static void events_are_read_per_sandbox_and_after_a_number(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 20; i++)
		add(w, i % 2 ? "odd" : "even", i / 2 + 1, "{}");
	turn(w);
	assert_int_equal(count(w, NULL, 0, 100), 20);
	assert_int_equal(count(w, NULL, 15, 100), 5);
	assert_int_equal(count(w, NULL, 0, 7), 7);
	assert_int_equal(w->last, 7);
	assert_int_equal(count(w, "odd", 0, 100), 10);
	assert_int_equal(count(w, "even", 10, 100), 5);
	assert_int_equal(count(w, "neither", 0, 100), 0);
	assert_int_equal(store_last_index(w->store, "odd"), 10);
	assert_int_equal(store_last_index(w->store, "neither"), 0);
}

static void a_second_server_is_refused(void **state)
{
	struct world *w = *state;
	struct store *other;
	struct error err;
	assert_fails(store_open(w->loop, w->dir, &other, &err), err, CONFLICT,
		"in use by another server");
}

static void numbers_go_on_after_reopening(void **state)
{
	struct world *w = *state;
	add(w, "a", 1, "{}");
	turn(w);
	close_store(w);
	open_store(w);
	assert_int_equal(add(w, "a", 2, "{}"), 2);
	turn(w);
	assert_int_equal(count(w, "a", 0, 10), 2);
}

static void old_events_go_when_there_are_too_many(void **state)
{
	struct world *w = *state;
	store_set_limits(w->store, 100, INT64_MAX);
	for (int i = 1; i <= 500; i++)
		add(w, "a", i, "{}");
	turn(w);
	assert_int_equal(count(w, NULL, 0, 1000), 100);
	assert_int_equal(store_oldest(w->store), 401);
	assert_int_equal(store_newest(w->store), 500);
}

static void add_many(struct world *w, const char *sandbox, int first, int n)
{
	for (int i = first; i < first + n; i++)
		add(w, sandbox, i, "{}");
	turn(w);
}

static void who_has_had_more_than_its_share_sheds_its_own_events(void **state)
{
	struct world *w = *state;
	add_many(w, "quiet", 1, 50);
	add_many(w, "loud", 1, 500);
	assert_true(store_shed(w->store, "loud", 300 * SHED_EVENT_BYTES));
	for (int i = 0; i < 20; i++)
		add_many(w, "other", i + 1, 1);
	assert_int_equal(count(w, "loud", 0, 1000), 200);
	assert_int_equal(count(w, "quiet", 0, 1000), 50);
	assert_int_equal(store_oldest(w->store), 1);
	/* What is kept is counted, not how far its numbers reach. */
	store_set_limits(w->store, 400, INT64_MAX);
	add_many(w, "other", 21, 100);
	assert_int_equal(count(w, "quiet", 0, 1000), 50);
	close_store(w);
	open_store(w);
	store_set_limits(w->store, 400, INT64_MAX);
	add_many(w, "other", 121, 30);
	assert_int_equal(count(w, NULL, 0, 1000), 400);
	assert_int_equal(count(w, "quiet", 0, 1000), 50);
	for (int i = 0; i < 10; i++)
		add_many(w, "other", 151 + 60 * i, 60);
	assert_int_equal(count(w, "quiet", 0, 1000), 0);
	assert_in_range(count(w, NULL, 0, 1000), 400, 500);
}

static void what_is_to_be_shed_ends_with_what_there_is(void **state)
{
	struct world *w = *state;
	add_many(w, "loud", 1, 10);
	assert_true(store_shed(w->store, "loud", INT64_MAX / 2));
	assert_true(store_shed(w->store, "nobody", 1));
	for (int i = 0; i < 5; i++)
		add_many(w, "quiet", i + 1, 1);
	assert_int_equal(count(w, "loud", 0, 1000), 0);
	assert_int_equal(count(w, "quiet", 0, 1000), 5);
	assert_int_equal(store_oldest(w->store), 11);
	for (int i = 0; i < SHED_ORDERS_MAX; i++) {
		auto_free char *id = mem_printf("s%d", i);
		assert_true(store_shed(w->store, id, 1));
	}
	assert_false(store_shed(w->store, "one more", 1));
	assert_true(store_shed(w->store, "s3", 1));
}

static void take(void *arg, struct sandbox *s)
{
	struct sandbox **at = arg;
	*at = s;
}

static void a_record_comes_back_as_it_was(void **state)
{
	struct world *w = *state;
	char *keys[] = { mem_strdup("team"), NULL }, *values[] = { mem_strdup("a \"b\""), NULL };
	char spec[] = "{\"image\":\"host\"}";
	struct sandbox s = {
		.id = "abcdefghijklmnopqrstuvwxyz",
		.backend_id = "bcdefghijklmnopqrstuvwxyza",
		.name = "box",
		.state = SANDBOX_PAUSED,
		.created_ms = 5,
		.timeout_ms = 6,
		.idle_timeout_ms = 7,
		.deadline_ms = 8,
		.spec_json = spec,
		.label_keys = keys,
		.label_values = values,
		.n_labels = 1,
		.enforced = { .controls = 9, .uid = 10 },
		.init_pid = 11,
	};
	store_put(w->store, &s);
	turn(w);
	close_store(w);
	open_store(w);
	struct sandbox *r = NULL;
	struct error err;
	assert_works(store_records(w->store, take, &r, &err), err);
	assert_non_null(r);
	assert_string_equal(r->id, s.id);
	assert_string_equal(r->backend_id, s.backend_id);
	assert_string_equal(r->name, "box");
	assert_int_equal(r->state, SANDBOX_PAUSED);
	assert_int_equal(r->created_ms + r->timeout_ms + r->idle_timeout_ms + r->deadline_ms, 26);
	assert_string_equal(r->spec_json, spec);
	assert_string_equal(r->label_values[0], "a \"b\"");
	assert_memory_equal(&r->enforced, &s.enforced, sizeof(s.enforced));
	assert_int_equal(r->init_pid, 11);
	sandbox_free(r);
	free(keys[0]);
	free(values[0]);

	store_drop(w->store, s.id);
	turn(w);
	r = NULL;
	assert_works(store_records(w->store, take, &r, &err), err);
	assert_null(r);
}

static void on_news(void *arg)
{
	int *n = arg;
	++*n;
}

static void what_cannot_wait_is_committed_at_once_and_announced_once(void **state)
{
	struct world *w = *state;
	int n = 0;
	store_on_commit(w->store, on_news, &n);
	add(w, "a", 1, "{}");
	store_now(w->store, NULL);
	assert_int_equal(store_newest(w->store), 1);
	assert_int_equal(count(w, NULL, 0, 10), 1);
	assert_int_equal(n, 0);
	add(w, "a", 2, "{}");
	turn(w);
	assert_int_equal(count(w, NULL, 0, 10), 2);
	assert_int_equal(w->said.code, ERROR_OK);
	store_now(w->store, NULL);
	turn(w);
	assert_int_equal(n, 1);
}

static void what_could_not_be_written_at_once_is_told_at_the_end_of_the_turn(void **state)
{
	struct world *w = *state;
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit old, none = { 0 };
	getrlimit(RLIMIT_FSIZE, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &none);
	add(w, "a", 1, "{}");
	store_now(w->store, NULL);
	turn(w);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_not_equal(w->said.code, ERROR_OK);
	add(w, "a", 2, "{}");
	store_now(w->store, NULL);
	assert_int_equal(count(w, NULL, 0, 10), 1);
	turn(w);
	assert_int_equal(w->said.code, ERROR_OK);
}

/* The disk is full: nothing is acknowledged, and all is well again once there is room. */
static void what_cannot_be_written_is_not_acknowledged(void **state)
{
	struct world *w = *state;
	add(w, "a", 1, "{}");
	turn(w);
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit old, none = { 0 };
	getrlimit(RLIMIT_FSIZE, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &none);
	add(w, "a", 2, "{}");
	turn(w);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(w->told, 2);
	assert_int_not_equal(w->said.code, ERROR_OK);
	assert_text(w->said.text, "state database");
	assert_int_equal(count(w, NULL, 0, 10), 1);

	add(w, "a", 3, "{}");
	turn(w);
	assert_int_equal(w->said.code, ERROR_OK);
	assert_int_equal(count(w, NULL, 0, 10), 2);
}

/* The copy of a file of the world, put back later. */
static void copy_file(const struct world *w, const char *from, const char *to)
{
	auto_free char *source = mem_printf("%s/%s", w->dir, from);
	auto_free char *target = mem_printf("%s/%s", w->dir, to);
	auto_buf struct buf bytes = BUF_INIT(16 * 1024 * 1024);
	struct error err;
	assert_works(file_read(AT_FDCWD, source, &bytes, &err), err);
	assert_works(file_replace(AT_FDCWD, target, buf_str(&bytes), 0600, &err), err);
}

static void remove_file(struct world *w, const char *name)
{
	auto_free char *path = mem_printf("%s/%s", w->dir, name);
	assert_int_equal(unlink(path), 0);
}

static void events_wait_in_the_journal_and_are_read_from_there(void **state)
{
	struct world *w = *state;
	int64_t before = store_size(w->store);
	for (int i = 1; i <= 2000; i++) {
		add(w, i % 2 ? "odd" : "even", (i + 1) / 2, "{}");
		if (i % 3 == 0)
			turn(w);
	}
	turn(w);
	assert_int_equal(w->said.code, ERROR_OK);
	assert_int_equal(count(w, NULL, 0, 5000), 2000);
	assert_int_equal(count(w, "odd", 0, 5000), 1000);
	assert_int_equal(count(w, "even", 1990, 5000), 5);
	assert_int_equal(count(w, NULL, 1, 1500), 1500);
	assert_int_equal(w->last, 1501);
	assert_int_equal(store_last_index(w->store, "even"), 1000);
	assert_int_equal(store_oldest(w->store), 1);
	assert_true(store_size(w->store) >= before);
}

/*
 * As after a kill between a transaction and the journal's next entry: all of it is in the database
 * already.
 */
static void a_journal_that_the_database_has_already_is_passed_over(void **state)
{
	struct world *w = *state;
	for (int i = 1; i <= 5; i++) {
		add(w, "a", i, "{}");
		turn(w);
	}
	copy_file(w, "state.journal", "kept");
	close_store(w);
	copy_file(w, "kept", "state.journal");
	open_store(w);
	assert_int_equal(count(w, "a", 0, 100), 5);
	assert_int_equal(add(w, "a", 6, "{}"), 6);
	turn(w);
	assert_int_equal(count(w, "a", 0, 100), 6);
}

/*
 * As after damage to the database alone: what the journal has is all there is, under the numbers
 * that it had.
 */
static void a_journal_without_its_database_is_kept(void **state)
{
	struct world *w = *state;
	for (int i = 1; i <= JOURNAL_EVENTS_MAX + 5; i++) {
		add(w, "a", i, "{}");
		turn(w);
	}
	copy_file(w, "state.journal", "kept");
	close_store(w);
	remove_file(w, "state.db");
	copy_file(w, "kept", "state.journal");
	open_store(w);
	int left = count(w, "a", 0, 1000);
	assert_in_range(left, 1, JOURNAL_EVENTS_MAX);
	assert_int_equal(w->last, JOURNAL_EVENTS_MAX + 5);
	assert_int_equal(store_oldest(w->store), JOURNAL_EVENTS_MAX + 6 - left);
	assert_int_equal(add(w, "a", 1000, "{}"), JOURNAL_EVENTS_MAX + 6);
	turn(w);
	close_store(w);
	open_store(w);
	assert_int_equal(count(w, "a", 0, 1000), left + 1);
}

static void nothing_is_acknowledged_once_the_database_is_gone(void **state)
{
	struct world *w = *state;
	add(w, "a", 1, "{}");
	turn(w);
	assert_int_equal(w->said.code, ERROR_OK);
	remove_file(w, "state.db");
	add(w, "a", 2, "{}");
	turn(w);
	assert_int_equal(w->said.code, ERROR_UNAVAILABLE);
	assert_non_null(strstr(w->said.text, "was removed, or replaced, under the server"));
	copy_file(w, "state.journal", "state.db");
	add(w, "a", 2, "{}");
	turn(w);
	assert_int_equal(w->said.code, ERROR_UNAVAILABLE);
	assert_int_equal(count(w, "a", 0, 100), 1);
}

/* As after a power failure: what is behind the damage is lost, what is before it is not. */
static void a_torn_entry_ends_the_journal(void **state)
{
	struct world *w = *state;
	add(w, "a", 1, "{}");
	turn(w);
	auto_free char *path = mem_printf("%s/state.journal", w->dir);
	auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t whole = lseek(fd, 0, SEEK_END);
	fd = close_fd(fd);
	add(w, "a", 2, "{}");
	turn(w);
	copy_file(w, "state.journal", "kept");
	copy_file(w, "state.db", "kept.db");
	copy_file(w, "state.db-wal", "kept.db-wal");
	close_store(w);
	copy_file(w, "kept", "state.journal");
	copy_file(w, "kept.db", "state.db");
	copy_file(w, "kept.db-wal", "state.db-wal");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, whole + 70), 1);
	open_store(w);
	assert_int_equal(count(w, "a", 0, 100), 1);
	assert_int_equal(store_newest(w->store), 1);
}

/*
 * What was acknowledged is read although it cannot be put into the database, and is there when it
 * can again.
 */
static void a_full_disk_takes_nothing_of_the_journal(void **state)
{
	struct world *w = *state;
	for (int i = 1; i <= 20; i++) {
		add(w, "a", i, "{}");
		turn(w);
	}
	struct sandbox s = { .id = "abcdefghijklmnopqrstuvwxyz", .spec_json = mem_strdup("{}") };
	struct rlimit old, none = { 0 };
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &none);
	store_put(w->store, &s);
	turn(w);
	assert_int_not_equal(w->said.code, ERROR_OK);
	add(w, "a", 21, "{}");
	turn(w);
	assert_int_not_equal(w->said.code, ERROR_OK);
	assert_int_equal(count(w, "a", 0, 100), 20);
	setrlimit(RLIMIT_FSIZE, &old);
	add(w, "a", 21, "{}");
	turn(w);
	assert_int_equal(w->said.code, ERROR_OK);
	assert_int_equal(count(w, "a", 0, 100), 21);
	free(s.spec_json);
}

/* Writes events as fast as it can and says on the pipe which of them are stored; never returns. */
struct writer {
	struct world world;
	int pipe_fd;
	struct store_wait wait;
	int64_t seq;
};

static void write_next(struct writer *writer)
{
	for (int i = 0; i < 3; i++)
		writer->seq = add(&writer->world, "a", 1, "{\"some\":\"data of an event\"}");
	store_after(writer->world.store, &writer->wait);
}

static void on_written(void *arg, const struct error *err)
{
	struct writer *writer = arg;
	if (err || write(writer->pipe_fd, &writer->seq, sizeof(writer->seq)) != sizeof(writer->seq))
		_exit(1);
	write_next(writer);
}

static _Noreturn void write_forever(struct world *w, int pipe_fd)
{
	struct writer writer = { .world = *w, .pipe_fd = pipe_fd };
	writer.wait.fn = on_written;
	writer.wait.arg = &writer;
	list_init(&writer.wait.link);
	open_store(&writer.world);
	write_next(&writer);
	loop_run(writer.world.loop);
	_exit(2);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
	struct world *w = *state;
	for (int round = 0; round < 8; round++) {
		close_store(w);
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		pid_t child = fork();
		if (child == 0)
			write_forever(w, ends[1]);
		close(ends[1]);
		int64_t seq = 0, last = 0;
		for (int i = 0; i < 200 + round * 37; i++)
			assert_int_equal(read(ends[0], &last, sizeof(last)), sizeof(last));
		kill(child, SIGKILL);
		while (read(ends[0], &seq, sizeof(seq)) == sizeof(seq))
			last = seq;
		close(ends[0]);
		int status;
		waitpid(child, &status, 0);
		assert_true(WIFSIGNALED(status));
		open_store(w);
		assert_true(store_newest(w->store) >= last);
		assert_int_equal(count(w, "a", 0, 1000000), store_newest(w->store));
	}
}

/*
 * Each call for a lock of a turn in its turn, or several on end, taken or let go: the turn may
 * fail, and says so then. The next one does not, what was acknowledged is there, and nothing is
 * there twice.
 */
static void locks_that_fail_are_mended_by_the_next_turn(void **state)
{
	static const int lengths[] = { 1, 2, 5, 40 };
	struct world *w = *state;
	int64_t acknowledged = 0, n_failed = 0;
	for (int i = 0; i < 120; i++) {
		fail_locks(1 + i % 30, lengths[i / 30]);
		for (int j = 0; j < 2; j++) { /* the second one may find what the first has left */
			store_drop(w->store, "nobody"); /* not for the journal */
			add(w, "a", i + 1, "{}");
			turn(w);
			acknowledged += w->said.code == ERROR_OK;
			n_failed += w->said.code != ERROR_OK;
		}
		int n_made = n_locks;
		fail_locks(INT_MAX, 0);
		store_drop(w->store, "nobody");
		add(w, "a", i + 1, "{}");
		turn(w);
		assert_int_equal(w->said.code, ERROR_OK);
		acknowledged++;
		assert_true(count(w, "a", 0, 1000) >= acknowledged);
		assert_true(n_made > 0);
	}
	assert_true(n_failed > 0);
	assert_true(count(w, "a", 0, 1000) <= acknowledged + n_failed);
	close_store(w);
	open_store(w);
	assert_true(count(w, "a", 0, 1000) >= acknowledged);
}

/*
 * More than the log may hold before a checkpoint: the checkpoints keep up, and closing waits for
 * none.
 */
static void checkpoints_keep_the_log_small(void **state)
{
	struct world *w = *state;
	auto_free char *data = mem_zalloc(8001);
	memset(data, 'x', 8000);
	/* The size is looked at after a checkpoint, whose thread may wait for a processor. */
	for (int i = 0; i < 4000 || (i < 40000 && store_size(w->store) < 8 << 20); i++) {
		add(w, "a", i + 1, data);
		turn(w);
	}
	auto_free char *path = mem_printf("%s/state.db-wal", w->dir);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(lseek(fd, 0, SEEK_END) < 72 * 1024 * 1024);
	assert_true(store_size(w->store) >= 8 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_sees_an_event_before_its_commit, setup,
			teardown),
		cmocka_unit_test_setup_teardown(events_are_read_per_sandbox_and_after_a_number,
			setup, teardown),
		cmocka_unit_test_setup_teardown(a_second_server_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_go_on_after_reopening, setup, teardown),
		cmocka_unit_test_setup_teardown(old_events_go_when_there_are_too_many, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			who_has_had_more_than_its_share_sheds_its_own_events, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_to_be_shed_ends_with_what_there_is, setup,
			teardown),
		cmocka_unit_test_setup_teardown(a_record_comes_back_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_cannot_wait_is_committed_at_once_and_announced_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_could_not_be_written_at_once_is_told_at_the_end_of_the_turn, setup,
			teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_written_is_not_acknowledged, setup,
			teardown),
		cmocka_unit_test_setup_teardown(events_wait_in_the_journal_and_are_read_from_there,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_journal_that_the_database_has_already_is_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(a_journal_without_its_database_is_kept, setup,
			teardown),
		cmocka_unit_test_setup_teardown(nothing_is_acknowledged_once_the_database_is_gone,
			setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_entry_ends_the_journal, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_takes_nothing_of_the_journal, setup,
			teardown),
		cmocka_unit_test_setup_teardown(what_was_acknowledged_survives_kill_9, setup,
			teardown),
		cmocka_unit_test_setup_teardown(locks_that_fail_are_mended_by_the_next_turn, setup,
			teardown),
		cmocka_unit_test_setup_teardown(checkpoints_keep_the_log_small, setup, teardown),
	};
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

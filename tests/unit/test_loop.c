/* SPDX-License-Identifier: Apache-2.0 */
/* The loop and the channel on top of it, with real sockets. */
#include "unit.h"

#include "action/channel.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/poller.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

static struct error err;
static struct loop *loop;
static char trace[64];

/* As if somebody had used up what epoll gives a user. */
static bool is_epoll_full;
static int n_refused;

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	int r = (int)syscall(SYS_epoll_ctl, epoll_fd, op, fd, event);
	if (r < 0 || op != EPOLL_CTL_ADD || !is_epoll_full)
		return r;
	n_refused++;
	syscall(SYS_epoll_ctl, epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	errno = ENOSPC;
	return -1;
}

static int n_looks;

int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms)
{
	n_looks++;
	return (int)syscall(SYS_epoll_wait, epoll_fd, events, max, timeout_ms);
}

static int make_loop(void **state)
{
	trace[0] = '\0';
	is_epoll_full = false;
	return loop_new(&loop, &err);
}

/* Epoll takes nothing. */
static int make_crowded_loop(void **state)
{
	trace[0] = '\0';
	is_epoll_full = true;
	return loop_new(&loop, &err);
}

static int free_loop(void **state)
{
	loop_free(loop);
	return 0;
}

static void note(char c)
{
	size_t n = strlen(trace);
	if (n < sizeof(trace) - 1) {
		trace[n] = c;
		trace[n + 1] = '\0';
	}
}

static void note_b(void *arg)
{
	note('b');
}

static void note_c(void *arg)
{
	note('c');
}

static void note_a_and_defer_c(void *arg)
{
	note('a');
	loop_defer(loop, note_c, arg);
}

static void deferred_calls_come_in_order_and_new_ones_a_turn_later(void **state)
{
	loop_defer(loop, note_a_and_defer_c, state);
	loop_defer(loop, note_b, state);
	loop_run(loop);
	assert_string_equal(trace, "abc");
}

static void undefer_b(void *arg)
{
	note('u');
	loop_undefer(loop, trace);
}

static void a_deferred_call_can_be_taken_back_within_the_turn(void **state)
{
	loop_defer(loop, undefer_b, state);
	loop_defer(loop, note_b, trace);
	loop_defer(loop, note_c, state);
	loop_run(loop);
	assert_string_equal(trace, "uc");
}

static struct timer *timer;

static void on_timer(void *arg)
{
	note('t');
	timer_free(timer);
}

static void a_timer_fires_once_and_not_before_its_time(void **state)
{
	int64_t begin = clock_mono_ms();
	timer = timer_new(loop, on_timer, NULL);
	timer_set(timer, 1000);
	timer_set(timer, 20);
	loop_run(loop);
	int64_t took = clock_mono_ms() - begin;
	assert_string_equal(trace, "t");
	assert_true(took >= 20 && took < 900);
}

static int worked;

static void work(void *arg)
{
	worked++;
}

static void work_runs_elsewhere_and_ends_on_the_loop(void **state)
{
	worked = 0;
	loop_work(loop, work, note_b, NULL);
	loop_run(loop);
	assert_int_equal(worked, 1);
	assert_string_equal(trace, "b");
}

/* As if the system had no more threads. */
static bool is_without_threads;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return is_without_threads ? EAGAIN : real(thread, attr, run, arg);
}

static void work_without_threads_is_done_all_the_same(void **state)
{
	worked = 0;
	is_without_threads = true;
	loop_work(loop, work, note_b, NULL);
	loop_work(loop, work, note_c, NULL);
	loop_run(loop);
	is_without_threads = false;
	assert_int_equal(worked, 2);
	assert_string_equal(trace, "bc");
}

static int meeting[2];

static void come_first(void *arg)
{
	char byte;
	if (read(meeting[0], &byte, 1) == 1)
		note(byte);
}

static void come_last(void *arg)
{
	assert_int_equal(write(meeting[1], "m", 1), 1);
}

static void nothing(void *arg)
{
}

static void works_do_not_wait_for_each_other(void **state)
{
	assert_int_equal(pipe(meeting), 0);
	loop_work(loop, come_first, nothing, NULL);
	loop_work(loop, come_last, nothing, NULL);
	loop_run(loop);
	assert_string_equal(trace, "m");
	close(meeting[0]);
	close(meeting[1]);
}

static void a_loop_that_goes_away_ends_its_work_before(void **state)
{
	worked = 0;
	loop_work(loop, work, note_b, NULL);
	loop_free(loop);
	assert_int_equal(worked, 1);
	assert_string_equal(trace, "b");
	assert_int_equal(loop_new(&loop, &err), 0);
}

/* ---- timers ---- */

enum { N_TIMERS = 200 };

struct alarm {
	struct timer *timer;
	int64_t due_ms;
	bool is_set, has_rung;
};

static struct alarm alarms[N_TIMERS];
static int64_t last_due_ms;

static void ring(void *arg)
{
	struct alarm *a = arg;
	assert_true(a->is_set && !a->has_rung);
	assert_true(a->due_ms >= last_due_ms);
	last_due_ms = a->due_ms;
	a->has_rung = true;
}

/* False where that took so long that a later one may be due before an earlier one. */
static bool set_alarms(unsigned seed)
{
	for (int i = 0; i < N_TIMERS; i++) {
		timer_clear(alarms[i].timer);
		alarms[i].is_set = false;
	}
	int64_t began = clock_mono_ms();
	for (int i = 0; i < N_TIMERS; i++) {
		seed = seed * 1103515245 + 12345;
		struct alarm *a = &alarms[seed / 65536 % N_TIMERS];
		a->is_set = seed >> 28 != 0;
		a->due_ms = 2 * (seed >> 16 & 15);
		if (a->is_set)
			timer_set(a->timer, a->due_ms);
		else
			timer_clear(a->timer);
	}
	return clock_mono_ms() - began <= 1;
}

static void timers_come_in_the_order_of_their_times_however_they_were_set(void **state)
{
	for (int i = 0; i < N_TIMERS; i++)
		alarms[i] = (struct alarm){ .timer = timer_new(loop, ring, &alarms[i]) };
	for (int tries = 0; !set_alarms((unsigned)tries); tries++)
		assert_true(tries < 1000);
	last_due_ms = 0;
	loop_run(loop);
	for (int i = 0; i < N_TIMERS; i++) {
		assert_int_equal(alarms[i].has_rung, alarms[i].is_set);
		timer_free(alarms[i].timer);
	}
}

struct ringer {
	struct timer *timer;
	int rings;
};

static void ring_again(void *arg)
{
	struct ringer *w = arg;
	if (++w->rings < 1000)
		timer_set(w->timer, 0);
}

static void a_timer_that_sets_itself_starves_nobody(void **state)
{
	struct ringer w = { 0 };
	w.timer = timer_new(loop, ring_again, &w);
	timer_set(w.timer, 0);
	loop_turn(loop, false);
	loop_turn(loop, false);
	assert_int_equal(w.rings, 2);
	timer_free(w.timer);
}

static struct timer *three[3];

static void free_all_three(void *arg)
{
	note('t');
	for (int i = 0; i < 3; i++)
		timer_free(take_ptr(three[i]));
}

static void a_timer_may_free_those_that_are_due_with_it(void **state)
{
	for (int i = 0; i < 3; i++) {
		three[i] = timer_new(loop, free_all_three, NULL);
		timer_set(three[i], 0);
	}
	loop_run(loop);
	assert_string_equal(trace, "t");
}

struct end {
	struct channel *channel;
	size_t bytes;
	int frames;
	bool is_ended, is_drained;
	enum error_code reason;
	int pause_after; /* 0: never */
	bool frees_itself, closes_when_drained;
};

static void on_frame(void *arg, const struct frame *frame)
{
	struct end *e = arg;
	e->frames++;
	e->bytes += frame->payload.len;
	if (e->pause_after && e->frames == e->pause_after) {
		channel_pause(e->channel, true);
		loop_stop(loop);
	}
	if (e->frees_itself) {
		channel_free(e->channel);
		e->channel = NULL;
	}
}

static void on_end(void *arg, const struct error *reason)
{
	struct end *e = arg;
	e->is_ended = true;
	e->reason = reason ? reason->code : ERROR_OK;
	channel_free(e->channel);
	e->channel = NULL;
}

static void on_drain(void *arg)
{
	struct end *e = arg;
	e->is_drained = true;
	if (e->closes_when_drained)
		channel_close(take_ptr(e->channel));
}

static const struct channel_ops ops = { on_frame, on_end, on_drain };

static void connect_ends(struct end *a, struct end *b)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	a->channel = channel_new(loop, pair[0], &ops, a);
	b->channel = channel_new(loop, pair[1], &ops, b);
}

static void frames_arrive_and_the_end_after_them(void **state)
{
	struct end a = { 0 }, b = { 0 };
	connect_ends(&a, &b);
	channel_send(a.channel, FRAME_REQUEST, 0, STR("{}"));
	channel_send(a.channel, FRAME_DATA, 1, STR("abc"));
	channel_close(take_ptr(a.channel));
	loop_run(loop);
	assert_int_equal(b.frames, 2);
	assert_int_equal(b.bytes, 5);
	assert_true(b.is_ended);
	assert_int_equal(b.reason, ERROR_OK);
}

static void a_channel_that_closes_sends_all_it_holds(void **state)
{
	struct end a = { 0 }, b = { 0 };
	connect_ends(&a, &b);
	size_t size = 4 << 20;
	char *much = mem_zalloc(size);
	channel_send(a.channel, FRAME_RESULT, 0, str_from_len(much, size));
	free(much);
	assert_true(channel_is_full(a.channel));
	channel_close(take_ptr(a.channel));
	loop_run(loop);
	assert_int_equal(b.frames, 1);
	assert_int_equal(b.bytes, size);
	assert_true(b.is_ended);
}

static void a_paused_reader_fills_the_sender_and_drains_it_later(void **state)
{
	struct end a = { 0 }, b = { .pause_after = 1 };
	static char piece[FRAME_DATA_MAX];
	connect_ends(&a, &b);
	size_t sent = 0;
	channel_send(a.channel, FRAME_DATA, 0, str_from_len(piece, sizeof(piece)));
	sent += sizeof(piece);
	loop_run(loop); /* stops when b pauses */
	while (!channel_is_full(a.channel)) {
		channel_send(a.channel, FRAME_DATA, 0, str_from_len(piece, sizeof(piece)));
		sent += sizeof(piece);
	}
	assert_false(a.is_drained);
	b.pause_after = 0;
	channel_pause(b.channel, false);
	a.closes_when_drained = true;
	loop_run(loop);
	assert_true(a.is_drained);
	assert_int_equal(b.bytes, sent);
	assert_true(b.is_ended);
}

static void garbage_ends_the_channel_with_a_reason(void **state)
{
	struct end b = { 0 };
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	b.channel = channel_new(loop, pair[1], &ops, &b);
	assert_int_equal(send(pair[0], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	loop_run(loop);
	close(pair[0]);
	assert_true(b.is_ended);
	assert_int_equal(b.reason, ERROR_PROTOCOL);
}

static void a_channel_may_be_freed_in_its_own_callback(void **state)
{
	struct end a = { 0 }, b = { .frees_itself = true };
	connect_ends(&a, &b);
	channel_send(a.channel, FRAME_REQUEST, 0, STR("1"));
	channel_send(a.channel, FRAME_REQUEST, 0, STR("2"));
	loop_run(loop);
	assert_int_equal(b.frames, 1);
	assert_false(b.is_ended);
	assert_true(a.is_ended);
}

static void a_peer_that_never_reads_is_cut_off(void **state)
{
	struct end a = { 0 };
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	a.channel = channel_new(loop, pair[0], &ops, &a);
	static char piece[FRAME_DATA_MAX];
	for (size_t sent = 0; sent < 2 * (size_t)CHANNEL_QUEUE_MAX; sent += sizeof(piece))
		channel_send(a.channel, FRAME_DATA, 0, str_from_len(piece, sizeof(piece)));
	loop_run(loop);
	close(pair[1]);
	assert_true(a.is_ended);
	assert_int_equal(a.reason, ERROR_LIMIT);
}

/* ---- watches ---- */

struct watched {
	struct watch *watch;
	int fd;
	int calls;
};

static void free_in_callback(void *arg, int events)
{
	struct watched *w = arg;
	w->calls++;
	watch_free(take_ptr(w->watch));
}

static void a_watch_may_be_freed_in_its_own_callback(void **state)
{
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	struct watched w = { .fd = pair[0] };
	w.watch = watch_new(loop, pair[0], LOOP_READ, free_in_callback, &w);
	assert_int_equal(write(pair[1], "x", 1), 1);
	loop_run(loop); /* ends: nothing is watched any more */
	assert_int_equal(w.calls, 1);
	close(pair[0]);
	close(pair[1]);
}

static void a_turn_looks_once_for_what_is_there(void **state)
{
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	struct watched w = { .fd = pair[0] };
	w.watch = watch_new(loop, pair[0], LOOP_READ, free_in_callback, &w);
	n_looks = 0;
	loop_turn(loop, true);
	assert_int_equal(w.calls, 1);
	assert_int_equal(n_looks, 1);
	loop_turn(loop, false);
	assert_int_equal(n_looks, 2);
	close(pair[0]);
	close(pair[1]);
}

static struct watched both[2];

static void free_the_other(void *arg, int events)
{
	struct watched *w = arg, *other = w == &both[0] ? &both[1] : &both[0];
	w->calls++;
	watch_free(take_ptr(other->watch));
	watch_free(take_ptr(w->watch));
}

static void a_watch_freed_by_another_of_the_same_turn_is_not_called(void **state)
{
	int pairs[2][2];
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(pairs[i]), 0);
		assert_int_equal(write(pairs[i][1], "x", 1), 1);
		both[i] = (struct watched){ .fd = pairs[i][0] };
		both[i].watch = watch_new(loop, pairs[i][0], LOOP_READ, free_the_other, &both[i]);
	}
	loop_run(loop);
	assert_int_equal(both[0].calls + both[1].calls, 1);
	for (int i = 0; i < 2; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
}

static void see_hangup(void *arg, int events)
{
	struct watched *w = arg;
	char byte;
	w->calls++;
	assert_true(events & LOOP_READ);
	assert_int_equal(read(w->fd, &byte, 1), 0);
	watch_free(take_ptr(w->watch));
}

static void a_hang_up_is_reported_to_who_reads(void **state)
{
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	struct watched w = { .fd = pair[0] };
	w.watch = watch_new(loop, pair[0], LOOP_READ, see_hangup, &w);
	close(pair[1]);
	loop_run(loop);
	assert_int_equal(w.calls, 1);
	close(pair[0]);
}

static void see_broken_pipe(void *arg, int events)
{
	struct watched *w = arg;
	assert_true(events & LOOP_WRITE);
	if (++w->calls == 1)
		watch_set(w->watch, LOOP_WRITE); /* asks again: is told again */
	else
		watch_free(take_ptr(w->watch));
}

static void an_error_is_reported_as_often_as_it_is_asked_for(void **state)
{
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	struct watched w = { .fd = pair[1] };
	w.watch = watch_new(loop, pair[1], 0, see_broken_pipe, &w);
	close(pair[0]);
	watch_set(w.watch, LOOP_WRITE);
	loop_run(loop);
	assert_int_equal(w.calls, 2);
	close(pair[1]);
}

static void count_and_sleep(void *arg, int events)
{
	struct watched *w = arg;
	w->calls++;
	watch_set(w->watch, 0);
}

static void a_watch_for_nothing_keeps_quiet(void **state)
{
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	struct watched w = { .fd = pair[0] };
	w.watch = watch_new(loop, pair[0], LOOP_READ, count_and_sleep, &w);
	loop_run(loop); /* ends: it watches nothing */
	assert_int_equal(w.calls, 1);
	watch_set(w.watch, LOOP_READ);
	loop_run(loop);
	assert_int_equal(w.calls, 2);
	watch_free(w.watch);
	close(pair[0]);
	close(pair[1]);
}

/* ---- where epoll refuses ---- */

static void read_and_note(void *arg, int events)
{
	struct watched *w = arg;
	char byte;
	assert_int_equal(read(w->fd, &byte, 1), 1);
	note(byte);
	if (++w->calls == 3)
		watch_set(w->watch, 0);
	if (byte == 'e')
		is_epoll_full = false;
}

static void what_was_refused_is_given_to_epoll_when_there_is_room(void **state)
{
	int pairs[2][2];
	struct watched w[2] = { 0 };
	is_epoll_full = true;
	n_refused = 0;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(pairs[i]), 0);
		w[i].fd = pairs[i][0];
		w[i].watch = watch_new(loop, w[i].fd, LOOP_READ, read_and_note, &w[i]);
	}
	assert_int_equal(n_refused, 2);
	assert_int_equal(write(pairs[0][1], "abe", 3), 3);
	while (w[0].calls < 3)
		loop_turn(loop, true);
	assert_int_equal(write(pairs[1][1], "xyz", 3), 3);
	loop_turn(loop, true); /* by poll for the last time */
	int n_before = n_refused;
	loop_run(loop); /* by epoll: ends when neither asks for anything */
	assert_int_equal(n_refused, n_before);
	assert_int_equal(w[1].calls, 3);
	for (int i = 0; i < 2; i++) {
		watch_free(w[i].watch);
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
}

static struct timer *endless;
static int endless_calls;

static void defer_forever(void *arg)
{
	if (endless)
		loop_defer(loop, defer_forever, arg);
	endless_calls++;
}

static void end_endless(void *arg)
{
	timer_free(take_ptr(endless));
}

static void who_defers_forever_starves_nobody(void **state)
{
	endless_calls = 0;
	endless = timer_new(loop, end_endless, NULL);
	timer_set(endless, 5);
	loop_defer(loop, defer_forever, NULL);
	loop_run(loop);
	assert_null(endless);
	assert_true(endless_calls > 1);
}

static void the_last_words_of_a_peer_that_takes_nothing_are_heard(void **state)
{
	struct end a = { 0 };
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	a.channel = channel_new(loop, pair[0], &ops, &a);
	static char piece[FRAME_DATA_MAX];
	while (!channel_is_full(a.channel))
		channel_send(a.channel, FRAME_DATA, 0, str_from_len(piece, sizeof(piece)));
	auto_buf struct buf words = BUF_INIT(100);
	frame_put(&words, FRAME_ERROR, 0, STR("{}"));
	assert_int_equal(send(pair[1], words.ptr, words.len, 0), words.len);
	close(pair[1]);
	loop_run(loop);
	assert_int_equal(a.frames, 1);
	assert_true(a.is_ended);
}

static void note_and_stop(void *arg)
{
	note('s');
	loop_stop(loop);
}

static void timers_come_while_epoll_refuses(void **state)
{
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	struct watched w = { .fd = pair[0] };
	w.watch = watch_new(loop, pair[0], LOOP_READ, read_and_note, &w);
	timer = timer_new(loop, note_and_stop, NULL);
	timer_set(timer, 20);
	loop_run(loop);
	assert_string_equal(trace, "s");
	timer_free(timer);
	watch_free(w.watch);
	close(pair[0]);
	close(pair[1]);
}

static void a_signal_is_heard(void **state)
{
	struct signal_watch *usr1 = signal_new(loop, SIGUSR1, note_and_stop, NULL);
	timer = timer_new(loop, note_b, NULL);
	timer_set(timer, 60 * 1000);
	raise(SIGUSR1);
	loop_run(loop);
	assert_string_equal(trace, "s");
	timer_free(timer);
	signal_free(usr1);
}

static struct signal_watch *hearers[2];

static void hear(void *arg)
{
	note('h');
	for (int i = 0; i < 2; i++)
		if (&hearers[i] == arg)
			signal_free(take_ptr(hearers[i]));
	if (!hearers[0] && !hearers[1])
		loop_stop(loop);
}

static void all_who_asked_hear_a_signal_and_may_go_then(void **state)
{
	for (int i = 0; i < 2; i++)
		hearers[i] = signal_new(loop, SIGUSR1, hear, &hearers[i]);
	timer = timer_new(loop, note_b, NULL);
	timer_set(timer, 60 * 1000);
	raise(SIGUSR1);
	loop_run(loop);
	assert_string_equal(trace, "hh");
	timer_free(timer);
}

enum { MANY = 3 * POLLER_BATCH };

static void count(void *arg, int events)
{
	((struct watched *)arg)->calls++;
}

static void many_that_epoll_refused_all_have_their_turn(void **state)
{
	static struct watched many[MANY];
	int pair[2];
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	for (int i = 0; i < MANY; i++) {
		many[i].fd = dup(pair[0]);
		many[i].watch = watch_new(loop, many[i].fd, LOOP_READ, count, &many[i]);
	}
	for (int turns = 0; turns < 2 * MANY / POLLER_BATCH; turns++)
		loop_turn(loop, true);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(many[i].calls, 1);
		watch_free(many[i].watch);
		close(many[i].fd);
	}
	close(pair[0]);
	close(pair[1]);
}

struct taking {
	struct acceptor *acceptor;
	int n;
};

static void take_connection(void *arg, int fd)
{
	struct taking *t = arg;
	t->n++;
	close(fd);
}

static int connect_to(const struct sockaddr_un *at, socklen_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)at, size), 0);
	return fd;
}

static void run_for(int ms)
{
	struct timer *end = timer_new(loop, (loop_fn *)loop_stop, loop);
	timer_set(end, ms);
	loop_run(loop);
	timer_free(end);
}

/* A connection that cannot be taken stays where it is, and wakes nobody a million times. */
static void who_cannot_take_a_connection_rests_and_tries_again(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(at);
	struct rlimit all, none;
	struct taking t = { 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	assert_int_equal(listen(fd, 8), 0);
	t.acceptor = acceptor_new(loop, fd, take_connection, &t);
	int first = connect_to(&at, size);
	run_for(20);
	assert_int_equal(t.n, 1);
	int second = connect_to(&at, size);
	getrlimit(RLIMIT_NOFILE, &all);
	none = (struct rlimit){ 0, all.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	n_looks = 0;
	run_for(250);
	int n_looks_in_vain = n_looks;
	setrlimit(RLIMIT_NOFILE, &all);
	assert_int_equal(t.n, 1);
	assert_in_range(n_looks_in_vain, 1, 50);
	run_for(250);
	assert_int_equal(t.n, 2);
	acceptor_pause(t.acceptor, true);
	int third = connect_to(&at, size);
	run_for(20);
	assert_int_equal(t.n, 2);
	acceptor_pause(t.acceptor, false);
	run_for(20);
	assert_int_equal(t.n, 3);
	acceptor_free(t.acceptor);
	close(first);
	close(second);
	close(third);
	close(fd);
}

#define loop_test(name)    cmocka_unit_test_setup_teardown(name, make_loop, free_loop)
#define crowded_test(name) cmocka_unit_test_setup_teardown(name, make_crowded_loop, free_loop)
#define both_tests(name)   loop_test(name), crowded_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		loop_test(what_was_refused_is_given_to_epoll_when_there_is_room),
		both_tests(timers_come_while_epoll_refuses),
		loop_test(a_turn_looks_once_for_what_is_there),
		both_tests(a_watch_may_be_freed_in_its_own_callback),
		both_tests(a_watch_freed_by_another_of_the_same_turn_is_not_called),
		both_tests(a_hang_up_is_reported_to_who_reads),
		both_tests(an_error_is_reported_as_often_as_it_is_asked_for),
		both_tests(a_watch_for_nothing_keeps_quiet),
		both_tests(who_defers_forever_starves_nobody),
		both_tests(deferred_calls_come_in_order_and_new_ones_a_turn_later),
		both_tests(a_deferred_call_can_be_taken_back_within_the_turn),
		both_tests(a_timer_fires_once_and_not_before_its_time),
		loop_test(timers_come_in_the_order_of_their_times_however_they_were_set),
		loop_test(a_timer_that_sets_itself_starves_nobody),
		loop_test(a_timer_may_free_those_that_are_due_with_it),
		both_tests(a_signal_is_heard),
		both_tests(all_who_asked_hear_a_signal_and_may_go_then),
		both_tests(work_runs_elsewhere_and_ends_on_the_loop),
		both_tests(works_do_not_wait_for_each_other),
		loop_test(work_without_threads_is_done_all_the_same),
		loop_test(a_loop_that_goes_away_ends_its_work_before),
		crowded_test(many_that_epoll_refused_all_have_their_turn),
		loop_test(who_cannot_take_a_connection_rests_and_tries_again),
		both_tests(frames_arrive_and_the_end_after_them),
		both_tests(a_channel_that_closes_sends_all_it_holds),
		both_tests(a_paused_reader_fills_the_sender_and_drains_it_later),
		both_tests(garbage_ends_the_channel_with_a_reason),
		both_tests(a_channel_may_be_freed_in_its_own_callback),
		both_tests(a_peer_that_never_reads_is_cut_off),
		both_tests(the_last_words_of_a_peer_that_takes_nothing_are_heard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libuv has timers, signals, workers and the wait; descriptors are in an epoll instance of our own (watches.h), because
 * libuv aborts where epoll refuses one. libuv watches that instance, for as long as anything is in it. While some are
 * refused, poll(2) waits for those and for libuv together, and libuv itself does not wait.
 */
#include "event/loop.h"

#include "base/bug.h"
#include "base/list.h"
#include "event/watches.h"

#include <errno.h>
#include <sys/epoll.h>
#include <uv.h>

enum { CROWDED_MS = 10 };

struct deferred {
	struct list link; /* loop::deferred or loop::running */
	loop_fn *fn;
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_check_t check; /* runs the deferred calls after the poll phase */
	uv_idle_t idle;   /* active while something is deferred, so that the poll does not wait */
	struct list deferred; /* for the next turn */
	struct list running;  /* those of this turn that are still to come */
	struct watches watches;
	uv_poll_t poll; /* of the watches' epoll instance */
	bool is_stopped;
	bool is_in_uv; /* libuv waits, or may */
	char *scratch;
	bool has_lent; /* the scratch */
};

struct timer {
	uv_timer_t uv;
	loop_fn *fn;
	void *arg;
};

struct signal_watch {
	uv_signal_t uv;
	loop_fn *fn;
	void *arg;
};

static void on_idle(uv_idle_t *idle)
{
}

static void free_deferred(struct deferred *d)
{
	list_remove(&d->link);
	free(d);
}

static void on_check(uv_check_t *check)
{
	struct loop *loop = check->data;
	struct deferred *d;
	/* What a deferred call defers waits for the next turn: no loop is starved. */
	while ((d = list_first(&loop->deferred, struct deferred, link))) {
		list_remove(&d->link);
		list_append(&loop->running, &d->link);
	}
	while ((d = list_first(&loop->running, struct deferred, link))) {
		struct deferred call = *d;
		free_deferred(d);
		call.fn(call.arg);
	}
	if (list_is_empty(&loop->deferred))
		uv_idle_stop(&loop->idle);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct loop *loop = poll->data;
	watches_dispatch(&loop->watches);
}

static bool is_crowded(const struct loop *loop)
{
	return !list_is_empty(&loop->watches.refused);
}

/* A loop lives as long as something is watched; and who waits in libuv does not wait for what epoll refused. */
static void on_changed(void *arg)
{
	struct loop *loop = arg;
	if (loop->watches.n_active)
		uv_ref((uv_handle_t *)&loop->poll);
	else
		uv_unref((uv_handle_t *)&loop->poll);
	if (is_crowded(loop) && loop->is_in_uv)
		uv_stop(&loop->uv);
}

static void run_uv(struct loop *loop, uv_run_mode mode)
{
	loop->is_in_uv = mode != UV_RUN_NOWAIT;
	uv_run(&loop->uv, mode);
	loop->is_in_uv = false;
}

/* libuv aborts where epoll refuses one of its own descriptors; it does not mind one that is there already. */
static int claim(struct loop *loop, int fd, struct error *err)
{
	struct epoll_event none = { 0 };
	if (epoll_ctl(uv_backend_fd(&loop->uv), EPOLL_CTL_ADD, fd, &none) < 0 && errno != EEXIST)
		return error_sys(err, errno, "watch descriptors with epoll");
	return 0;
}

static int start_polling(struct loop *loop, struct error *err)
{
	if (claim(loop, loop->uv.async_io_watcher.fd, err) < 0 ||
		claim(loop, loop->uv.signal_io_watcher.fd, err) < 0)
		return -1;
	int r = uv_poll_init(&loop->uv, &loop->poll, loop->watches.epoll_fd);
	if (r < 0)
		return error_sys(err, -r, "watch descriptors with epoll");
	loop->poll.data = loop;
	uv_poll_start(&loop->poll, UV_READABLE, on_poll);
	r = claim(loop, loop->watches.epoll_fd, err); /* it was taken out again until here */
	if (r < 0)
		uv_close((uv_handle_t *)&loop->poll, NULL);
	uv_run(&loop->uv, UV_RUN_NOWAIT);
	if (r == 0)
		uv_unref((uv_handle_t *)&loop->poll);
	return r;
}

int loop_new(struct loop **ret, struct error *err)
{
	struct loop *loop = mem_new(struct loop);
	int r = uv_loop_init(&loop->uv);
	if (r < 0) {
		free(loop);
		return error_sys(err, -r, "make an event loop");
	}
	if (watches_init(&loop->watches, on_changed, loop, err) < 0 ||
		start_polling(loop, err) < 0) {
		watches_fini(&loop->watches);
		uv_loop_close(&loop->uv);
		free(loop);
		return -1;
	}
	list_init(&loop->deferred);
	list_init(&loop->running);
	uv_check_init(&loop->uv, &loop->check);
	uv_idle_init(&loop->uv, &loop->idle);
	loop->check.data = loop;
	uv_check_start(&loop->check, on_check);
	uv_unref((uv_handle_t *)&loop->check);
	*ret = loop;
	return 0;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	struct deferred *d;
	while ((d = list_first(&loop->deferred, struct deferred, link)))
		free_deferred(d);
	uv_close((uv_handle_t *)&loop->check, NULL);
	uv_close((uv_handle_t *)&loop->idle, NULL);
	uv_close((uv_handle_t *)&loop->poll, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	BUG_IF(uv_loop_close(&loop->uv) != 0, "a loop was freed while handles are open");
	watches_fini(&loop->watches);
	free(loop->scratch);
	free(loop);
}

/* A turn while some wait for what epoll refused. */
static void turn_crowded(struct loop *loop, bool waits)
{
	uv_update_time(&loop->uv);
	watches_wait(&loop->watches, uv_backend_fd(&loop->uv),
		waits && !loop->is_stopped ? uv_backend_timeout(&loop->uv) : 0);
	uv_run(&loop->uv, UV_RUN_NOWAIT);
}

char *loop_take_scratch(struct loop *loop)
{
	if (loop->has_lent)
		return NULL;
	if (!loop->scratch)
		loop->scratch = mem_alloc(LOOP_SCRATCH);
	loop->has_lent = true;
	return loop->scratch;
}

void loop_give_scratch(struct loop *loop)
{
	loop->has_lent = false;
}

void loop_run(struct loop *loop)
{
	do {
		if (is_crowded(loop))
			turn_crowded(loop, true);
		else
			run_uv(loop, UV_RUN_DEFAULT);
	} while (!loop->is_stopped && uv_loop_alive(&loop->uv));
	loop->is_stopped = false;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopped = true;
	uv_stop(&loop->uv);
}

void loop_turn(struct loop *loop, bool waits)
{
	if (is_crowded(loop))
		turn_crowded(loop, waits);
	else
		run_uv(loop, waits ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	loop->is_stopped = false;
}

int loop_fd(const struct loop *loop)
{
	return uv_backend_fd(&loop->uv);
}

int loop_timeout_ms(struct loop *loop)
{
	uv_update_time(&loop->uv);
	int timeout_ms = uv_backend_timeout(&loop->uv);
	/* Who waits for our descriptor cannot wait for what epoll refused. */
	return is_crowded(loop) && (timeout_ms < 0 || timeout_ms > CROWDED_MS) ? CROWDED_MS
									       : timeout_ms;
}

struct watches *loop_watches(struct loop *loop)
{
	return &loop->watches;
}

void loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
	struct deferred *d = mem_new(struct deferred);
	d->fn = fn;
	d->arg = arg;
	if (list_is_empty(&loop->deferred))
		uv_idle_start(&loop->idle, on_idle);
	list_append(&loop->deferred, &d->link);
}

static void forget(struct list *calls, const void *arg)
{
	struct deferred *d, *tmp;
	list_for_each_safe(d, tmp, calls, link) {
		if (d->arg == arg)
			free_deferred(d);
	}
}

void loop_undefer(struct loop *loop, void *arg)
{
	forget(&loop->deferred, arg);
	forget(&loop->running, arg);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle); /* uv is the first member of each of our handles */
}

static void on_timer(uv_timer_t *uv)
{
	struct timer *t = (struct timer *)uv;
	t->fn(t->arg);
}

struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct timer *t = mem_new(struct timer);
	t->fn = fn;
	t->arg = arg;
	uv_timer_init(&loop->uv, &t->uv);
	return t;
}

void timer_set(struct timer *t, int64_t after_ms)
{
	uv_update_time(t->uv.loop);
	uv_timer_start(&t->uv, on_timer, after_ms > 0 ? (uint64_t)after_ms : 0, 0);
}

void timer_clear(struct timer *t)
{
	uv_timer_stop(&t->uv);
}

void timer_free(struct timer *t)
{
	if (!t)
		return;
	uv_timer_stop(&t->uv);
	uv_close((uv_handle_t *)&t->uv, free_handle);
}

static void on_signal(uv_signal_t *uv, int signo)
{
	struct signal_watch *s = (struct signal_watch *)uv;
	s->fn(s->arg);
}

struct signal_watch *signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg)
{
	struct signal_watch *s = mem_new(struct signal_watch);
	s->fn = fn;
	s->arg = arg;
	uv_signal_init(&loop->uv, &s->uv);
	uv_signal_start(&s->uv, on_signal, signo);
	uv_unref((uv_handle_t *)&s->uv);
	return s;
}

void signal_free(struct signal_watch *s)
{
	if (!s)
		return;
	uv_signal_stop(&s->uv);
	uv_close((uv_handle_t *)&s->uv, free_handle);
}

struct work {
	uv_work_t uv;
	loop_fn *work;
	loop_fn *done;
	void *arg;
};

static void on_work(uv_work_t *uv)
{
	struct work *w = (struct work *)uv;
	w->work(w->arg);
}

static void on_work_done(uv_work_t *uv, int status)
{
	struct work *w = (struct work *)uv;
	w->done(w->arg);
	free(w);
}

void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *arg)
{
	struct work *w = mem_new(struct work);
	w->work = work;
	w->done = done;
	w->arg = arg;
	BUG_IF(uv_queue_work(&loop->uv, &w->uv, on_work, on_work_done) != 0, "no worker thread");
}

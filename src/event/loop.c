/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wait is our own: an epoll instance with everybody's descriptors (watches.h). libuv has timers, signals and workers,
 * and its descriptor is one of those watched; it is given a turn when that is readable or a timer is due. So
 * what a turn costs is one system call, and libuv aborts on no descriptor that epoll refuses.
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
	struct list link; /* loop::deferred or a turn's list */
	loop_fn *fn;
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_check_t anchor;    /* libuv looks for signals only while it has something that counts */
	struct list deferred; /* for the end of this turn */
	struct list running;  /* those of this turn that are still to come */
	struct watches watches;
	struct watch *of_uv;
	bool is_uv_due;
	bool is_stopped;
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

static void free_deferred(struct deferred *d)
{
	list_remove(&d->link);
	free(d);
}

/* What a deferred call defers waits for the next turn: no loop is starved. */
static void run_deferred(struct loop *loop)
{
	struct deferred *d;
	while ((d = list_first(&loop->deferred, struct deferred, link))) {
		list_remove(&d->link);
		list_append(&loop->running, &d->link);
	}
	while ((d = list_first(&loop->running, struct deferred, link))) {
		struct deferred call = *d;
		free_deferred(d);
		call.fn(call.arg);
	}
}

static void on_uv(void *arg, int events)
{
	struct loop *loop = arg;
	loop->is_uv_due = true;
}

static void on_anchor(uv_check_t *check)
{
}

/* libuv aborts where epoll refuses one of its own descriptors; it does not mind one that is there already. */
static int claim(struct loop *loop, int fd, struct error *err)
{
	struct epoll_event none = { 0 };
	if (epoll_ctl(uv_backend_fd(&loop->uv), EPOLL_CTL_ADD, fd, &none) < 0 && errno != EEXIST)
		return error_sys(err, errno, "watch descriptors with epoll");
	return 0;
}

static int start_uv(struct loop *loop, struct error *err)
{
	if (claim(loop, loop->uv.async_io_watcher.fd, err) < 0 ||
		claim(loop, loop->uv.signal_io_watcher.fd, err) < 0)
		return -1;
	uv_check_init(&loop->uv, &loop->anchor);
	uv_check_start(&loop->anchor, on_anchor);
	uv_run(&loop->uv, UV_RUN_NOWAIT);
	loop->of_uv = watch_new(loop, uv_backend_fd(&loop->uv), LOOP_READ, on_uv, loop);
	return 0;
}

int loop_new(struct loop **ret, struct error *err)
{
	struct loop *loop = mem_new(struct loop);
	int r = uv_loop_init(&loop->uv);
	if (r < 0) {
		free(loop);
		return error_sys(err, -r, "make an event loop");
	}
	if (watches_init(&loop->watches, err) < 0 || start_uv(loop, err) < 0) {
		watches_fini(&loop->watches);
		uv_loop_close(&loop->uv);
		free(loop);
		return -1;
	}
	list_init(&loop->deferred);
	list_init(&loop->running);
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
	watch_free(loop->of_uv);
	uv_close((uv_handle_t *)&loop->anchor, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	BUG_IF(uv_loop_close(&loop->uv) != 0, "a loop was freed while handles are open");
	watches_fini(&loop->watches);
	free(loop->scratch);
	free(loop);
}

/* libuv's own, the watch of it, and the anchor do not count. */
static bool is_alive(struct loop *loop)
{
	if (!list_is_empty(&loop->deferred) || loop->watches.n_active > 1)
		return true;
	uv_unref((uv_handle_t *)&loop->anchor);
	bool is_alive = uv_loop_alive(&loop->uv) != 0;
	uv_ref((uv_handle_t *)&loop->anchor);
	return is_alive;
}

/* Until libuv has something to do that no descriptor tells. */
static int uv_timeout_ms(struct loop *loop)
{
	uv_update_time(&loop->uv);
	return uv_backend_timeout(&loop->uv);
}

static int timeout_ms(struct loop *loop)
{
	return list_is_empty(&loop->deferred) ? uv_timeout_ms(loop) : 0;
}

static void turn(struct loop *loop, bool waits)
{
	watches_wait(&loop->watches, waits ? timeout_ms(loop) : 0);
	if (loop->is_uv_due || uv_timeout_ms(loop) == 0) {
		loop->is_uv_due = false;
		uv_run(&loop->uv, UV_RUN_NOWAIT);
	}
	run_deferred(loop);
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
	while (!loop->is_stopped && is_alive(loop))
		turn(loop, true);
	loop->is_stopped = false;
}

void loop_stop(struct loop *loop)
{
	loop->is_stopped = true;
}

void loop_turn(struct loop *loop, bool waits)
{
	turn(loop, waits && is_alive(loop));
	loop->is_stopped = false;
}

int loop_fd(const struct loop *loop)
{
	return loop->watches.epoll_fd;
}

int loop_timeout_ms(struct loop *loop)
{
	int ms = timeout_ms(loop);
	/* Who waits for our descriptor cannot wait for what epoll refused. */
	bool is_crowded = !list_is_empty(&loop->watches.refused);
	return is_crowded && (ms < 0 || ms > CROWDED_MS) ? CROWDED_MS : ms;
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

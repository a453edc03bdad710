/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A turn waits for descriptors (base/poller.h) until the next timer is due,
 * tells whoever waited for them, runs the timers that are due, and then what was deferred. Signals
 * and workers come by descriptors of their own. A turn costs one system call, and a look at the
 * clock where timers are set.
 */
#include "event/loop.h"

#include "base/auto.h"
#include "base/bug.h"
#include "event/parts.h"
#include "event/patience.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

enum { CROWDED_MS = 10, AWAY_NS = 20 * 1000 };

struct deferred {
	struct list link; /* loop::deferred or a turn's list */
	loop_fn *fn;
	void *arg;
};

struct loop {
	struct list deferred; /* for the end of this turn */
	struct list running;  /* those of this turn that are still to come */
	struct poller poller;
	struct patience patience;
	struct timers timers;
	struct signals signals;
	struct workers *workers;
	bool is_stopped;
	char *scratch;
	bool has_lent; /* the scratch */
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

int loop_new(struct loop **ret, struct error *err)
{
	struct loop *loop = mem_new(struct loop);
	if (poller_init(&loop->poller, err) < 0) {
		free(loop);
		return -1;
	}
	patience_init(&loop->patience);
	list_init(&loop->deferred);
	list_init(&loop->running);
	*ret = loop;
	return 0;
}

/* Signals alone keep nothing alive, nor do workers that have nothing to do. */
static bool is_alive(const struct loop *loop)
{
	size_t n_own = (loop->signals.pipe ? 1 : 0) + (loop->workers ? 1 : 0);
	return !list_is_empty(&loop->deferred) || loop->poller.n_sources > n_own ||
		loop->timers.n > 0 || workers_is_busy(loop->workers);
}

static int timeout_ms(const struct loop *loop)
{
	return list_is_empty(&loop->deferred) ? timers_wait_ms(&loop->timers) : 0;
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Until something is there, or somebody else has had this processor: then it will not be asleep. */
static bool look_on(struct loop *loop, int64_t began)
{
	bool has_news;
	int64_t before, now = began;
	do {
		before = now;
		sched_yield();
		has_news = poller_wait(&loop->poller, 0);
		now = now_ns();
	} while (!has_news && now - before < AWAY_NS && now - began < PATIENCE_NS);
	return has_news;
}

static void wait(struct loop *loop, int timeout_ms)
{
	if (poller_wait(&loop->poller, 0) || timeout_ms == 0)
		return;
	int64_t began = now_ns();
	if (!patience_has(&loop->patience) || !look_on(loop, began))
		poller_wait(&loop->poller, timeout_ms);
	patience_learn(&loop->patience, now_ns() - began);
}

static void turn(struct loop *loop, bool waits)
{
	wait(loop, waits ? timeout_ms(loop) : 0);
	poller_tell(&loop->poller);
	timers_run(&loop->timers);
	run_deferred(loop);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	struct deferred *d;
	while (workers_is_busy(loop->workers))
		turn(loop, true);
	workers_free(take_ptr(loop->workers));
	while ((d = list_first(&loop->deferred, struct deferred, link)))
		free_deferred(d);
	BUG_IF(loop->poller.n_sources, "a loop was freed while descriptors are watched");
	timers_fini(&loop->timers);
	poller_fini(&loop->poller);
	patience_fini(&loop->patience);
	free(loop->scratch);
	free(loop);
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
	return loop->poller.epoll_fd;
}

int loop_timeout_ms(struct loop *loop)
{
	int ms = timeout_ms(loop);
	/* Who waits for our descriptor cannot wait for what epoll refused. */
	bool is_crowded = !list_is_empty(&loop->poller.refused);
	return is_crowded && (ms < 0 || ms > CROWDED_MS) ? CROWDED_MS : ms;
}

struct poller *loop_poller(struct loop *loop)
{
	return &loop->poller;
}

struct timers *loop_timers(struct loop *loop)
{
	return &loop->timers;
}

struct signals *loop_signals(struct loop *loop)
{
	return &loop->signals;
}

struct workers **loop_workers(struct loop *loop)
{
	return &loop->workers;
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

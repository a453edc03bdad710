/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap. A timer knows its place in it, so that it can be set anew and taken out at any
 * time.
 */
#include "event/parts.h"

#include "base/auto.h"
#include "base/bug.h"

#include <limits.h>
#include <time.h>

enum { NOWHERE = -1 };

static const int64_t ns_of_ms = 1000 * 1000;
static const int64_t after_max_ms = INT64_MAX / 4 / 1000000; /* 73 years */

struct timer {
	struct timers *all;
	ptrdiff_t place; /* in the heap, or NOWHERE */
	int64_t due_ns;
	uint64_t number;
	loop_fn *fn;
	void *arg;
};

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 * ns_of_ms + t.tv_nsec;
}

static bool is_before(const struct timer *a, const struct timer *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void put(struct timers *ts, size_t place, struct timer *t)
{
	ts->heap[place] = t;
	t->place = (ptrdiff_t)place;
}

static void sift_up(struct timers *ts, size_t place, struct timer *t)
{
	for (; place > 0 && is_before(t, ts->heap[(place - 1) / 2]); place = (place - 1) / 2)
		put(ts, place, ts->heap[(place - 1) / 2]);
	put(ts, place, t);
}

static void sift_down(struct timers *ts, size_t place, struct timer *t)
{
	for (size_t child; (child = 2 * place + 1) < ts->n; place = child) {
		if (child + 1 < ts->n && is_before(ts->heap[child + 1], ts->heap[child]))
			child++;
		if (!is_before(ts->heap[child], t))
			break;
		put(ts, place, ts->heap[child]);
	}
	put(ts, place, t);
}

static void grow(struct timers *ts)
{
	size_t size = MAX(2 * ts->size, 8);
	struct timer **heap = mem_new_n(struct timer *, size);
	for (size_t i = 0; i < ts->n; i++)
		heap[i] = ts->heap[i];
	free(ts->heap);
	ts->heap = heap;
	ts->size = size;
}

static void enter(struct timers *ts, struct timer *t)
{
	if (ts->n == ts->size)
		grow(ts);
	sift_up(ts, ts->n++, t);
}

void timer_clear(struct timer *t)
{
	struct timers *ts = t->all;
	if (t->place == NOWHERE)
		return;
	size_t place = (size_t)t->place;
	struct timer *last = ts->heap[--ts->n];
	t->place = NOWHERE;
	if (last == t)
		return;
	if (place > 0 && is_before(last, ts->heap[(place - 1) / 2]))
		sift_up(ts, place, last);
	else
		sift_down(ts, place, last);
}

struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg)
{
	struct timer *t = mem_new(struct timer);
	t->all = loop_timers(loop);
	t->place = NOWHERE;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void timer_set(struct timer *t, int64_t after_ms)
{
	timer_clear(t);
	t->due_ns = now_ns() + MIN(MAX(after_ms, 0), after_max_ms) * ns_of_ms;
	t->number = t->all->n_set++;
	enter(t->all, t);
}

void timer_free(struct timer *t)
{
	if (!t)
		return;
	timer_clear(t);
	free(t);
}

void timers_fini(struct timers *ts)
{
	BUG_IF(ts->n, "a loop was freed while timers are set");
	free(take_ptr(ts->heap));
}

int timers_wait_ms(const struct timers *ts)
{
	if (ts->n == 0)
		return -1;
	int64_t left = ts->heap[0]->due_ns - now_ns();
	return left <= 0 ? 0 : (int)MIN((left + ns_of_ms - 1) / ns_of_ms, INT_MAX);
}

void timers_run(struct timers *ts)
{
	if (ts->n == 0)
		return;
	int64_t now = now_ns();
	uint64_t n_set = ts->n_set;
	while (ts->n > 0 && ts->heap[0]->due_ns <= now && ts->heap[0]->number < n_set) {
		struct timer *t = ts->heap[0];
		timer_clear(t);
		t->fn(t->arg);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work waits in `waiting` until a thread takes it; what is done waits in `done` until the loop,
 * which an eventfd wakes, tells of it. `lock` guards both lists and what is counted of them; the
 * rest is the loop's. A thread is made when there is work for which none is idle, until there are
 * LOOP_WORKERS; where the system refuses one, what there are do it, and where there is none at all,
 * the loop itself.
 */
#include "event/parts.h"

#include "base/auto.h"
#include "base/bug.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

struct work {
	struct list link; /* workers::waiting, then workers::done */
	loop_fn *work;
	loop_fn *told;
	void *arg;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct list waiting, done;
	size_t n_waiting, n_idle;
	bool is_closing;
	int done_fd;
	struct watch *watch;
	size_t n_untold;
	size_t n_threads;
	pthread_t threads[LOOP_WORKERS];
};

static struct work *take_first(struct list *list)
{
	struct work *w = list_first(list, struct work, link);
	if (w)
		list_remove(&w->link);
	return w;
}

static struct work *take_waiting(struct workers *ws)
{
	struct work *w = take_first(&ws->waiting);
	ws->n_waiting -= w != NULL;
	return w;
}

/* With the lock. NULL: there will be no more. */
static struct work *await(struct workers *ws)
{
	ws->n_idle++;
	while (list_is_empty(&ws->waiting) && !ws->is_closing)
		pthread_cond_wait(&ws->wanted, &ws->lock);
	ws->n_idle--;
	return take_waiting(ws);
}

static void *run_thread(void *arg)
{
	struct workers *ws = arg;
	struct work *w;
	pthread_mutex_lock(&ws->lock);
	while ((w = await(ws))) {
		pthread_mutex_unlock(&ws->lock);
		w->work(w->arg);
		pthread_mutex_lock(&ws->lock);
		list_append(&ws->done, &w->link);
		BUG_IF(eventfd_write(ws->done_fd, 1) < 0, "a loop cannot be woken");
	}
	pthread_mutex_unlock(&ws->lock);
	return NULL;
}

static void on_done(void *arg, int events)
{
	struct workers *ws = arg;
	struct list done;
	struct work *w;
	eventfd_t n;
	list_init(&done);
	eventfd_read(ws->done_fd, &n);
	pthread_mutex_lock(&ws->lock);
	while ((w = take_first(&ws->done)))
		list_append(&done, &w->link);
	pthread_mutex_unlock(&ws->lock);
	while ((w = take_first(&done))) {
		ws->n_untold--;
		w->told(w->arg);
		free(w);
	}
}

static struct workers *workers_new(struct loop *loop)
{
	struct workers *ws = mem_new(struct workers);
	pthread_mutex_init(&ws->lock, NULL);
	pthread_cond_init(&ws->wanted, NULL);
	list_init(&ws->waiting);
	list_init(&ws->done);
	ws->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	BUG_IF(ws->done_fd < 0, "no eventfd for workers");
	ws->watch = watch_new(loop, ws->done_fd, LOOP_READ, on_done, ws);
	return ws;
}

static struct workers *workers_of(struct loop *loop)
{
	struct workers **ws = loop_workers(loop);
	if (!*ws)
		*ws = workers_new(loop);
	return *ws;
}

/* Signals are for the loop's thread. */
static bool start_thread(struct workers *ws)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&ws->threads[ws->n_threads], NULL, run_thread, ws);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	ws->n_threads += r == 0;
	return r == 0;
}

void loop_start_workers(struct loop *loop)
{
	struct workers *ws = workers_of(loop);
	while (ws->n_threads < LOOP_WORKERS && start_thread(ws))
		;
}

void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *arg)
{
	struct workers *ws = workers_of(loop);
	struct work *w = mem_new(struct work);
	*w = (struct work){ .work = work, .told = done, .arg = arg };
	ws->n_untold++;
	pthread_mutex_lock(&ws->lock);
	list_append(&ws->waiting, &w->link);
	bool is_short = ++ws->n_waiting > ws->n_idle;
	pthread_cond_signal(&ws->wanted);
	pthread_mutex_unlock(&ws->lock);
	if (is_short && ws->n_threads < LOOP_WORKERS)
		start_thread(ws);
	if (ws->n_threads == 0) {
		take_waiting(ws);
		work(arg);
		list_append(&ws->done, &w->link);
		eventfd_write(ws->done_fd, 1);
	}
}

bool workers_is_busy(const struct workers *ws)
{
	return ws && ws->n_untold > 0;
}

void workers_free(struct workers *ws)
{
	if (!ws)
		return;
	pthread_mutex_lock(&ws->lock);
	ws->is_closing = true;
	pthread_cond_broadcast(&ws->wanted);
	pthread_mutex_unlock(&ws->lock);
	while (ws->n_threads > 0)
		pthread_join(ws->threads[--ws->n_threads], NULL);
	BUG_IF(ws->n_untold, "a loop was freed while it has work");
	watch_free(ws->watch);
	close_fd(ws->done_fd);
	pthread_cond_destroy(&ws->wanted);
	pthread_mutex_destroy(&ws->lock);
	free(ws);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch that asks for nothing is not in the epoll instance at all: errors and hang-ups are told there whether
 * one asks for them or not. What epoll says carries descriptor and generation, not a pointer: a watch may be
 * freed, and its descriptor have another, between what happened and when it is told.
 */
#include "event/watches.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>

enum { BATCH = 128, AWAY_NS = 20 * 1000 };

/* The same bits in both: what one wait says the other's reader understands. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "");
_Static_assert(EPOLLERR == POLLERR && EPOLLHUP == POLLHUP, "");

struct watch {
	struct watches *all;
	int fd;
	int events; /* as set: setting the same again costs no system call */
	uint32_t generation;
	struct list link; /* watches::refused */
	watch_fn *fn;
	void *arg;
};

int watches_init(struct watches *ws, struct error *err)
{
	*ws = (struct watches){ 0 };
	list_init(&ws->refused);
	patience_init(&ws->patience);
	ws->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return ws->epoll_fd < 0 ? error_sys(err, errno, "make an epoll instance") : 0;
}

void watches_fini(struct watches *ws)
{
	BUG_IF(ws->n_active, "a loop was freed while descriptors are watched");
	free(ws->by_fd);
	patience_fini(&ws->patience);
	ws->epoll_fd = close_fd(ws->epoll_fd);
}

static uint32_t epoll_events(int events)
{
	return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u);
}

static int control(struct watch *w, int op)
{
	struct epoll_event e = { .events = epoll_events(w->events),
		.data.u64 = (uint64_t)w->generation << 32 | (uint32_t)w->fd };
	return epoll_ctl(w->all->epoll_fd, op, w->fd, &e);
}

/* True if epoll takes it. */
static bool ask(struct watch *w, int op)
{
	int r = control(w, op);
	BUG_IF(r < 0 && errno != ENOSPC && errno != ENOMEM, "a descriptor that cannot be watched");
	return r == 0;
}

static void refuse(struct watch *w)
{
	list_append(&w->all->refused, &w->link);
}

static void remember(struct watches *ws, struct watch *w)
{
	size_t fd = (size_t)w->fd;
	if (fd >= ws->n_by_fd) {
		size_t n = MAX(2 * ws->n_by_fd, fd + 16);
		struct watch **by_fd = mem_new_n(struct watch *, n);
		for (size_t i = 0; i < ws->n_by_fd; i++)
			by_fd[i] = ws->by_fd[i];
		free(ws->by_fd);
		ws->by_fd = by_fd;
		ws->n_by_fd = n;
	}
	BUG_IF(ws->by_fd[fd], "a descriptor that is watched twice");
	ws->by_fd[fd] = w;
}

static struct watch *find(struct watches *ws, int fd)
{
	return (size_t)fd < ws->n_by_fd ? ws->by_fd[fd] : NULL;
}

static void begin(struct watch *w)
{
	struct watches *ws = w->all;
	remember(ws, w);
	w->generation = ++ws->generation;
	ws->n_active++;
	if (!ask(w, EPOLL_CTL_ADD))
		refuse(w);
}

static void end(struct watch *w)
{
	struct watches *ws = w->all;
	if (list_is_empty(&w->link))
		control(w, EPOLL_CTL_DEL);
	list_remove(&w->link);
	ws->by_fd[w->fd] = NULL;
	ws->n_active--;
}

struct watch *watch_new(struct loop *loop, int fd, int events, watch_fn *fn, void *arg)
{
	struct watch *w = mem_new(struct watch);
	w->all = loop_watches(loop);
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	list_init(&w->link);
	int yes = 1;
	BUG_IF(ioctl(fd, FIONBIO, &yes) < 0 && fd_set_nonblock(fd, NULL) < 0,
		"a descriptor that always blocks");
	watch_set(w, events);
	return w;
}

void watch_set(struct watch *w, int events)
{
	int before = w->events;
	if (events == before)
		return;
	w->events = events;
	if (!before) {
		begin(w);
	} else if (!events) {
		end(w);
	} else if (list_is_empty(&w->link) && !ask(w, EPOLL_CTL_MOD)) {
		control(w, EPOLL_CTL_DEL);
		refuse(w);
	}
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	watch_set(w, 0);
	free(w);
}

static void tell(struct watch *w, uint32_t said)
{
	int events = (said & EPOLLIN ? LOOP_READ : 0) | (said & EPOLLOUT ? LOOP_WRITE : 0);
	events &= w->events;
	if (said & EPOLLERR) {
		events = LOOP_READ | LOOP_WRITE; /* let read or write find the error */
		watch_set(w, 0);                 /* it would be told again and again */
	} else if (!events) {
		events = w->events; /* a hang-up alone */
	}
	w->fn(w->arg, events);
}

static void dispatch(struct watches *ws, const struct epoll_event *batch, int n)
{
	for (int i = 0; i < n; i++) {
		int fd = (int)(uint32_t)batch[i].data.u64;
		struct watch *w = find(ws, fd);
		if (w && w->generation == batch[i].data.u64 >> 32)
			tell(w, batch[i].events);
		else if (!w) /* closed before it was freed, while a child has it, too */
			epoll_ctl(ws->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	}
}

/* As many as there is room for again. */
static void retry(struct watches *ws)
{
	struct watch *w;
	while ((w = list_first(&ws->refused, struct watch, link)) && ask(w, EPOLL_CTL_ADD))
		list_remove(&w->link);
}

static size_t list_refused(struct watches *ws, struct pollfd **ret_fds, uint32_t **ret_generations)
{
	size_t n = 0;
	struct watch *w;
	struct pollfd *fds = mem_new_n(struct pollfd, ws->n_active + 1);
	uint32_t *generations = mem_new_n(uint32_t, ws->n_active + 1);
	list_for_each(w, &ws->refused, link) {
		fds[n] = (struct pollfd){ w->fd, (short)epoll_events(w->events), 0 };
		generations[n++] = w->generation;
	}
	*ret_fds = fds;
	*ret_generations = generations;
	return n;
}

/* For those that epoll refused, and for epoll itself. */
static void wait_crowded(struct watches *ws, int timeout_ms)
{
	auto_free struct pollfd *fds = NULL;
	auto_free uint32_t *generations = NULL;
	size_t n = list_refused(ws, &fds, &generations);
	fds[n] = (struct pollfd){ ws->epoll_fd, POLLIN, 0 };
	if (poll(fds, n + 1, timeout_ms) <= 0)
		return;
	for (size_t i = 0; i < n; i++) {
		struct watch *w = find(ws, fds[i].fd);
		if (fds[i].revents && w && w->generation == generations[i])
			tell(w, (uint32_t)fds[i].revents);
	}
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int look(struct watches *ws, struct epoll_event *batch, int timeout_ms)
{
	return epoll_wait(ws->epoll_fd, batch, BATCH, timeout_ms);
}

/* Until something is there, or somebody else has had this processor: then it will not be asleep. */
static int look_on(struct watches *ws, struct epoll_event *batch, int64_t began)
{
	int n;
	int64_t before, now = began;
	do {
		before = now;
		sched_yield();
		n = look(ws, batch, 0);
		now = now_ns();
	} while (n == 0 && now - before < AWAY_NS && now - began < PATIENCE_NS);
	return n;
}

static int wait(struct watches *ws, struct epoll_event *batch, int timeout_ms)
{
	int n = look(ws, batch, 0);
	if (n != 0 || timeout_ms == 0)
		return n;
	int64_t began = now_ns();
	if (patience_has(&ws->patience))
		n = look_on(ws, batch, began);
	if (n == 0)
		n = look(ws, batch, timeout_ms);
	patience_learn(&ws->patience, now_ns() - began);
	return n;
}

void watches_wait(struct watches *ws, int timeout_ms)
{
	struct epoll_event batch[BATCH];
	int n;
	retry(ws);
	if (list_is_empty(&ws->refused)) {
		n = wait(ws, batch, timeout_ms);
	} else {
		wait_crowded(ws, timeout_ms);
		n = look(ws, batch, 0);
	}
	dispatch(ws, batch, n);
}

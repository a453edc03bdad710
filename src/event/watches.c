/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch that asks for nothing is not in the poller at all: errors and hang-ups are told there
 * whether one asks for them or not.
 */
#include "event/parts.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"

#include <sys/ioctl.h>

struct watch {
	struct source source;
	struct poller *poller;
	int fd;
	int events; /* as set: setting the same again costs no system call */
	watch_fn *fn;
	void *arg;
};

static uint32_t epoll_events(int events)
{
	return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u);
}

static void watch_ready(struct source *source, uint32_t said)
{
	struct watch *w = container_of(source, struct watch, source);
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

struct watch *watch_new(struct loop *loop, int fd, int events, watch_fn *fn, void *arg)
{
	struct watch *w = mem_new(struct watch);
	w->source.ready = watch_ready;
	w->poller = loop_poller(loop);
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
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
	if (!before)
		poller_add(w->poller, &w->source, w->fd, epoll_events(events));
	else if (!events)
		poller_remove(w->poller, &w->source);
	else
		poller_set(w->poller, &w->source, epoll_events(events));
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	watch_set(w, 0);
	free(w);
}

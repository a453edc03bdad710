/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller: descriptors, and the wait for what happens to them. The supervisor's, and beneath
 * event/loop.h everybody's.
 *
 *	struct thing { struct source source; ... };
 *	thing->source.ready = thing_ready;
 *	poller_add(&p, &thing->source, fd, EPOLLIN);
 *	...
 *	struct thing *thing = container_of(source, struct thing, source);
 *
 * How many descriptors epoll takes is limited for each user of the host
 * (fs.epoll.max_user_watches), and whoever has the same uid can use them up: code in a sandbox,
 * where an ordinary user runs the server. So a descriptor that epoll refuses is no failure: it
 * waits in a list, and for as long as there is one poll(2) waits, which needs nothing that others
 * could take.
 *
 * A source may be removed, and so may any other, while one is handled: what was said of it before
 * is not told any more. It belongs to its owner, who removes it before the descriptor is closed.
 */
#pragma once

#include "base/error.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct source {
	void (*ready)(struct source *source, uint32_t events); /* EPOLL* */
	/* The rest is the poller's. */
	int fd;
	uint32_t events;
	uint32_t generation;
	struct list refused; /* poller::refused */
};

enum { POLLER_BATCH = 64 };

struct poller {
	int epoll_fd;
	struct source **by_fd;
	size_t n_by_fd;
	size_t n_sources;
	uint32_t generation; /* tells what was said of an earlier source of the same descriptor */
	struct list refused; /* source::refused */
	struct epoll_event said[POLLER_BATCH];
	int n_said;
};

#define POLLER_INIT            \
	{                      \
		.epoll_fd = -1 \
	}

int poller_init(struct poller *p, struct error *err);
/* Sources that are still there are forgotten. */
void poller_fini(struct poller *p);
/*
 * events: EPOLLIN and EPOLLOUT; errors and hang-ups are told unasked. No descriptor has two
 * sources.
 */
void poller_add(struct poller *p, struct source *source, int fd, uint32_t events);
void poller_set(struct poller *p, struct source *source, uint32_t events);
/* Nothing, if it is not in. */
void poller_remove(struct poller *p, struct source *source);

/*
 * Waits until there is something to tell. timeout_ms -1: for ever. False: the time is up, or a
 * signal came.
 */
bool poller_wait(struct poller *p, int timeout_ms);
/* Tells it: calls whoever waited for it. */
void poller_tell(struct poller *p);
/* Both. */
bool poller_turn(struct poller *p, int timeout_ms);

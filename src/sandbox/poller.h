/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller: the supervisor's wait for whatever happens next: epoll, with the function to call in the
 * source itself. One event per turn, so that a source may free itself and any other while it is handled.
 *
 *	struct thing { struct source source; ... };
 *	thing->source.ready = thing_ready;
 *	poller_add(&p, fd, &thing->source, EPOLLIN, err);
 *	...
 *	struct thing *thing = container_of(source, struct thing, source);
 */
#pragma once

#include "base/error.h"

#include <stdint.h>
#include <sys/epoll.h>

struct source {
	void (*ready)(struct source *source, uint32_t events); /* EPOLL* */
};

struct poller {
	int epoll_fd;
};

#define POLLER_INIT \
	{           \
		-1  \
	}

int poller_init(struct poller *p, struct error *err);
void poller_fini(struct poller *p);
int poller_add(struct poller *p, int fd, struct source *source, uint32_t events, struct error *err);
void poller_set(struct poller *p, int fd, struct source *source, uint32_t events);
void poller_remove(struct poller *p, int fd); /* before the descriptor is closed */
/* Waits for one event and has it handled. timeout_ms -1: for ever. False: the time is up. */
bool poller_turn(struct poller *p, int timeout_ms);

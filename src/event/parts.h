/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts: what a loop is made of. Internal to this layer; who uses a loop sees loop.h, of which
 * watches.c, timers.c, signals.c and workers.c are the parts that their names say.
 */
#pragma once

#include "base/poller.h"
#include "event/loop.h"

struct poller *loop_poller(struct loop *loop);

/* A heap of those that are set: the one that is due next is the first. */
struct timers {
	struct timer **heap;
	size_t n, size;
	/* ever: of two that are due at once the one that was set before comes first */
	uint64_t n_set;
};

struct timers *loop_timers(struct loop *loop);
void timers_fini(struct timers *ts);
/* Until one is due: -1: none is set. Never too short. */
int timers_wait_ms(const struct timers *ts);
/* Calls those that are due, but none that is set meanwhile. */
void timers_run(struct timers *ts);

/*
 * The signals of a process come to the loop that asked for them first, for as long as it asks for
 * any.
 */
struct signals {
	struct watch *pipe; /* NULL: it asks for none */
	struct list all;    /* signal_watch::link */
};

struct signals *loop_signals(struct loop *loop);

/* NULL in the loop until there is work. */
struct workers;

struct workers **loop_workers(struct loop *loop);
/* Waits for what a thread is at. What nobody has begun is not done. */
void workers_free(struct workers *ws);
/* Whether something is still to be told of. */
bool workers_is_busy(const struct workers *ws);

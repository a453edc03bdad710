/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover: call sockets given to an executor over its control socket.
 *
 * That socket takes a few hundred at a time. What it does not take waits here, in order, and goes
 * when there is room: the caller has his end at once, and what he sends meanwhile waits in it. How
 * many calls of one sandbox there may be is limited elsewhere (RUNTIME_CALLS_MAX), and this holds
 * no more than that. Where the executor is not there yet, all wait until handover_begin.
 */
#pragma once

#include "base/error.h"
#include "base/list.h"
#include "event/loop.h"

struct handover {
	struct loop *loop;
	struct list waiting; /* ends that the executor is to get */
	struct watch *watch; /* NULL: none waits */
	int fd;              /* the control socket once more, for that watch; -1 */
};

void handover_init(struct handover *h, struct loop *loop);
/* What waits is closed: its callers see their ends end. */
void handover_fini(struct handover *h);
/* The executor is there: it gets what waits. If that cannot be, all of it is closed. */
void handover_begin(struct handover *h, int control_fd);
/*
 * Makes a call socket. The caller's end is non-blocking, and his. The executor gets a copy of
 * stream_fd with its own; -1: none. control_fd may be -1: it is not there yet.
 */
int handover_call(struct handover *h, int control_fd, int stream_fd, int *ret_fd,
	struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watches: the descriptors of a loop, in an epoll instance, and the wait for them. Internal to this layer; who uses a
 * loop sees watch_new, watch_set and watch_free of loop.h.
 *
 * How many descriptors epoll takes is limited for each user of the host (fs.epoll.max_user_watches), and
 * whoever has the same uid can use them up: code in a sandbox, where an ordinary user runs the server. So
 * a watch that epoll refuses is no failure: it waits in a list, and for as long as there is one poll(2) waits,
 * which needs nothing that others could take.
 */
#pragma once

#include "base/list.h"
#include "event/loop.h"
#include "event/patience.h"

struct watch;

struct watches {
	int epoll_fd;
	struct watch **by_fd; /* those that ask for something */
	size_t n_by_fd;
	size_t n_active;
	uint32_t generation; /* tells what was said of an earlier watch of the same descriptor */
	struct list refused; /* watch::link */
	struct patience patience;
};

int watches_init(struct watches *ws, struct error *err);
/* All watches must have been freed. */
void watches_fini(struct watches *ws);
/* Waits until there is something to do, for this long (-1: for ever), and calls whoever waited for it. */
void watches_wait(struct watches *ws, int timeout_ms);

struct watches *loop_watches(struct loop *loop);

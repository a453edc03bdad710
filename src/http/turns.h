/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns: who may have the server's processor for a large body.
 *
 * Nearly all requests cost microseconds. One whose body is large is looked at as a whole, for
 * milliseconds, and all others wait for that long. So those with bodies of HTTP_TURN_BYTES and
 * more, and those of routes that cost as much (HTTP_TAKES_TURNS), take turns: one at a time, and
 * after each a pause as long as it took (of less than a millisecond: a turn of the loop), in which
 * everybody else has the processor. However many come, they have half of it together, and a small
 * request waits for one of them, not for all. Within them the sandboxes take turns.
 */
#pragma once

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct guest;
struct http_server;

enum { HTTP_TURN_BYTES = 64 * 1024 };

struct turns {
	struct list waiting;      /* exchange::turn, who came first first */
	const struct guest *last; /* whose was handled last; only compared */
	struct timer *timer;      /* the end of a pause */
	int64_t owed_us;          /* less than the shortest pause */
	bool is_pause;
};

void turns_init(struct http_server *s);
void turns_fini(struct http_server *s);
/* The body is whole. True: it waits, and request_handle is called when it is its turn. */
bool turns_wait(struct exchange *x);

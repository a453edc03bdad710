/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns: who may have the server's processor for a large body.
 *
 * Nearly all requests cost microseconds. One whose body is large is looked at as a whole, for milliseconds, and all others
 * wait for that long. So those with bodies of HTTP_TURN_BYTES and more take turns: one at a time, and after each a pause
 * as long as it took, in which everybody else has the processor. However many come, they have half of it together, and a
 * small request waits for one of them, not for all. Within them the sandboxes take turns.
 */
#pragma once

#include "http/conn.h"

enum { HTTP_TURN_BYTES = 64 * 1024 };

void turns_init(struct http_server *s);
void turns_fini(struct http_server *s);
/* The body is whole. True: it waits, and request_handle is called when it is its turn. */
bool turns_wait(struct exchange *x);

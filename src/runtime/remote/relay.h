/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: the far ends of call sockets that lead to another cay server. What a call's frames say is
 * passed on, both ways, and what comes back is passed back. Private to runtime/remote.
 *
 * A WebSocket's handshake waits, so it is made on a worker thread.
 */
#pragma once

#include "runtime/remote/ask.h"

struct relays {
	struct asker *asker;
	const char *url;       /* the client's: http://…, unix:… */
	const char *base;      /* what requests begin with */
	const char *unix_path; /* or NULL */
	const char *token;     /* or NULL */
	const char *key;       /* header line, or NULL */
	struct list all;       /* relay::link */
	size_t n;
};

enum { RELAYS_MAX = 1024 };

void relays_init(struct relays *relays, struct asker *asker);
void relays_fini(struct relays *relays);
int relay_open_call(struct relays *relays, const char *id, int *ret_fd, struct error *err);

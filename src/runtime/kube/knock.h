/* SPDX-License-Identifier: Apache-2.0 */
/*
 * knock: the server's side of wire/door.h: a connection to the executor of a pod, up to where both
 * have shown who they are. Private to runtime/kube.
 *
 * Exactly one of opened and failed comes, from the loop, unless the knock is freed before; after it
 * the knock is gone. What comes behind the executor's proof is left in the socket.
 */
#pragma once

#include "base/error.h"
#include "wire/door.h"

struct knock;
struct loop;

enum { KNOCK_MS = 10000, REACH_SIZE = 192 };

struct forwards;

/* Where an executor is. */
struct reach {
	struct forwards *forwards; /* NULL: straight there */
	char where[REACH_SIZE];    /* an address of IPv4 or IPv6; of a forward the pod's path */
};

struct knock_ops {
	void (*opened)(void *arg, int fd); /* taken; non-blocking */
	/*
	 * ERROR_UNAVAILABLE: it cannot be reached; ERROR_FORBIDDEN: the cluster does not let us
	 * there; ERROR_UNAUTHORIZED: it is somebody else.
	 */
	void (*failed)(void *arg, const struct error *err);
};

/* secret: a text; copied, as the reach is. */
struct knock *knock_new(struct loop *loop, const struct reach *reach, enum door_kind kind,
	const char *secret, const struct knock_ops *ops, void *arg);
void knock_free(struct knock *k); /* NULL is fine */

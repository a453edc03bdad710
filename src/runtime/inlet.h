/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inlet: the body of a request goes into something of the runtime's that takes bytes at a pace of
 * its own. What is slower sets the pace: nothing is kept but what that thing keeps, and one piece.
 *
 *	struct loading { struct inlet in; … };                 first: it is the `arg` of all of these
 *	l->in = (struct inlet){ r, &inlet_import, import_new(images, &wish, &ops, l) };   ops.drain = inlet_drain
 *	http_listen(r, &http_ops, l);                          .on_body = inlet_body, .on_body_end = inlet_end
 *
 * The route is one with HTTP_STREAMS_BODY.
 */
#pragma once

#include "http/server.h"

struct inlet_kind {
	void (*send)(void *to, struct str piece);
	void (*end)(void *to);
	bool (*is_full)(const void *to);
};

struct inlet {
	struct http_request *r;
	const struct inlet_kind *kind; /* NULL: a body is ignored */
	void *to;                      /* NULL: it is over, and what still comes is ignored */
};

extern const struct inlet_kind inlet_build, inlet_import, inlet_library;

/* As http_ops has them; */
void inlet_body(void *arg, struct str piece);
void inlet_end(void *arg);
/* and what that thing calls when it takes more again. */
void inlet_drain(void *arg);

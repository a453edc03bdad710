/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress: connections that programs of the sandbox begin to the outside, where its network is
 * `proxy`: every address is the sandbox's own there (sandbox/net.c), so they end here. See
 * action/network_actions.h.
 *
 * What is on the way out is read here, outside of the agent's reach and with none of the server's
 * rights: the questions of resolvers, the server name of TLS, the Host of HTTP. A name that may be
 * connected to is answered with an address that stands for it and for nothing else, so no question
 * of the sandbox's ever leaves it.
 */
#pragma once

#include "executor/call.h"

enum {
	EGRESS_FIRST_MAX = 20 * 1024
}; /* bytes of a connection that are read before it is let out */

extern const struct verb egress_verb;

/* Gives away the connection that was told of as `id`, with what has been read of it already. */
int egress_claim(struct executor *e, int64_t id, int *ret_fd, struct buf *ret_first,
	struct error *err);
void egress_free(struct executor *e);

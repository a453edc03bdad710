/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress: the way out of sandboxes whose network is `proxy` (docs/decisions: egress without a
 * route). Their executors catch what is begun inside; here it is decided, by name, whether it may
 * go on, and then it does: the name is resolved, each address checked, the first that answers is
 * connected to, and bytes go both ways.
 *
 * Every decision is an event of kind `network`, at a rate (audit_network).
 */
#pragma once

struct sandbox;

enum { EGRESS_RELAYS_MAX = 256 }; /* connections at once of one sandbox */

/* From when its executor can be called; nothing for other networks, and if it is open already. */
void egress_open(struct sandbox *s);
/* Cuts every connection. Before the sandbox, or its calls, go away. */
void egress_close(struct sandbox *s);

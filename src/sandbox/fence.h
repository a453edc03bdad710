/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence: what may be begun from a sandbox whose network is bridge or pasta, as rules of nft. Closed
 * unless allowed: what is not IPv4 is dropped, metadata services always, private addresses unless a
 * rule is for those, and the rest unless a rule has address and port. What is refused is told at
 * once where that can be (ICMP), not left to time out.
 */
#pragma once

#include "base/buf.h"
#include "sandbox/spec.h"

/* The sets that the rules speak of; once in a table. */
void fence_put_sets(struct buf *b);
/*
 * Two chains, NAME_yes and NAME_no, which let through and refuse, and tell so to who listens to
 * that group (filterlog.h; 0: nobody): of so many packets in a second and no more, lest one that
 * sends nothing but such kept us busy. What is begun while the kernel follows more than so many
 * connections is refused (0: that has no limit): the table of those is the whole host's.
 */
void fence_put_ends(const char *name, uint16_t group, unsigned connections_max, struct buf *b);
/*
 * The rules of a chain, the last one of which refuses. Each is a line. They end in the chains of
 * that name; NULL: by themselves.
 */
void fence_put_rules(const struct spec_net *net, const char *name, struct buf *b);
/* "nameserver …" for each allowed address with port 53, or a comment that there is none. */
void fence_put_resolvers(const struct spec_net *net, struct buf *b);

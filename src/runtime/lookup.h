/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup: the addresses of a name, by getaddrinfo in a worker thread, for sandboxes that each have
 * a share. A name server that does not answer holds a thread for ten seconds, and names below one's
 * own zone are as many as one likes: so a sandbox has LOOKUPS_OF_ONE threads at the most, all
 * together leave some to who does something else, and who waits has a turn when each of the others
 * had one.
 *
 *	share = lookup_share_new(rt->lookups);
 *	lookup = lookup_begin(share, "example.org", 443, on_found, relay);
 *	…
 *	lookup_drop(lookup); // on_found is not called any more
 *	lookup_share_free(share);
 */
#pragma once

#include <netdb.h>

struct loop;
struct lookup;
struct lookup_share;
struct lookups;

enum { LOOKUPS_OF_ONE = 2, LOOKUPS_AT_ONCE = 12 }; /* of LOOP_WORKERS */

/* failure: of getaddrinfo; 0: `found` is the callee's, for freeaddrinfo. */
typedef void lookup_fn(void *arg, struct addrinfo *found, int failure);

struct lookups *lookups_new(struct loop *loop);
/* No share is left. What runs in a thread ends by itself. NULL is fine. */
void lookups_free(struct lookups *all);

struct lookup_share *lookup_share_new(struct lookups *all);
/* Every lookup of it was dropped or is done. NULL is fine. */
void lookup_share_free(struct lookup_share *share);

/* `done` is called once, later, unless it was dropped before. */
struct lookup *lookup_begin(struct lookup_share *share, const char *name, int port, lookup_fn *done,
	void *arg);
/* NULL is fine. */
void lookup_drop(struct lookup *lookup);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: one connection through the boundary: a program of the sandbox on one side, the server it
 * wants on the other.
 */
#pragma once

#include "base/list.h"
#include "boundary/swap.h"
#include "boundary/tls.h"
#include "event/loop.h"

struct relay;

/* Who owns relays. */
struct relay_owner {
	struct loop *loop;
	struct tls_ca *ca;
	struct tls_trust *trust;
	const struct swap_rule *rules;
	size_t n_rules;
	struct list relays; /* relay_link of each */
	int n_relays;
	/* Secrets were swapped in: bits as in swap::used. */
	void (*used)(struct relay_owner *o, const char *name, int port, uint32_t bits);
	void (*refused)(struct relay_owner *o, const char *name, int port, const char *reason);
};

/* Takes both descriptors. allowed: which rules are for this host. */
void relay_start(struct relay_owner *o, const char *name, int port, bool is_plain, uint32_t allowed,
	int inside_fd, int outside_fd);
void relay_end_all(struct relay_owner *o);

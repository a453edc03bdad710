/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swaphost: where a secret may be swapped in for its placeholder (boundary/swap.h). One of
 *
 *	api.example.org       *.example.org       over TLS, on port 443
 *	api.example.org:8443                      over TLS, on that port
 *	http://api.example.org                    in the clear, on port 80, or with :PORT on another
 *
 * Addresses are not taken: nobody vouches for who is at one.
 */
#pragma once

#include "wire/allow.h"

enum {
	SWAP_SECRETS_MAX = 32, /* of a sandbox */
	SWAP_HOSTS_MAX = 64,   /* of a secret */
	SWAP_VALUE_MIN = 8,    /* less would be found everywhere */
	SWAP_VALUE_MAX = 4096,
	SWAP_BYTES_MAX = 96 * 1024, /* of all values and hosts of a sandbox */
};

struct swaphost {
	struct allow_rule rule; /* a name, and always a port */
	bool is_plain;
};

enum { SWAPHOST_RULE_SIZE = DNS_NAME_SIZE + 16 };

int swaphost_parse(struct str text, struct swaphost *ret, struct error *err);
/* `name` is lower-cased, without a final dot. */
bool swaphost_is(const struct swaphost *h, const char *name, int port);
/* The rule of an allow list that lets somebody go there. */
void swaphost_rule(const struct swaphost *h, char ret[SWAPHOST_RULE_SIZE]);

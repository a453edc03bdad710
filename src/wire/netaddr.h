/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netaddr: internet addresses as 128 bits, and which of them nobody outside should be able to have
 * named. An IPv4 address is ::ffff:a.b.c.d here; compatible, NAT64 and 6to4 forms of one are
 * unwrapped to it.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

struct netaddr {
	uint8_t bytes[16];
};

struct netrange {
	struct netaddr address;
	unsigned bits; /* 0 to 128 */
};

struct sockaddr;

enum { NETADDR_TEXT_MAX = 64 };

int netaddr_parse(struct str text, struct netaddr *ret, struct error *err);
struct netaddr netaddr_v4(uint32_t host_order);
/* The reverse: in host order; -1 if it is none of IPv4. */
int netaddr_to_v4(const struct netaddr *a, uint32_t *ret);
/* Of an AF_INET or AF_INET6 socket address. */
int netaddr_from(const struct sockaddr *address, struct netaddr *ret, struct error *err);
void netaddr_text(const struct netaddr *a, char ret[NETADDR_TEXT_MAX]);

/* "10.0.0.0/8", "fd00::/8", or one address. */
int netrange_parse(struct str text, struct netrange *ret, struct error *err);
/* All of it is. */
bool netrange_is_private(const struct netrange *r);
bool netrange_has(const struct netrange *r, const struct netaddr *a);

/* What serves secrets to whoever can reach it: denied whatever is allowed. */
bool netaddr_is_metadata(const struct netaddr *a);
/* Private, local, reserved or multicast: not an address of the public internet. */
bool netaddr_is_private(const struct netaddr *a);

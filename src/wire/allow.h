/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allow: the list of what a sandbox may connect to. A rule is one of
 *
 *	pypi.org            *.pythonhosted.org         that name; every name below it, and not itself
 *	github.com:22       10.1.2.0/24:5432           with a port; without: 80 and 443
 *	203.0.113.7         [fd00::7]:443              an address or a range of them
 *
 * What a name leads to is checked by whoever resolves it: a name lets nobody into a private
 * network, an address in the list does. Metadata services of clouds cannot be allowed at all.
 */
#pragma once

#include "wire/dns.h"
#include "wire/netaddr.h"

enum { ALLOW_RULES_MAX = 256, ALLOW_PORTS_MAX = 16 };

struct allow_rule {
	char name[DNS_NAME_SIZE]; /* "": range counts */
	bool is_below;            /* names below `name` */
	struct netrange range;
	uint16_t port; /* 0: 80 and 443 */
};

struct allow {
	struct allow_rule *rules; /* heap */
	size_t n;
	uint16_t ports[ALLOW_PORTS_MAX]; /* every port of the rules, once */
	size_t n_ports;
};

int allow_rule_parse(struct str text, struct allow_rule *ret, struct error *err);
/* Whatever the port. */
bool allow_rule_has_name(const struct allow_rule *r, const char *name);
/* ERROR_LIMIT for more than ALLOW_RULES_MAX rules or ALLOW_PORTS_MAX ports. */
int allow_add(struct allow *a, struct str text, struct error *err);
void allow_fini(struct allow *a);

/* port 0: on any. `name` is lower-cased, without a final dot. */
bool allow_has_name(const struct allow *a, const char *name, int port);
bool allow_has_address(const struct allow *a, const struct netaddr *address, int port);

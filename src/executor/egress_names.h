/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress_names: addresses that stand for names. Each name gets one, once; an address is never given
 * twice.
 */
#pragma once

#include "base/map.h"

#include <stdint.h>

#define EGRESS_POOL       0xc6120000U /* 198.18.0.0/15, set aside for tests of networks: nobody's */
#define EGRESS_POOL_FIRST (EGRESS_POOL + 0x100U)

enum { EGRESS_NAMES_MAX = 65536 };

struct egress_names {
	char **names; /* by address, from EGRESS_POOL_FIRST on */
	size_t n, cap;
	struct map by_name; /* struct map values: the index + 1 */
};

void egress_names_fini(struct egress_names *names);
/* In host order; 0: EGRESS_NAMES_MAX names have one. */
uint32_t egress_names_address(struct egress_names *names, const char *name);
const char *egress_names_find(const struct egress_names *names, uint32_t address); /* NULL: none */

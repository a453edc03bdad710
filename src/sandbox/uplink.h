/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uplink: what leads out of a sandbox whose network is bridge or pasta. It is attached once the
 * sandbox is built and before anybody has it, by the supervisor, which it takes some 10 ms; nothing
 * of it outlives the sandbox or the supervisor.
 */
#pragma once

#include "sandbox/launch.h"
#include "sandbox/pasta.h"
#include "sandbox/router.h"

struct uplink {
	struct router_port port;
	struct pasta pasta;
	int decisions_fd; /* what is let through and refused (filterlog.h); -1: nobody tells */
};

#define UPLINK_INIT ((struct uplink){ .pasta = PASTA_INIT, .decisions_fd = -1 })

static inline bool uplink_is_wanted(uint32_t network)
{
	return network == NETWORK_BRIDGE || network == NETWORK_PASTA;
}

int uplink_attach(struct router *r, uint32_t network, const struct spec_net *net,
	const struct box *box, const char *run_dir, struct uplink *ret, struct error *err);
/* Whether there would be one on this host: done, and undone. */
int uplink_probe(uint32_t network, const char *run_dir, struct error *err);
void uplink_detach(struct router *r, struct uplink *u);

/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/uplink.h"

#include <unistd.h>

int uplink_attach(struct router *r, uint32_t network, const struct spec_net *net, pid_t init_pid,
	const char *run_dir, struct uplink *ret, struct error *err)
{
	if (network == NETWORK_PASTA)
		return pasta_attach(net, init_pid, &ret->pasta, err);
	if (geteuid() != 0)
		return error_set(err, ERROR_UNSUPPORTED,
			"--network bridge needs root: sudo cay serve; without root there is --network pasta");
	return router_attach(r, net, init_pid, run_dir, &ret->port, err);
}

void uplink_detach(struct router *r, struct uplink *u)
{
	router_detach(r, &u->port);
	pasta_detach(&u->pasta);
}

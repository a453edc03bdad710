/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/uplink.h"

#include "base/auto.h"

#include <unistd.h>

static int check_root(struct error *err)
{
	return geteuid() == 0
		? 0
		: error_set(err, ERROR_UNSUPPORTED,
			  "--network bridge needs root: sudo cay serve; without root there is --network pasta");
}

int uplink_probe(uint32_t network, const char *run_dir, struct error *err)
{
	if (network == NETWORK_PASTA)
		return pasta_probe(err);
	return check_root(err) < 0 ? -1 : router_probe(run_dir, err);
}

int uplink_attach(struct router *r, uint32_t network, const struct spec_net *net,
	const struct box *box, const char *run_dir, struct uplink *ret, struct error *err)
{
	if (network == NETWORK_PASTA)
		return pasta_attach(net, box->init_pid, &box->cgroup, &ret->pasta,
			&ret->decisions_fd, err);
	if (check_root(err) < 0)
		return -1;
	return router_attach(r, net, box->init_pid, run_dir, &ret->port, &ret->decisions_fd, err);
}

void uplink_detach(struct router *r, struct uplink *u)
{
	router_detach(r, &u->port);
	pasta_detach(&u->pasta);
	u->decisions_fd = close_fd(u->decisions_fd);
}

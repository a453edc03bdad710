/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pasta: the network of that name, for who is not root. A process of pasta(1) for each sandbox
 * takes packets from a device in the sandbox's network out as sockets of its user. It is told to
 * forward no port in either direction, to map no address to the host's loopback, and IPv4 alone;
 * what may be begun is decided by rules in the sandbox's own network (fence.h), which are there
 * before the device is and which nothing inside has the capability to change.
 */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/spec.h"

#include <sys/types.h>

struct pasta {
	int pidfd; /* -1: none */
};

#define PASTA_INIT ((struct pasta){ .pidfd = -1 })

/*
 * Returns when the device is there. init_pid: a process in the sandbox's namespaces. cgroup: of the
 * sandbox; it enters the group of its keepers. *ret_decisions_fd: the caller's
 * (filterlog.h), or -1.
 */
int pasta_attach(const struct spec_net *net, pid_t init_pid, const struct cgroup *cgroup,
	struct pasta *ret, int *ret_decisions_fd, struct error *err);
void pasta_detach(struct pasta *p);
/* Whether that would work here: tried in namespaces of its own. */
int pasta_probe(struct error *err);

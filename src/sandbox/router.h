/* SPDX-License-Identifier: Apache-2.0 */
/*
 * router: the network `bridge`. A network namespace of the supervisor's own stands between all its
 * sandboxes and the host. Each sandbox has a pair of devices to it, the rules of the sandbox are
 * there, beyond its reach, and one pair more leads to the host, which hides it behind an address of
 * its own.
 *
 *	sandbox: eth0 ══ b7 ┐
 *	sandbox: eth0 ══ b8 ┼ the router: rules, its own addresses ┤ up ══ cay1a2b3c4d: the host: masquerade ── eth0
 *
 * No device is shared, so there is no neighbour to listen to or to pretend to be; the router
 * forwards from one sandbox to another only where both are of one named network. In the host's own
 * network there is one device, and one table of nft that belongs to a socket of ours (`flags
 * owner`): the kernel removes both when the supervisor is gone, however it ended, and not before.
 * Everything else is in the namespace and ends with it.
 */
#pragma once

#include "sandbox/spec.h"

#include <stdbool.h>

#include <sys/types.h>

enum { ROUTER_MAX = 4000 }; /* sandboxes at once */

struct router {
	int ns_fd;       /* -1: not made yet */
	int keep_fd;     /* the socket that owns the table in the host's network */
	int lock_fd;     /* on its record */
	uint32_t base;   /* of its addresses: a /20 */
	char device[16]; /* in the host's network */
	bool used[ROUTER_MAX];
	uint32_t next;
};

#define ROUTER_INIT                                       \
	{                                                 \
		.ns_fd = -1, .keep_fd = -1, .lock_fd = -1 \
	}

/* Where one is attached. */
struct router_port {
	uint32_t number; /* 0: nowhere */
	char name[SPEC_NAME_SIZE];
};

/*
 * The first one makes the router. init_pid: a process in the sandbox's namespaces. run_dir: for its
 * record. *ret_decisions_fd: the caller's (filterlog.h), or -1.
 */
int router_attach(struct router *r, const struct spec_net *net, pid_t init_pid, const char *run_dir,
	struct router_port *ret, int *ret_decisions_fd, struct error *err);
/* Its devices are gone with its namespace; its rules go now. */
void router_detach(struct router *r, struct router_port *port);
void router_fini(struct router *r);
/* Tries all of it, with nothing attached, and undoes it. */
int router_probe(const char *run_dir, struct error *err);
/* What a supervisor left whose record nobody holds: see launch_sweep. */
int router_sweep(const char *run_dir, bool is_dry_run, void (*found)(void *ctx, const char *what),
	void *ctx, struct error *err);

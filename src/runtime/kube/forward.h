/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: a connection to a port of a pod by way of the cluster's API server, for who has no route
 * to the pods' network: its port forwarding, as a WebSocket. Private to runtime/kube.
 *
 * The subprotocol v4.channel.k8s.io (kubelet's, in every version since 1.6): each message begins
 * with its channel, 0 for bytes, 1 for what went wrong; the first of each says the port in two
 * bytes. There is no half of an end: what closes one way closes both.
 *
 * Each is a connection of its own to the API server, a TLS handshake and three hops, which takes
 * milliseconds to open; only FORWARD_OPENING_MAX are opened at once, and the others wait.
 */
#pragma once

#include "runtime/kube/cluster.h"

enum {
	FORWARD_OPENING_MAX = 8,      /* each holds one of the loop's workers */
	FORWARD_BYTES = 256 * 1024,   /* held for who does not read, each way */
	FORWARD_MESSAGE_MAX = 1 << 20 /* what comes at once */
};

struct forwards {
	struct cluster *cluster;
	struct list waiting, openings, open; /* forward::link, opening::link, forward::link */
	size_t n_openings;
};

struct forward;

struct forward_ops {
	/*
	 * fd: a socket, non-blocking, taken; its closing ends the forward. If the pod's end breaks,
	 * it reads as closed.
	 */
	void (*opened)(void *arg, int fd);
	/* ERROR_FORBIDDEN: the cluster does not let us; else ERROR_UNAVAILABLE. */
	void (*failed)(void *arg, const struct error *err);
};

void forwards_init(struct forwards *forwards, struct cluster *cluster);
void forwards_fini(struct forwards *forwards); /* ends all of them */
/*
 * pod: the path of its object. One of opened and failed comes, from the loop, unless it is dropped
 * before; after either it is not the caller's any more.
 */
struct forward *forward_new(struct forwards *forwards, const char *pod, uint16_t port,
	const struct forward_ops *ops, void *arg);
void forward_drop(struct forward *f); /* NULL is fine */

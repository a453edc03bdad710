/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnl: devices, addresses and routes of IPv4, asked of the kernel over rtnetlink (RFC 3549,
 * rtnetlink(7)). Each function is one request and its answer; the network is the one in which the
 * socket was opened.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

int rtnl_open(int *ret_fd, struct error *err);
/*
 * Both ends with this MTU (0: the standard); the peer is in the network that peer_ns_fd stands for
 * (-1: in this one).
 */
int rtnl_add_veth(int fd, const char *name, const char *peer, int peer_ns_fd, uint32_t mtu,
	struct error *err);
int rtnl_delete(int fd, const char *name, struct error *err);
int rtnl_up(int fd, const char *name, struct error *err);
int rtnl_add_address(int fd, const char *name, uint32_t address, unsigned bits, struct error *err);
/* What has no closer route is nowhere. */
int rtnl_add_unreachable(int fd, uint32_t address, unsigned bits, struct error *err);
/* To address/bits over this device; `via` 0: its neighbours are there. */
int rtnl_add_route(int fd, const char *name, uint32_t address, unsigned bits, uint32_t via,
	struct error *err);

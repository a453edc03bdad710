/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nflog: what the kernel's packet filter tells of a packet (nft: `log group`), in a datagram of
 * netlink. The frame is the kernel's, the packet in it is whatever a sandbox has sent.
 *
 * https://git.netfilter.org/libnetfilter_log, linux/netfilter/nfnetlink_log.h
 */
#pragma once

#include "wire/netaddr.h"

struct nflog_packet {
	struct str prefix; /* of the rule that tells it */
	int protocol;      /* IPPROTO_* */
	struct netaddr to;
	uint16_t port; /* 0: the protocol has none, or it is not in what came */
};

/* The next packet of a datagram, of which *rest is what is left; false when there is none. */
bool nflog_next(struct str *rest, struct nflog_packet *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filterlog: what the packet filter lets through of a sandbox's and what it refuses (fence.h), told
 * by the kernel on a netlink socket: a datagram for each packet that a rule with `log group` sees.
 * The server reads it (wire/nflog.h); the supervisor opens it, keeps a duplicate for the next
 * server, and never looks at what comes.
 *
 * A socket holds what fits into its buffer; the rules tell of so many packets in a second and no
 * more.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

/*
 * In these namespaces; user_ns_fd -1: the caller's own. Whoever sends on it needs CAP_NET_ADMIN
 * there for any effect.
 */
int filterlog_open(int user_ns_fd, int net_ns_fd, uint16_t group, int *ret_fd, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subids: host ids for the agents of an ordinary user's sandboxes. Where the host's root has given
 * the user a range in /etc/subuid and /etc/subgid, and newuidmap(1) is installed, which alone may
 * hand it out, every agent can have an id that is neither its user's nor another agent's
 * (docs/decisions: "An ordinary user's agents have ids of their own").
 *
 * The range is asked for once, by a user namespace that maps it and its user, each id to itself.
 * Who builds sandboxes works in that namespace and may give any of its ids to namespaces below.
 */
#pragma once

#include "base/str.h"
#include "sandbox/host.h"

#define SUBIDS_REMEDY                                                                            \
	"sudo apt-get install uidmap && sudo usermod --add-subuids 524288-589823 --add-subgids " \
	"524288-589823 $USER"

/*
 * The largest range that a table of lines NAME:FIRST:COUNT has for this user, by name or by number.
 */
bool subids_parse(struct str table, struct str name, uint32_t uid, uint32_t *ret_first,
	uint32_t *ret_count);

/*
 * The namespace, and the part of the range that agents get. Nothing is left behind but the
 * descriptor.
 */
int subids_open(const struct host *host, struct host_subids *ret, int *ret_ns_fd,
	struct error *err);

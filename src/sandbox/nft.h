/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft: rules of the kernel's packet filter, as text of nft(8). What is said at once is done at
 * once, or not at all. The texts are ours, made of numbers and of names that spec_check has let
 * through.
 *
 * libnftables is loaded when it is needed, by a child that then goes away: the supervisor itself
 * has none of it, and hosts that have no such network need it not.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <sys/types.h>

#define NFT_REMEDY "sudo apt-get install nftables"

/* In these namespaces; -1: the caller's own. */
int nft_run(int user_ns_fd, int net_ns_fd, struct str text, struct error *err);
/*
 * In the caller's own namespaces. Tables that it makes with `flags owner` belong to a socket, which
 * is *ret_fd: the kernel removes them when the last duplicate of it is closed, however that comes.
 * No process has to live for it.
 */
int nft_keep(struct str text, int *ret_fd, struct error *err);

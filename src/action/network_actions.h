/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_actions: the way to what listens inside a sandbox, on its own network or on a Unix socket.
 *
 * `connect` is a connection as a call: data on channel 0 goes to the socket, what comes from it is data on
 * channel 1. Events:
 *	{"event":"connected","address":"127.0.0.1:8080"}    before any data
 *	{"event":"eof"}                                     the other side sends no more
 * An eof on channel 0 is the same the other way. When both have been said, or the other side takes nothing
 * any more and has said eof, the result is {"sent_bytes":5,"received_bytes":12}.
 */
#pragma once

#include "action/action.h"

enum { CONNECT_TIMEOUT_STANDARD_MS = 10000 };

struct connect_params {
	int64_t port; /* 0: not given */
	struct str host;
	struct str path; /* STR_NONE: not given */
	int64_t timeout_ms;
};

extern const struct action connect_action;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_actions: the way to what listens inside a sandbox, on its own network or on a Unix
 * socket.
 *
 * `connect` is a connection as a call: data on channel 0 goes to the socket, what comes from it is
 * data on channel 1. Events:
 *	{"event":"connected","address":"127.0.0.1:8080"}    before any data
 *	{"event":"eof"}                                     the other side sends no more
 * An eof on channel 0 is the same the other way. When both have been said, or the other side takes
 * nothing any more and has said eof, the result is {"sent_bytes":5,"received_bytes":12}.
 *
 * `egress` and `egress_take` are how the server lets connections out of a sandbox whose network is
 * `proxy`; they are in no table, so nobody else performs them. `egress` goes on until it is
 * cancelled. It catches every connection that is begun in the sandbox to one of the ports, and
 * answers every question for a name. Events:
 *	{"event":"connection","id":7,"name":"pypi.org","port":443}       or "address" instead of "name":
 *	                                      who may go there; taken, or let go of, within 30 s
 *	{"event":"refused","name":"evil.org","port":443,"reason":"…"}    port 0: it was asked for by name
 * The control {"drop":7,"reason":"…"} refuses one. `egress_take` {"id":7} is the connection, as
 * with `connect`.
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

struct egress_params {
	struct field_strings allow; /* wire/allow.h */
};

struct egress_take_params {
	int64_t id;
};

extern const struct action connect_action, egress_action, egress_take_action;

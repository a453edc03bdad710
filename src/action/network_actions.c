/* SPDX-License-Identifier: Apache-2.0 */
#include "action/network_actions.h"

static const struct field connect_fields[] = {
	{ "port", FIELD_INT, FIELD_AT(struct connect_params, port), .min = 1, .max = 65535,
		.help = "TCP port to connect to" },
	{ "host", FIELD_STRING, FIELD_AT(struct connect_params, host), .standard = "localhost",
		.help = "address as the sandbox's own network knows it: localhost, or an IP address" },
	{ "path", FIELD_STRING, FIELD_AT(struct connect_params, path), FIELD_PATH,
		.help = "a Unix socket in the sandbox, instead of port and host" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct connect_params, timeout_ms), .min = 1,
		.max = 600000, .standard = "10000", .help = "how long connecting may take" },
	{ 0 },
};

const struct action connect_action = {
	.name = "connect",
	.group = "network",
	.summary = "connect to what listens inside the sandbox",
	.result =
		"sent_bytes, received_bytes, once both sides have ended; before it data both ways "
		"(0: to the socket, 1: from it) and the events connected and eof",
	.fields = connect_fields,
	.params_size = sizeof(struct connect_params),
	.flags = ACTION_STREAMS_IN | ACTION_STREAMS_OUT | ACTION_READS | ACTION_RAW,
};

static const struct field egress_fields[] = {
	{ "allow", FIELD_STRINGS, FIELD_AT(struct egress_params, allow), FIELD_REQUIRED,
		.help = "what may be connected to: NAME, *.NAME, ADDRESS or ADDRESS/BITS, each with :PORT or without" },
	{ 0 },
};

const struct action egress_action = {
	.name = "egress",
	.group = "network",
	.summary = "catch connections that are begun in the sandbox",
	.result = "none: it goes on until it is cancelled",
	.fields = egress_fields,
	.params_size = sizeof(struct egress_params),
	.flags = ACTION_STREAMS_OUT | ACTION_READS,
};

static const struct field egress_take_fields[] = {
	{ "id", FIELD_INT, FIELD_AT(struct egress_take_params, id), FIELD_REQUIRED, .min = 1,
		.max = INT64_MAX, .help = "as the event connection told it" },
	{ 0 },
};

const struct action egress_take_action = {
	.name = "egress_take",
	.group = "network",
	.summary = "be the other side of a connection that was caught",
	.result = "sent_bytes, received_bytes, once both sides have ended",
	.fields = egress_take_fields,
	.params_size = sizeof(struct egress_take_params),
	.flags = ACTION_STREAMS_IN | ACTION_STREAMS_OUT | ACTION_READS,
};

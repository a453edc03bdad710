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

/* SPDX-License-Identifier: Apache-2.0 */
#include "action/executor_actions.h"

static const struct field configure_fields[] = {
	{ "env", FIELD_MAP, FIELD_AT(struct configure_params, env), FIELD_SECRET,
		.help = "variables for every session and process started from now on, on top of those set before; "
			"an empty value unsets" },
	{ "workdir", FIELD_STRING, FIELD_AT(struct configure_params, workdir),
		.help = "where sessions and processes start" },
	{ "user", FIELD_STRING, FIELD_AT(struct configure_params, user),
		.help = "who they run as, by name or number; standard: who the executor is" },
	{ "secrets", FIELD_STRINGS, FIELD_AT(struct configure_params, secrets),
		.help = "names of variables whose values are masked in everything that is reported, but for files and connections as they are" },
	{ "trust", FIELD_STRING, FIELD_AT(struct configure_params, trust),
		.help = "certificates (PEM) that programs shall believe beside those of the sandbox: a file of all, and the variables that name it" },
	{ "sudo", FIELD_BOOL, FIELD_AT(struct configure_params, has_sudo),
		.help = "let the user become root with sudo, without a password; only where the executor is root" },
	{ 0 },
};

const struct action configure_action = {
	.name = "configure",
	.group = "executor",
	.summary = "set environment, directory and user of what is started",
	.result = "workdir, user: in force from now on",
	.fields = configure_fields,
	.params_size = sizeof(struct configure_params),
};

static const struct field no_fields[] = { { 0 } };

const struct action info_action = {
	.name = "info",
	.group = "executor",
	.summary = "tell how the sandbox is doing",
	.result =
		"version, user, uid, gid, hostname, home, workdir, uptime_ms, idle_ms (since the last call), calls, "
		"sessions, processes (running), processes_retained, disk_bytes, disk_limit_bytes, "
		"disk_inodes, disk_limit_inodes (of the file system that holds workdir), rss_bytes (of the "
		"executor)",
	.fields = no_fields,
	.params_size = sizeof(struct info_params),
	.flags = ACTION_READS,
};

const struct action subscribe_action = {
	.name = "subscribe",
	.group = "executor",
	.summary = "follow what begins and ends in the sandbox",
	.result =
		"never comes; events: {\"event\":\"session_started\" | \"session_ended\" | \"process_started\" | "
		"\"process_ended\" | \"kernel_started\" | \"kernel_ended\", …}",
	.fields = no_fields,
	.params_size = sizeof(struct subscribe_params),
	.flags = ACTION_STREAMS_OUT | ACTION_READS,
};

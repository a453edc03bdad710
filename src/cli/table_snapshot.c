/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes of sandboxes: snapshot, fork. */
#include "cli/options.h"
#include "cli/tables.h"

enum { FORK_MAX = 64 };

#define LIVE(type)                                                                                  \
	{                                                                                           \
		"live", 0, OPTION_FLAG, OPTION_AT(type, live),                                      \
			.help = "do not bring its processes to rest: where the server cannot, and " \
				"nobody writes meanwhile"                                           \
	}

static const struct command_option snapshot_options[] = {
	LIVE(struct snapshot_options),
	{ 0 },
};

static const struct command_argument snapshot_arguments[] = {
	ONE_SANDBOX,
	{ "NAME", ARGUMENT_OPTIONAL, COMPLETE_NOTHING,
		"what the image is called, NAME or NAME:TAG; it is taken from who had it" },
	{ 0 },
};

const struct command command_snapshot = {
	.name = "snapshot",
	.group = "Sandboxes",
	.summary = "make an image of a sandbox: what it has changed, above its own image",
	.also = "commit checkpoint save",
	.description =
		"Prints the image's id. Its processes rest meanwhile, and go on. They are no part of it, nor are "
		"sessions, variables and secrets; a workspace that is a copy is. Make as many sandboxes of it as you like, "
		"with `cay create --image`; `cay image rm` removes it.",
	.examples =
		(const struct command_example[]){
			{ "cay snapshot demo prepared:1 && cay create --image prepared:1",
				"Prepare once, begin from there:" },
			{ 0 } },
	.arguments = snapshot_arguments,
	.options = { snapshot_options, server_options, json_options },
	.values_size = sizeof(struct snapshot_options),
};

#define FORK(member) OPTION_AT(struct fork_options, member)

static const struct command_option fork_options[] = {
	{ "name", 0, OPTION_TEXT, FORK(name), "NAME",
		"what the new one is called; of several NAME-1, NAME-2, …" },
	{ "count", 'n', OPTION_INT, FORK(count), "N", "how many to make", .standard = "1", .min = 1,
		.max = FORK_MAX },
	{ "env", 'e', OPTION_TEXTS, FORK(env), "NAME[=VALUE]",
		"set a variable, or pass the caller's on: those of the other one are not known any more; may be "
		"given often" },
	{ "timeout", 0, OPTION_DURATION, FORK(timeout_ms), "TIME",
		"end it after this long (default: as the other one was asked for)" },
	{ "idle-timeout", 0, OPTION_DURATION, FORK(idle_timeout_ms), "TIME",
		"end it when nothing was done in it for so long (the same)" },
	LIVE(struct fork_options),
	{ 0 },
};

static const struct command_argument fork_arguments[] = {
	ONE_SANDBOX,
	{ 0 },
};

const struct command command_fork = {
	.name = "fork",
	.group = "Sandboxes",
	.summary = "make sandboxes that begin with the files that another one has now",
	.also = "clone branch duplicate",
	.description =
		"Prints their ids. They have the limits, the network and the mounted directories of the other one, "
		"and the files that it has at this moment; neither sees what the other does from then on. Processes "
		"and sessions stay where they are. What was changed is copied once; who forks the same "
		"state often makes a `cay snapshot` and creates from that.",
	.examples =
		(const struct command_example[]){ { "cay fork demo --count 3 --name try",
							  "Three ways to go on, try-1 to try-3:" },
			{ 0 } },
	.arguments = fork_arguments,
	.options = { fork_options, server_options, json_options },
	.values_size = sizeof(struct fork_options),
};

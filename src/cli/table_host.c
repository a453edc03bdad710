/* SPDX-License-Identifier: Apache-2.0 */
/* This machine, and cay itself. */
#include "cli/executor_image.h"
#include "cli/options.h"
#include "cli/tables.h"

static const struct command_option doctor_options[] = {
	{ "attack", 0, OPTION_FLAG, OPTION_AT(struct doctor_options, attack),
		.help = "attack a sandbox from within and tell what got through: should be nothing" },
	{ "state", 0, OPTION_TEXT, OPTION_AT(struct doctor_options, state), "DIR",
		"the state directory whose images are looked at (default: where `cay serve` has it)",
		.complete = COMPLETE_DIR },
	{ 0 },
};

const struct command command_doctor = {
	.name = "doctor",
	.group = "Host",
	.summary = "tell what this machine gives, and what would lift each lack",
	.also = "check info",
	.options = { doctor_options, json_options },
	.values_size = sizeof(struct doctor_options),
};

static const struct command_option executor_image_options[] = {
	{ "name", 0, OPTION_TEXT, OPTION_AT(struct executor_image_options, name), "NAME",
		"what the image is called (default: cay-executor:VERSION)" },
	{ 0 },
};

const struct command command_executor_image = {
	.name = "executor-image",
	.group = "Host",
	.summary = "write an image that holds the executor, as docker save does",
	.description =
		"It is for `cay serve --backend kubernetes`, whose pods get their executor from it: load it into the nodes or push it to a "
		"registry, and name it in cay.toml, [kubernetes] executor_image.",
	.examples =
		(const struct command_example[]){
			{ "cay executor-image --name registry.example/cay-executor:1 | docker load",
				"Into Docker, to be pushed from there:" },
			{ 0 } },
	.options = { executor_image_options, help_options },
	.values_size = sizeof(struct executor_image_options),
};

static const struct command_option gc_options[] = {
	{ "dry-run", 'n', OPTION_FLAG, OPTION_AT(struct gc_options, dry_run),
		.help = "print what would be removed, and remove nothing" },
	{ "engine", 0, OPTION_TEXT, OPTION_AT(struct gc_options, engine), "SOCKET",
		"the Docker engine whose containers are looked through (default: that of DOCKER_HOST, or whose socket is "
		"where it usually is, if it answers)",
		.complete = COMPLETE_FILE },
	{ "state", 0, OPTION_TEXT, OPTION_AT(struct gc_options, state), "DIR",
		"the state directory of a server that runs no more (default: where `cay serve` has it)",
		.complete = COMPLETE_DIR },
	{ 0 },
};

const struct command command_gc = {
	.name = "gc",
	.group = "Host",
	.summary = "remove what crashed servers and killed commands left behind",
	.description =
		"Prints one line for each thing, and normally nothing: whatever a sandbox had is gone with it.",
	.options = { gc_options, json_options },
	.values_size = sizeof(struct gc_options),
};

const struct command command_version = {
	.name = "version",
	.group = "Host",
	.summary = "print the version",
	.options = { json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command_argument help_arguments[] = {
	{ "COMMAND", ARGUMENT_OPTIONAL, COMPLETE_COMMAND, "the command to tell about" },
	{ 0 },
};

const struct command command_help = {
	.name = "help",
	.group = "Host",
	.summary = "tell about the commands, or about one of them",
	.arguments = help_arguments,
	.options = { help_options },
	.values_size = sizeof(struct common_options),
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Every command, in the order of the help; and what several of them share. */
#include "cli/options.h"
#include "cli/tables.h"

const struct command_option help_options[] = {
	{ "help", 'h', OPTION_FLAG, OPTION_AT(struct common_options, help),
		.help = "show this text" },
	{ 0 },
};

const struct command_option json_options[] = {
	{ "json", 0, OPTION_FLAG, OPTION_AT(struct common_options, json),
		.help = "print JSON, for programs" },
	{ "help", 'h', OPTION_FLAG, OPTION_AT(struct common_options, help),
		.help = "show this text" },
	{ 0 },
};

const struct command_option server_options[] = {
	{ "url", 0, OPTION_TEXT, OPTION_AT(struct common_options, url), "URL",
		"where the server is: http://HOST:PORT, https://HOST or unix:/PATH; openhands+http://HOST for "
		"an OpenHands Remote Runtime API, action+http://HOST for an action execution server, "
		"daytona+http://HOST/api for a Daytona server (default: "
		"CAY_URL, or the socket of a server on this machine)" },
	{ 0 },
};

const struct command_argument program_argument[] = {
	{ "COMMAND", ARGUMENT_COMMAND, COMPLETE_PROGRAM, "the program to run, and its arguments" },
	{ 0 },
};
const struct command_argument some_sandboxes_argument[] = {
	{ "SANDBOX", ARGUMENT_MANY, COMPLETE_SANDBOX,
		"names, ids, or the first 4 or more characters of ids" },
	{ 0 },
};
const struct command_argument sandboxes_argument[] = {
	{ "SANDBOX", ARGUMENT_OPTIONAL | ARGUMENT_MANY, COMPLETE_SANDBOX,
		"names, ids, or the first 4 or more characters of ids" },
	{ 0 },
};

const struct command *const command_table[] = {
	&command_run,
	&command_serve,
	&command_image,
	&command_mcp,
	&command_config,
	&command_create,
	&command_exec,
	&command_py,
	&command_tool,
	&command_browse,
	&command_act,
	&command_shell,
	&command_cp,
	&command_port,
	&command_token,
	&command_logs,
	&command_events,
	&command_ls,
	&command_stats,
	&command_pause,
	&command_resume,
	&command_snapshot,
	&command_fork,
	&command_stop,
	&command_rm,
	&command_git,
	&command_confirmations,
	&command_confirm,
	&command_reject,
	&command_doctor,
	&command_executor_image,
	&command_gc,
	&command_version,
	&command_help,
	NULL,
};

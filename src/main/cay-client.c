/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that talk to a server. `cay` runs this program with its own command line. */
#include "cli/client.h"
#include "cli/help.h"

static const struct command_binding bindings[] = {
	{ "act", act_main },
	{ "browse", browse_main },
	{ "confirm", confirm_main },
	{ "confirmations", confirmations_main },
	{ "cp", cp_main },
	{ "create", create_main },
	{ "events", events_main },
	{ "exec", exec_main },
	{ "fork", fork_main },
	{ "git", git_main },
	{ "help", help_main },
	{ "logs", logs_main },
	{ "ls", ls_main },
	{ "image", image_main },
	{ "mcp", mcp_main },
	{ "pause", pause_main },
	{ "port", port_main },
	{ "py", py_main },
	{ "reject", reject_main },
	{ "resume", resume_main },
	{ "rm", rm_main },
	{ "shell", shell_main },
	{ "snapshot", snapshot_main },
	{ "stats", stats_main },
	{ "stop", stop_main },
	{ "token", token_main },
	{ "tool", tool_main },
	{ "version", version_main },
	{ 0 },
};

int main(int argc, char **argv)
{
	return command_main(bindings, NULL, argc, argv);
}

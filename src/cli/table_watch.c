/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxes do, how they end, and what somebody has to agree to. */
#include "cli/options.h"
#include "cli/tables.h"

static const struct command_option logs_options[] = {
	{ "follow", 'f', OPTION_FLAG, OPTION_AT(struct logs_options, follow),
		.help = "go on until the process has ended" },
	RAW(struct logs_options),
	{ 0 },
};

static const struct command_argument logs_arguments[] = {
	ONE_SANDBOX,
	{ "PROCESS", ARGUMENT_OPTIONAL, COMPLETE_NOTHING,
		"its id or name; without it they are listed" },
	{ 0 },
};

const struct command command_logs = {
	.name = "logs",
	.group = "Sandboxes",
	.summary = "show what a process wrote, or list the processes",
	.examples = (const struct command_example[]){ { "cay logs -f demo p1",
							      "Follow the first process:" },
		{ 0 } },
	.arguments = logs_arguments,
	.options = { logs_options, server_options, json_options },
	.values_size = sizeof(struct logs_options),
};

static const struct command_option events_options[] = {
	{ "follow", 'f', OPTION_FLAG, OPTION_AT(struct events_options, follow),
		.help = "go on with what happens from now on" },
	{ "after", 0, OPTION_INT, OPTION_AT(struct events_options, after), "N",
		"only events with a number above N", .min = 0, .max = INT64_MAX, .standard = "0" },
	RAW(struct events_options),
	{ 0 },
};

static const struct command_argument events_arguments[] = {
	{ "SANDBOX", ARGUMENT_OPTIONAL, COMPLETE_SANDBOX,
		"name or id; without it, of all sandboxes" },
	{ 0 },
};

const struct command command_events = {
	.name = "events",
	.group = "Sandboxes",
	.summary = "show what was done, and what came of it",
	.also = "history audit",
	.description = "One line per event; with --json one object per line.",
	.examples = (const struct command_example[]){ { "cay events -f demo",
							      "Watch an agent at work:" },
		{ 0 } },
	.arguments = events_arguments,
	.options = { events_options, server_options, json_options },
	.values_size = sizeof(struct events_options),
};

static const struct command_option ls_options[] = {
	{ "all", 'a', OPTION_FLAG, OPTION_AT(struct ls_options, all),
		.help = "those that ended, too" },
	{ "quiet", 'q', OPTION_FLAG, OPTION_AT(struct ls_options, quiet), .help = "only the ids" },
	{ 0 },
};

const struct command command_ls = {
	.name = "ls",
	.group = "Sandboxes",
	.summary = "list the sandboxes",
	.also = "ps list",
	.options = { ls_options, server_options, json_options },
	.values_size = sizeof(struct ls_options),
};

const struct command command_stats = {
	.name = "stats",
	.group = "Sandboxes",
	.summary = "show what sandboxes use",
	.also = "top",
	.description = "Without an argument: every sandbox that lives.",
	.arguments = sandboxes_argument,
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

const struct command command_pause = {
	.name = "pause",
	.group = "Sandboxes",
	.summary = "freeze everything that runs in sandboxes",
	.also = "freeze",
	.description = "Memory and files stay; actions are refused until cay resume.",
	.arguments = some_sandboxes_argument,
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

const struct command command_resume = {
	.name = "resume",
	.group = "Sandboxes",
	.summary = "let frozen sandboxes go on",
	.also = "unpause",
	.arguments = some_sandboxes_argument,
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

const struct command command_stop = {
	.name = "stop",
	.group = "Sandboxes",
	.summary = "end everything that runs in sandboxes",
	.also = "kill halt",
	.description = "What is known of them stays until cay rm.",
	.arguments = some_sandboxes_argument,
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command_option rm_options[] = {
	{ "all", 'a', OPTION_FLAG, OPTION_AT(struct rm_options, all), .help = "every sandbox" },
	{ 0 },
};

const struct command command_rm = {
	.name = "rm",
	.group = "Sandboxes",
	.summary = "remove sandboxes with all that is in them",
	.also = "delete remove destroy",
	.description = "Returns when nothing of them is left. Their events stay.",
	.arguments = sandboxes_argument,
	.options = { rm_options, server_options, json_options },
	.values_size = sizeof(struct rm_options),
};

#define GIT(member) OPTION_AT(struct git_options, member)

static const struct command_option git_options[] = {
	{ "directory", 'C', OPTION_TEXT, GIT(directory), "DIR",
		"where the repository is, or where to clone to; relative to the workdir" },
	{ "branch", 'b', OPTION_TEXT, GIT(branch), "NAME", "clone, pull, push: this branch" },
	{ "git-token", 0, OPTION_TEXT, GIT(token_env), "VARIABLE",
		"the variable that holds a token, which nobody gets to see",
		.standard = "CAY_GIT_TOKEN" },
	{ "host", 0, OPTION_TEXT, GIT(host), "https://HOST",
		"pull, push: who the token is for; without it none is used" },
	{ "force", 0, OPTION_FLAG, GIT(force),
		.help = "push: overwrite what nobody else has changed meanwhile" },
	{ "create", 0, OPTION_FLAG, GIT(create), .help = "branch: make it" },
	{ "depth", 0, OPTION_INT, GIT(depth), "N", "clone: only so many commits", .min = 1,
		.max = 1000000 },
	{ 0 },
};

static const struct command_argument git_arguments[] = {
	ONE_SANDBOX,
	{ "VERB", 0, COMPLETE_NOTHING, "branch, changes, clone, init, pull or push" },
	{ "ARGUMENT", ARGUMENT_OPTIONAL, COMPLETE_NOTHING,
		"clone: the URL; branch: its name; pull and push: the remote (origin)" },
	{ 0 },
};

const struct command command_git = {
	.name = "git",
	.group = "Sandboxes",
	.summary = "work with a repository of a sandbox",
	.description =
		"Runs the sandbox's own git, inside. A token goes to git for one host, and becomes part of no URL, "
		"file, variable, event or log. changes lists what differs from where the branch left its origin: A "
		"(added or untracked), M, D, U.",
	.examples =
		(const struct command_example[]){
			{ "CAY_GIT_TOKEN=$(gh auth token) cay git demo clone me/project",
				"Clone a private repository:" },
			{ "cay git demo changes -C project", "What an agent has changed:" },
			{ 0 } },
	.arguments = git_arguments,
	.options = { git_options, server_options, json_options },
	.values_size = sizeof(struct git_options),
};

const struct command command_confirmations = {
	.name = "confirmations",
	.group = "Guard",
	.summary = "list the actions that wait to be confirmed",
	.also = "guard",
	.options = { server_options, json_options },
	.values_size = sizeof(struct common_options),
};

static const struct command_option confirm_options[] = {
	{ "reason", 0, OPTION_TEXT, OPTION_AT(struct confirm_options, reason), "TEXT",
		"why; it stands in the events" },
	{ 0 },
};

static const struct command_argument confirm_arguments[] = {
	{ "ID", ARGUMENT_MANY, COMPLETE_NOTHING, "of `cay confirmations`" },
	{ 0 },
};

const struct command command_confirm = {
	.name = "confirm",
	.group = "Guard",
	.summary = "let actions be performed that a guard holds back",
	.description =
		"Shows the approver's token, CAY_APPROVER_TOKEN or the file approver-token in the state directory: "
		"who may act in sandboxes may not confirm.",
	.examples = (const struct command_example[]){ { "cay confirmations", "What waits:" },
		{ "cay confirm 01J… --reason \"asked for it\"", "Let it happen:" }, { 0 } },
	.arguments = confirm_arguments,
	.options = { confirm_options, server_options, help_options },
	.values_size = sizeof(struct confirm_options),
};

const struct command command_reject = {
	.name = "reject",
	.group = "Guard",
	.summary = "refuse actions that a guard holds back",
	.arguments = confirm_arguments,
	.options = { confirm_options, server_options, help_options },
	.values_size = sizeof(struct confirm_options),
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"
#include "cli/tables.h"

static const struct command_option token_options[] = {
	{ "for", 0, OPTION_DURATION, OPTION_AT(struct token_options, lifetime_ms), "TIME",
		"how long it is good, such as 10m or 7d, 30 days at most", .standard = "1h" },
	{ "write", 0, OPTION_FLAG, OPTION_AT(struct token_options, write),
		.help = "with PATH: to upload the file, not to download it" },
	{ 0 },
};

static const struct command_argument token_arguments[] = {
	ONE_SANDBOX,
	{ "PATH", ARGUMENT_OPTIONAL, COMPLETE_NOTHING, "a file in it" },
	{ 0 },
};

const struct command token_command = {
	.name = "token",
	.group = "Sandboxes",
	.summary = "make a token for one sandbox, or a link for one file of it",
	.description =
		"The token, shown in place of the server's (CAY_TOKEN, or a bearer token), is good for everything in "
		"that sandbox and about it, and for nothing else. With PATH a link is printed by which anybody who has "
		"it downloads that file, or with --write uploads it, without any token.\n\n"
		"Neither is kept anywhere. Both end at their time, with the sandbox, or when the server gets another "
		"token, and no sooner.",
	.examples =
		"CAY_TOKEN=$(cay token demo) cay exec demo ls\0As somebody who may do nothing else:\0"
		"curl -OJ $(cay token demo report.pdf --for 10m)\0A file, for ten minutes:\0",
	.arguments = token_arguments,
	.options = { token_options, server_options, json_options },
	.values_size = sizeof(struct token_options),
};

/* SPDX-License-Identifier: Apache-2.0 */
/* tables: what the rows of command_table (cli/command.h) share where they are in several files. */
#pragma once

#include "cli/command.h"

#define ONE_SANDBOX                                                            \
	{                                                                      \
		"SANDBOX", 0, COMPLETE_SANDBOX,                                \
			"its name, its id, or the first 4 or more characters " \
			"of the id"                                            \
	}

extern const struct command_option json_options[];   /* --json, --help */
extern const struct command_option server_options[]; /* --url */

extern const struct command token_command; /* table_token.c */

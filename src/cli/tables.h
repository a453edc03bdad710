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

#define RAW(type)                                                                         \
	{                                                                                 \
		"raw", 0, OPTION_FLAG, OPTION_AT(type, raw),                              \
			.help = "on a terminal too, print control characters as they are" \
	}

/*
 * Where the exit status is another program's, ours is what env, timeout and docker use for their
 * own.
 */
enum { OWN_FAILURE = 125 };

extern const struct command_option help_options[];   /* --help */
extern const struct command_option json_options[];   /* --json, --help */
extern const struct command_option server_options[]; /* --url */
extern const struct command_option spec_options[];   /* what a sandbox shall be */
extern const struct command_option create_options[]; /* … and what only a server does about it */

extern const struct command_argument program_argument[];        /* COMMAND */
extern const struct command_argument some_sandboxes_argument[]; /* SANDBOX… */
extern const struct command_argument sandboxes_argument[];      /* [SANDBOX…] */

/* table_make.c */
extern const struct command command_run;
extern const struct command command_config;
extern const struct command command_serve;
extern const struct command command_create;

/* table_work.c */
extern const struct command command_exec;
extern const struct command command_tool;
extern const struct command command_py;
extern const struct command command_browse;
extern const struct command command_act;
extern const struct command command_shell;
extern const struct command command_cp;
extern const struct command command_port;
extern const struct command command_mcp;
extern const struct command command_token;

/* table_snapshot.c */
extern const struct command command_snapshot;
extern const struct command command_fork;

/* table_image.c */
extern const struct command command_image;

/* table_watch.c */
extern const struct command command_logs;
extern const struct command command_events;
extern const struct command command_ls;
extern const struct command command_stats;
extern const struct command command_pause;
extern const struct command command_resume;
extern const struct command command_stop;
extern const struct command command_rm;
extern const struct command command_git;
extern const struct command command_confirmations;
extern const struct command command_confirm;
extern const struct command command_reject;

/* table_host.c */
extern const struct command command_doctor;
extern const struct command command_executor_image;
extern const struct command command_gc;
extern const struct command command_version;
extern const struct command command_help;

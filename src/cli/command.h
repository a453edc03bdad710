/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: a command of `cay` is one const row: its name, its options, what it does. The parser, --help,
 * the manual page and the shell completion derive from the row.
 *
 *	struct stop_options { int64_t timeout_ms; bool is_quiet; };
 *	static const struct option_row stop_options[] = {
 *		{ "timeout", 0, OPTION_DURATION, OPTION_AT(struct stop_options, timeout_ms), "TIME",
 *			.help = "how long to wait", .standard = "10s" },
 *		{ "quiet", 'q', OPTION_FLAG, OPTION_AT(struct stop_options, is_quiet), .help = "say nothing" },
 *		{ 0 },
 *	};
 *	const struct command stop_command = {
 *		.name = "stop", .arguments = "SANDBOX", .min_arguments = 1, .max_arguments = 1,
 *		.options = stop_options, .options_size = sizeof(struct stop_options), .run = stop_run,
 *	};
 *
 * Every command is listed once in command.def, with the program that holds it and its summary.
 * Options may be given as --name VALUE, --name=VALUE, -xVALUE, -x VALUE; short flags may be joined; `--`
 * ends them. Every command has --help. A wrong command line is exit code 2 (`cay run`: 125).
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

enum option_type {
	OPTION_FLAG = 1, /* bool */
	OPTION_STRING,   /* const char *, into argv */
	OPTION_INT,      /* int64_t */
	OPTION_SIZE,     /* int64_t, bytes: "512M" */
	OPTION_DURATION, /* int64_t, milliseconds: "10s" */
	OPTION_LIST,     /* struct option_list: may be given more than once */
};

enum { OPTION_LIST_MAX = 64 };

struct option_list {
	size_t n;
	const char *items[OPTION_LIST_MAX];
};

struct option_row {
	const char *name; /* without "--" */
	char letter;      /* 0: none */
	enum option_type type;
	size_t offset;
	const char *value;        /* what the help calls its value: "DIR" */
	const char *help;         /* no capital, no full stop */
	const char *standard;     /* the default, as text; NULL: zero */
	int64_t min, max;         /* OPTION_INT; both 0: any */
	const char *const *words; /* OPTION_STRING: the only values allowed, NULL-terminated */
};

#define OPTION_AT(type, member) offsetof(type, member)

enum {
	COMMAND_STOPS = 1, /* options end at the first argument, as in `env` and `sudo` */
};

struct command {
	const char *name;
	const char *arguments;            /* "[--] COMMAND [ARGUMENT…]"; NULL: none */
	int min_arguments, max_arguments; /* max -1: any number */
	const char *details;  /* paragraphs for --help and the manual page; NULL: none */
	const char *examples; /* lines; NULL: none */
	const struct option_row *options;
	size_t options_size;
	int flags;
	int bad_usage_exit; /* 0: that of ERROR_INVALID */
	/* Returns the exit code. options: filled; argv: the arguments, NULL-terminated. */
	int (*run)(const void *options, int argc, char **argv);
};

struct command_name {
	const char *name;
	const char *program; /* that holds it; NULL: `cay` itself, which needs no server */
	const char *summary; /* imperative, no full stop */
};

/* Every command of command.def, in its order; ends with a row without a name. */
extern const struct command_name command_names[];
const struct command_name *command_name_find(const char *name); /* NULL if there is none */

/* Parses argv (argv[0] is the command's name), runs it, returns the exit code. */
int command_main(const struct command *command, int argc, char **argv);
/* Finds argv[1] in a NULL-terminated table and runs it; -1 if it is not there. */
int command_dispatch(const struct command *const *table, int argc, char **argv, int *ret_exit);

/* Parses into zeroed options; *ret_first is the index of the first argument. */
int command_parse(const struct command *command, int argc, char **argv, void *options,
	int *ret_first, struct error *err);

void command_help(const struct command *command, struct buf *b);   /* cay NAME --help */
void command_overview(struct buf *b);                              /* cay help */
void command_manual(const struct command *command, struct buf *b); /* cay-NAME(1), mdoc */

/* Says "cay NAME: text" on standard error and returns the error's exit code. */
int command_fail(const struct command *command, const struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
#include "action/session_actions.h"

#define SESSION_FIELD(type)                                                                      \
	{                                                                                        \
		"session", FIELD_STRING, FIELD_AT(type, session),                                \
			.standard = "main", .help = "name of the session; made by its first use" \
	}
#define SIZE_FIELDS(type, columns, lines)                                                          \
	{ "cols", FIELD_INT, FIELD_AT(type, cols), .min = 2, .max = 2000, .standard = columns,     \
		.help = "columns of the terminal" },                                               \
	{                                                                                          \
		"rows", FIELD_INT, FIELD_AT(type, rows), .min = 2, .max = 1000, .standard = lines, \
							 .help = "lines of the terminal"           \
	}

#define SESSION_RESULT \
	"the session: session, pid, status (idle, running, ended), command, cwd, cols, rows, created_ms"

static const char *const invalid_words[] = { "replace", "escape", NULL };

#define INVALID_FIELD(type)                                                           \
	{                                                                             \
		"invalid", FIELD_STRING, FIELD_AT(type, invalid),                     \
			.standard = "replace", .words = invalid_words,                \
			.help = "bytes of the output that are no UTF-8: replaced by " \
				"U+FFFD, or shown as \\xNN"                           \
	}
#define EXPECT_FIELD(type)                                                                      \
	{                                                                                       \
		"expect", FIELD_STRINGS, FIELD_AT(type, expect),                                \
			.help = "report as soon as one of these regular expressions is in the " \
				"output, which ends before it then; 16 at most"                 \
	}

static const struct field run_fields[] = {
	{ "command", FIELD_STRING, FIELD_AT(struct run_params, command),
		.help = "what the shell shall run, any number of lines; empty: go on waiting for the command "
			"that is running" },
	SESSION_FIELD(struct run_params),
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct run_params, timeout_ms), .min = 0,
		.max = 86400000, .standard = "120000",
		.help = "report after this long, and leave the command running; 0: never" },
	{ "quiet_ms", FIELD_INT, FIELD_AT(struct run_params, quiet_ms), .min = 0, .max = 86400000,
		.standard = "0", .help = "report when nothing new came for this long; 0: never" },
	{ "input", FIELD_BOOL, FIELD_AT(struct run_params, input), .standard = "false",
		.help = "type the command text and Enter into what is running" },
	{ "keys", FIELD_STRING, FIELD_AT(struct run_params, keys),
		.help = "press keys in what is running, or at the prompt: C-c, C-z, C-d, Enter, Up, …, "
			"separated by spaces" },
	{ "until_input", FIELD_BOOL, FIELD_AT(struct run_params, until_input), .standard = "true",
		.help = "report as soon as the command waits for input from the terminal" },
	{ "cwd", FIELD_STRING, FIELD_AT(struct run_params, cwd),
		.help = "change to this directory first; it stays the session's" },
	{ "fresh", FIELD_BOOL, FIELD_AT(struct run_params, fresh), .standard = "false",
		.help = "in a shell of its own, that is gone afterwards" },
	{ "output_bytes", FIELD_INT, FIELD_AT(struct run_params, output_bytes), .min = 1024,
		.max = RUN_OUTPUT_MAX, .standard = "1048576",
		.help = "how much output to report: the first and the last half of it" },
	{ "open", FIELD_BOOL, FIELD_AT(struct run_params, open), .standard = "true",
		.help = "make the session if there is none; false: then it is not found" },
	{ "or_run", FIELD_BOOL, FIELD_AT(struct run_params, or_run), .standard = "false",
		.help = "with input: where nothing is running, run the text as a command" },
	{ "queue", FIELD_BOOL, FIELD_AT(struct run_params, queue), .standard = "false",
		.help = "where a command is still running: wait for its end, within the same time, and run "
			"this one then; the output is that of both" },
	{ "syntax", FIELD_BOOL, FIELD_AT(struct run_params, syntax), .standard = "false",
		.help = "have bash read the whole command first: one with an error of syntax is not begun" },
	EXPECT_FIELD(struct run_params),
	INVALID_FIELD(struct run_params),
	{ 0 },
};

const struct action run_action = {
	.name = "run",
	.group = "session",
	.summary = "run a command in a shell session",
	.result =
		"status (exited, running, quiet, waiting_for_input, expected, syntax_error, ended), exit_code "
		"or null, output, expected (which of expect was found, from 0, or null), "
		"truncated_bytes, truncated_lines, session, command, cwd, background_pid, python, "
		"duration_ms, is_new_shell",
	.fields = run_fields,
	.params_size = sizeof(struct run_params),
};

static const struct field open_fields[] = {
	SESSION_FIELD(struct session_open_params),
	{ "cwd", FIELD_STRING, FIELD_AT(struct session_open_params, cwd),
		.help = "where it starts; standard: the sandbox's workdir" },
	{ "env", FIELD_MAP, FIELD_AT(struct session_open_params, env),
		.help = "variables on top of the sandbox's" },
	{ "shell", FIELD_STRING, FIELD_AT(struct session_open_params, shell), .standard = "bash",
		.help = "bash: there are no sessions of other shells, run those in one, or with exec on a terminal" },
	SIZE_FIELDS(struct session_open_params, "1000", "50"),
	{ 0 },
};

const struct action session_open_action = {
	.name = "session_open",
	.group = "session",
	.summary = "start a shell session",
	.result = SESSION_RESULT,
	.fields = open_fields,
	.params_size = sizeof(struct session_open_params),
	.flags = ACTION_KEEPS,
};

static const struct field input_fields[] = {
	SESSION_FIELD(struct session_input_params),
	{ "text", FIELD_STRING, FIELD_AT(struct session_input_params, text),
		.help = "typed as it is; a line ends with \\n" },
	{ "keys", FIELD_STRING, FIELD_AT(struct session_input_params, keys),
		.help = "keys to press after the text: C-c, Enter, Up, …, separated by spaces" },
	{ 0 },
};

const struct action session_input_action = {
	.name = "session_input",
	.group = "session",
	.summary = "type into what runs in a session, without waiting",
	.result = SESSION_RESULT,
	.fields = input_fields,
	.params_size = sizeof(struct session_input_params),
	.flags = ACTION_KEEPS,
};

static const struct field interrupt_fields[] = {
	SESSION_FIELD(struct session_interrupt_params),
	{ "tries", FIELD_INT, FIELD_AT(struct session_interrupt_params, tries), .min = 0,
		.max = 100, .standard = "3", .help = "how often to press C-c" },
	{ "wait_ms", FIELD_INT, FIELD_AT(struct session_interrupt_params, wait_ms), .min = 1,
		.max = 60000, .standard = "200",
		.help = "how long to wait for its end after each time" },
	EXPECT_FIELD(struct session_interrupt_params),
	INVALID_FIELD(struct session_interrupt_params),
	{ 0 },
};

const struct action session_interrupt_action = {
	.name = "session_interrupt",
	.group = "session",
	.summary =
		"end what runs in a session: by C-c, and if that is not enough by C-z and a kill",
	.result =
		"as of run: status exited, or expected; running if it is the shell itself that goes on. Who "
		"waits for the command is told that it is running",
	.fields = interrupt_fields,
	.params_size = sizeof(struct session_interrupt_params),
	.flags = ACTION_KEEPS,
};

static const struct field resize_fields[] = {
	SESSION_FIELD(struct session_resize_params),
	SIZE_FIELDS(struct session_resize_params, "1000", "50"),
	{ 0 },
};

const struct action session_resize_action = {
	.name = "session_resize",
	.group = "session",
	.summary = "change the size of a session's terminal",
	.result = SESSION_RESULT,
	.fields = resize_fields,
	.params_size = sizeof(struct session_resize_params),
	.flags = ACTION_KEEPS,
};

static const struct field close_fields[] = {
	SESSION_FIELD(struct session_name_params),
	{ 0 },
};

const struct action session_close_action = {
	.name = "session_close",
	.group = "session",
	.summary = "end a session, its shell and its foreground command",
	.result = "the empty object",
	.fields = close_fields,
	.params_size = sizeof(struct session_name_params),
	.flags = ACTION_KEEPS,
};

static const struct field list_fields[] = { { 0 } };

const struct action session_list_action = {
	.name = "session_list",
	.group = "session",
	.summary = "list the sessions",
	.result = "sessions: an array of sessions as session_open gives them",
	.fields = list_fields,
	.params_size = sizeof(struct session_list_params),
	.flags = ACTION_READS,
};

static const struct field attach_fields[] = {
	SESSION_FIELD(struct session_attach_params),
	{ "command", FIELD_STRING, FIELD_AT(struct session_attach_params, command),
		.standard = "bash", .help = "what to run if the session is idle" },
	SIZE_FIELDS(struct session_attach_params, "80", "24"),
	{ 0 },
};

const struct action session_attach_action = {
	.name = "session_attach",
	.group = "session",
	.summary = "connect a terminal to what runs in a session",
	.result =
		"data on channel 0 is typed, data on channel 1 is what the terminal gets, the control "
		"{\"resize\":[cols,rows]} changes its size; the end of input detaches. At the end: status "
		"(exited, ended, detached), exit_code or null",
	.fields = attach_fields,
	.params_size = sizeof(struct session_attach_params),
	.flags = ACTION_STREAMS_IN | ACTION_STREAMS_OUT | ACTION_KEEPS,
};

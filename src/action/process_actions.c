/* SPDX-License-Identifier: Apache-2.0 */
#include "action/process_actions.h"

#include "base/auto.h"
#include "wire/json.h"

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "HUP", 1 },
	{ "INT", 2 },
	{ "QUIT", 3 },
	{ "ILL", 4 },
	{ "TRAP", 5 },
	{ "ABRT", 6 },
	{ "BUS", 7 },
	{ "FPE", 8 },
	{ "KILL", 9 },
	{ "USR1", 10 },
	{ "SEGV", 11 },
	{ "USR2", 12 },
	{ "PIPE", 13 },
	{ "ALRM", 14 },
	{ "TERM", 15 },
	{ "XCPU", 24 },
	{ "XFSZ", 25 },
	{ "SYS", 31 },
};

int process_signal_number(const struct json *process)
{
	enum { UNKNOWN = 127 };
	struct str name = json_str(json_find(process, "signal"));
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (str_is(name, signals[i].name))
			return signals[i].number;
	return name.ptr ? UNKNOWN : 0;
}

#define PROCESS_FIELD(type)                                                       \
	{                                                                         \
		"process", FIELD_STRING, FIELD_AT(type, process), FIELD_REQUIRED, \
			.help = "id or name of the process"                       \
	}

#define PROCESS_RESULT                                                                                                                                \
	"the process: process, name, pid, host_pid (its number outside, if it has another), argv, cwd, status (running, exited), exit_code or null, " \
	"signal or null, timed_out, stdout_bytes, stderr_bytes, dropped_bytes, is_tty, started_ms, "                                                  \
	"duration_ms"

static const char *const invalid_words[] = { "replace", "escape", NULL };

static const struct field exec_fields[] = {
	{ "argv", FIELD_STRINGS, FIELD_AT(struct exec_params, argv), FIELD_REQUIRED,
		.help = "the program, found along PATH, and its arguments" },
	{ "env", FIELD_MAP, FIELD_AT(struct exec_params, env),
		.help = "variables on top of the sandbox's" },
	{ "env_replaces", FIELD_BOOL, FIELD_AT(struct exec_params, env_replaces),
		.standard = "false", .help = "env is all that it gets, in place of the sandbox's" },
	{ "cwd", FIELD_STRING, FIELD_AT(struct exec_params, cwd),
		.help = "where it starts; standard: the sandbox's workdir" },
	{ "user", FIELD_STRING, FIELD_AT(struct exec_params, user),
		.help = "name or number of the user; standard: the sandbox's" },
	{ "name", FIELD_STRING, FIELD_AT(struct exec_params, name),
		.help = "a name for it; no other retained process may have it" },
	{ "stdin", FIELD_BOOL, FIELD_AT(struct exec_params, has_stdin), .standard = "false",
		.help = "it gets what comes on channel 0, or by process_input; else its input is empty" },
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct exec_params, timeout_ms), .min = 0,
		.max = 86400000, .standard = "0",
		.help = "kill it and its process group after this long; 0: never" },
	{ "grace_ms", FIELD_INT, FIELD_AT(struct exec_params, grace_ms), .min = 0, .max = 60000,
		.standard = "0",
		.help = "send them TERM when the time is over, and kill them this much later" },
	{ "detach", FIELD_BOOL, FIELD_AT(struct exec_params, detach), .standard = "false",
		.help = "give the result as soon as it is started" },
	{ "tty", FIELD_BOOL, FIELD_AT(struct exec_params, tty), .standard = "false",
		.help = "on a terminal of its own: all output comes on channel 1" },
	{ "cols", FIELD_INT, FIELD_AT(struct exec_params, cols), .min = 2, .max = 2000,
		.standard = "80", .help = "columns of the terminal" },
	{ "rows", FIELD_INT, FIELD_AT(struct exec_params, rows), .min = 2, .max = 1000,
		.standard = "24", .help = "lines of the terminal" },
	{ "capture", FIELD_BOOL, FIELD_AT(struct exec_params, capture), .standard = "false",
		.help = "put the output into the result, as stdout and stderr, instead of sending data" },
	{ "announce", FIELD_BOOL, FIELD_AT(struct exec_params, announce), .standard = "false",
		.help = "say that it runs, by the event {\"event\":\"started\",\"process\":…}, before any data" },
	{ "merge", FIELD_BOOL, FIELD_AT(struct exec_params, merge), .standard = "false",
		.help = "its standard error goes where its output goes: channel 1, in the order of writing" },
	{ "log_bytes", FIELD_INT, FIELD_AT(struct exec_params, log_bytes), .min = 1024,
		.max = PROCESS_LOG_MAX, .standard = "1048576",
		.help = "how much of its output to keep: the first and the last half of it" },
	{ "invalid", FIELD_STRING, FIELD_AT(struct exec_params, invalid), .standard = "replace",
		.words = invalid_words,
		.help = "with capture: bytes that are no UTF-8 are replaced by U+FFFD, or shown as \\xNN" },
	{ 0 },
};

const struct action exec_action = {
	.name = "exec",
	.group = "process",
	.summary = "start a program",
	.result = PROCESS_RESULT
	"; with capture also stdout and stderr. Data: channel 1 stdout, channel 2 "
	"stderr, all of it, unless detach or capture. Controls: {\"signal\":\"INT\"}, "
	"{\"resize\":[cols,rows]}. A caller that goes away leaves the process running",
	.fields = exec_fields,
	.params_size = sizeof(struct exec_params),
	.flags = ACTION_STREAMS_IN | ACTION_STREAMS_OUT,
};

static const struct field list_fields[] = {
	{ "argv_bytes", FIELD_INT, FIELD_AT(struct process_list_params, argv_bytes), .min = 0,
		.max = 1 << 20, .standard = "0",
		.help = "how much to tell of each argument; 0: all of it" },
	{ 0 },
};

const struct action process_list_action = {
	.name = "process_list",
	.group = "process",
	.summary = "list the processes that run and those that are retained",
	.result = "processes: an array, oldest first, of " PROCESS_RESULT,
	.fields = list_fields,
	.params_size = sizeof(struct process_list_params),
	.flags = ACTION_READS,
};

static const struct field logs_fields[] = {
	PROCESS_FIELD(struct process_logs_params),
	{ "after", FIELD_INT, FIELD_AT(struct process_logs_params, after), .min = 0,
		.max = INT64_MAX, .standard = "0", .help = "position in the log to start from" },
	{ "follow", FIELD_BOOL, FIELD_AT(struct process_logs_params, follow), .standard = "false",
		.help = "go on until the process has ended" },
	{ "capture", FIELD_BOOL, FIELD_AT(struct process_logs_params, capture), .standard = "false",
		.help = "put the log into the result, as entries, instead of sending data" },
	{ 0 },
};

const struct action process_logs_action = {
	.name = "process_logs",
	.group = "process",
	.summary = "read the output of a process",
	.result =
		"next: the position to go on from, skipped_bytes: what was asked for and is no longer kept, "
		"process: the process; with capture also entries: an array of channel (1 stdout, 2 stderr), "
		"after (its position) and text. Data: as from exec; the event "
		"{\"skipped_bytes\":n} stands where bytes are missing, and {\"next\":n} before all, "
		"unless it follows",
	.fields = logs_fields,
	.params_size = sizeof(struct process_logs_params),
	.flags = ACTION_STREAMS_OUT | ACTION_READS,
};

static const struct field input_fields[] = {
	PROCESS_FIELD(struct process_input_params),
	{ "text", FIELD_STRING, FIELD_AT(struct process_input_params, text), FIELD_BINARY,
		.help = "bytes for its input" },
	{ "stream", FIELD_BOOL, FIELD_AT(struct process_input_params, stream), .standard = "false",
		.help = "then everything that comes as data on channel 0" },
	{ "eof", FIELD_BOOL, FIELD_AT(struct process_input_params, eof), .standard = "false",
		.help = "then close its input" },
	{ 0 },
};

const struct action process_input_action = {
	.name = "process_input",
	.group = "process",
	.summary = "write to the input of a process",
	.result = "written_bytes, when the process (or the pipe to it) has taken everything",
	.fields = input_fields,
	.params_size = sizeof(struct process_input_params),
	.flags = ACTION_STREAMS_IN,
};

static const struct field signal_fields[] = {
	PROCESS_FIELD(struct process_signal_params),
	{ "signal", FIELD_STRING, FIELD_AT(struct process_signal_params, signal),
		.standard = "TERM",
		.help = "TERM, KILL, INT, HUP, …, with or without SIG, or a number" },
	{ "group", FIELD_BOOL, FIELD_AT(struct process_signal_params, group), .standard = "true",
		.help = "to its whole process group" },
	{ 0 },
};

const struct action process_signal_action = {
	.name = "process_signal",
	.group = "process",
	.summary = "send a signal to a process",
	.result = PROCESS_RESULT,
	.fields = signal_fields,
	.params_size = sizeof(struct process_signal_params),
};

static const struct field wait_fields[] = {
	PROCESS_FIELD(struct process_wait_params),
	{ "timeout_ms", FIELD_INT, FIELD_AT(struct process_wait_params, timeout_ms), .min = 0,
		.max = 86400000, .standard = "0",
		.help = "report after this long at the latest; 0: no limit" },
	{ 0 },
};

const struct action process_wait_action = {
	.name = "process_wait",
	.group = "process",
	.summary = "wait for the end of a process",
	.result = PROCESS_RESULT "; status is running if the time was over first",
	.fields = wait_fields,
	.params_size = sizeof(struct process_wait_params),
	.flags = ACTION_READS,
};

static const struct field remove_fields[] = {
	PROCESS_FIELD(struct process_remove_params),
	{ 0 },
};

const struct action process_remove_action = {
	.name = "process_remove",
	.group = "process",
	.summary = "forget an ended process, or kill and forget a running one",
	.result = "the empty object",
	.fields = remove_fields,
	.params_size = sizeof(struct process_remove_params),
};

static const struct field resize_fields[] = {
	PROCESS_FIELD(struct process_resize_params),
	{ "cols", FIELD_INT, FIELD_AT(struct process_resize_params, cols), FIELD_REQUIRED, .min = 2,
		.max = 2000, .help = "columns of its terminal" },
	{ "rows", FIELD_INT, FIELD_AT(struct process_resize_params, rows), FIELD_REQUIRED, .min = 2,
		.max = 1000, .help = "lines of its terminal" },
	{ 0 },
};

const struct action process_resize_action = {
	.name = "process_resize",
	.group = "process",
	.summary = "change the size of a process's terminal",
	.result = "the empty object; conflict if it has no terminal",
	.fields = resize_fields,
	.params_size = sizeof(struct process_resize_params),
	.flags = ACTION_READS,
};

static const struct field kill_all_fields[] = { { 0 } };

const struct action process_kill_all_action = {
	.name = "process_kill_all",
	.group = "process",
	.summary = "kill everything that runs in the sandbox",
	.result =
		"the empty object, when all of it has ended: sessions, too, and what had left its process "
		"group; unavailable if something has not within ten seconds",
	.fields = kill_all_fields,
	.params_size = sizeof(struct process_kill_all_params),
};

static const struct field tree_fields[] = { { 0 } };

const struct action process_tree_action = {
	.name = "process_tree",
	.group = "process",
	.summary = "list everything that runs in the sandbox, whoever started it",
	.result =
		"processes, in no order: pid, ppid (0: started from outside), pgrp, session, uid, state (a letter, as "
		"ps has it), tty (pts/N) or null, is_foreground, threads, started_ms, cpu_ms, virtual_bytes, "
		"resident_bytes, name, argv (its first 4 KiB); truncated",
	.fields = tree_fields,
	.params_size = sizeof(struct process_tree_params),
	.flags = ACTION_READS,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_actions: programs started directly, without a shell session.
 *
 * A process:
 *	{"process":"p1",          its id, never used again
 *	 "name":"web",            "" unless given; may be used in place of the id while it is retained
 *	 "pid":17,                as the sandbox sees it
 *	 "argv":["sleep","1"],
 *	 "cwd":"/workspace",
 *	 "status":"exited",       running | exited
 *	 "exit_code":0,           null while running, and when a signal ended it
 *	 "signal":null,           "KILL", "TERM", …
 *	 "timed_out":false,       timeout_ms passed and it was killed
 *	 "stdout_bytes":3,        everything it wrote, kept or not
 *	 "stderr_bytes":0,
 *	 "dropped_bytes":0,       of these the log holds no more: it keeps the first and the last half
 *	 "is_tty":false,
 *	 "started_ms":1764000000000,
 *	 "duration_ms":1}
 *
 * Its log is one sequence of pieces of stdout (channel 1) and stderr (channel 2), in the order in
 * which they were read; a position in it is the number of bytes before it. It stays until
 * process_remove, or until more than PROCESS_RETAINED_MAX have ended since: then the oldest goes,
 * and the id is ERROR_GONE. What all logs of a sandbox hold is at most PROCESS_LOGS_MAX: beyond
 * that the largest gives half of its own, from its middle.
 */
#pragma once

#include "action/action.h"

enum {
	PROCESS_NAME_MAX = 128,
	PROCESS_RETAINED_MAX = 256,
	PROCESS_LOG_STANDARD = 1024 * 1024, /* bytes kept of what one process writes */
	PROCESS_LOG_MAX = 64 * 1024 * 1024,
	PROCESS_LOGS_MAX = 2 * PROCESS_LOG_MAX,
};

struct exec_params {
	struct field_strings argv;
	struct field_map env;
	bool env_replaces;
	struct str cwd;
	struct str user;
	struct str name;
	bool has_stdin; /* field "stdin" */
	int64_t timeout_ms, grace_ms;
	bool detach;
	bool tty;
	int64_t cols, rows;
	bool capture;
	bool announce;
	bool merge;
	int64_t log_bytes;
	struct str invalid; /* replace, escape */
};

struct process_list_params {
	int64_t argv_bytes;
};

struct process_logs_params {
	struct str process;
	int64_t after;
	bool follow;
	bool capture;
};

struct process_input_params {
	struct str process;
	struct str text;
	bool stream;
	bool eof;
};

struct process_signal_params {
	struct str process;
	struct str signal;
	bool group;
};

struct process_wait_params {
	struct str process;
	int64_t timeout_ms;
};

struct process_remove_params {
	struct str process;
};

struct process_resize_params {
	struct str process;
	int64_t cols, rows;
};

struct process_kill_all_params {
	bool unused;
};

struct process_tree_params {
	bool unused;
};

/* The number of the signal that ended a process, as it is told; 0: none did. */
struct json;
int process_signal_number(const struct json *process);

extern const struct action exec_action, process_input_action, process_kill_all_action,
	process_list_action, process_logs_action, process_remove_action, process_resize_action,
	process_signal_action, process_tree_action, process_wait_action;

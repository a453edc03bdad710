/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_actions: what can be done with a shell session, and what comes of it.
 *
 * A session is a bash on a terminal of its own: directory, variables, functions and jobs survive
 * from one run to the next. It is made by its first use. `run` gives
 *
 *	{"status":"exited",       exited | running | quiet | waiting_for_input | expected | syntax_error | ended
 *	 "exit_code":0,           null unless exited or ended; 128+n when signal n ended it
 *	 "limit":"memory",        memory | pids | disk | inodes: what it ran into; only of a command that failed so
 *	 "output":"hi\n",         as a terminal shows it, new since the last report of the same command
 *	 "expected":null,         which of `expect` was found; null: none of them, or there were none
 *	 "truncated_bytes":0,     dropped from the middle of `output`, where a line says so; 0: it is whole
 *	 "truncated_lines":0,
 *	 "session":"main",
 *	 "command":"echo hi",     what runs or ran: of an earlier run where this one only went on waiting
 *	 "cwd":"/workspace",      of the shell when it was last idle; after `ended` where the next one starts
 *	 "background_pid":-1,     $! or -1
 *	 "python":"/usr/bin/python", what PATH gives for python; "" if none
 *	 "duration_ms":3,         since the command began
 *	 "is_new_shell":false}    the shell is fresh: nothing of earlier runs is in it
 *
 * running: timeout_ms passed. quiet: nothing came for quiet_ms. waiting_for_input: the kernel shows
 * the command asleep in a read from its terminal. expected: what was looked for has come; what
 * came behind it begins the next output. In these four the command goes on; another run
 * with `input`, with `keys`, or with neither of them and an empty command, goes on with it. A run
 * with a new command while one is running is ERROR_CONFLICT and names what runs; one with nothing
 * to wait for is ERROR_CONFLICT too. syntax_error: nothing was begun; output says what bash says of
 * it, and exit_code is bash's. ended: the shell itself is gone (exit, exec, kill, set -e);
 * the next run starts a new one.
 *
 * A session in session_open, session_list:
 *	{"session":"main","pid":12,"status":"idle","command":"","cwd":"/workspace","cols":1000,"rows":50,
 *	 "created_ms":1764000000000}            status: idle | running | ended
 */
#pragma once

#include "action/action.h"

enum {
	RUN_COMMAND_MAX = 1024 * 1024,     /* bytes of a command or an input */
	RUN_OUTPUT_MAX = 8 * 1024 * 1024,  /* bytes of output one result can hold */
	RUN_OUTPUT_STANDARD = 1024 * 1024, /* … and does, unless asked */
	RUN_EXPECT_MAX = 16,
};

struct run_params {
	struct str command;
	struct str session;
	int64_t timeout_ms;
	int64_t quiet_ms;
	bool input;
	struct str keys;
	bool until_input;
	struct str cwd;
	bool fresh;
	int64_t output_bytes;
	bool open;
	bool or_run;
	bool queue;
	bool syntax;
	struct field_strings expect;
	struct str invalid; /* replace, escape */
};

struct session_open_params {
	struct str session;
	struct str cwd;
	struct field_map env;
	struct str shell; /* bash */
	int64_t cols, rows;
};

struct session_name_params { /* session_close */
	struct str session;
};

struct session_input_params {
	struct str session;
	struct str text;
	struct str keys;
};

struct session_interrupt_params {
	struct str session;
	int64_t tries;
	int64_t wait_ms;
	struct field_strings expect;
	struct str invalid;
};

struct session_resize_params {
	struct str session;
	int64_t cols, rows;
};

struct session_attach_params {
	struct str session;
	struct str command;
	int64_t cols, rows;
};

struct session_list_params {
	bool unused;
};

extern const struct action run_action, session_attach_action, session_close_action,
	session_input_action, session_interrupt_action, session_list_action, session_open_action,
	session_resize_action;

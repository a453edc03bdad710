/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: a named shell that keeps its state from one command to the next.
 *
 * One command runs at a time, and at most one wait is for it. A wait ends, with an outcome, when
 * the command does, or earlier by what it was told to look for; the command goes on then. A wait
 * that is dropped, because its caller is gone, changes nothing for the command: its output is kept
 * for the next wait.
 *
 *	struct session *s;
 *	if (session_get(executor, STR("main"), &s, err) < 0 || session_run(s, command, STR_NONE, err) < 0)
 *		return -1;
 *	session_wait(s, &wait);        // wait->on_outcome comes later, once
 */
#pragma once

#include "executor/executor.h"
#include "executor/screen.h"
#include "executor/shell.h"

enum {
	SESSION_NAME_MAX = 64,
	SESSION_COMMAND_MAX = 1024 * 1024, /* bytes of a command */
	SESSION_TYPED_MAX = SESSION_COMMAND_MAX + 4096,
	SESSION_REST_MAX = 8 * 1024 * 1024,
	SESSION_COLS = 1000, /* wide: what a program prints shall not be wrapped */
	SESSION_ROWS = 50,
};

enum session_state {
	SESSION_STARTING, /* the shell is not ready; a command may be waiting for it */
	SESSION_IDLE,
	SESSION_RUNNING,
	SESSION_ENDED, /* the shell is gone; the next command starts a new one */
};

enum outcome {
	OUTCOME_EXITED,
	OUTCOME_RUNNING,
	OUTCOME_QUIET,
	OUTCOME_INPUT,
	OUTCOME_EXPECTED,
	OUTCOME_ENDED,
};

struct session;

/* What a wait looks for in the output. */
struct expects {
	struct pattern **patterns; /* in the order of the call's `expect` */
	size_t n;
	ptrdiff_t found; /* which one; -1: none yet */
};

struct session_wait {
	int64_t timeout_ms; /* 0: none */
	int64_t quiet_ms;   /* 0: none */
	bool until_input;
	struct expects *expects; /* NULL: nothing */
	/* The wait is over and not the session's any more. */
	void (*on_outcome)(struct session_wait *wait, enum outcome outcome);
	struct session *session; /* set while waiting */
	struct session *ended;   /* set in on_outcome: whose wait it was */
	int64_t began_ms;
};

/* Somebody who sees the terminal as it is: every byte, unless the tap says that it is full. */
struct session_tap {
	struct list link; /* session::taps */
	void (*on_output)(struct session_tap *tap, struct str bytes);
	bool is_full;
};

struct session {
	struct executor *executor;
	struct list link; /* executor::sessions */
	char name[SESSION_NAME_MAX + 1];
	enum session_state state;
	bool is_fresh;     /* gone when its command is */
	bool is_new_shell; /* nothing has run in this shell before the command that runs or ran last */
	bool has_rc;       /* the shell was started with its start files */
	int cols, rows;
	int64_t created_ms; /* wall clock */
	struct env env;     /* on top of the sandbox's */
	char *start_cwd;    /* NULL: the sandbox's workdir */
	int64_t n_commands; /* that the shell was given */

	struct shell *shell; /* NULL: ended */
	struct watch *output_watch, *channel_watch, *child_watch;
	struct screen *screen;
	struct buf typed; /* what the terminal did not take yet, or shall not get yet */
	struct timer *typed_timer;
	int64_t hold_until_ms; /* monotonic: a key that would be a signal waits no longer */
	struct buf after;      /* output behind the mark, until the command is over */
	bool has_report;       /* of the command that runs */
	bool has_mark;         /* … and its output has been read */
	int reads_since_report;
	struct list taps;

	struct buf command;  /* that runs or ran last */
	struct buf next_cwd; /* of a command that waits for the shell to be ready */
	int64_t began_ms, ended_ms, last_output_ms; /* monotonic */
	bool has_outcome;                           /* the command is over and no wait was told */
	int exit_code; /* of the last command; of the shell, if that ended */
	int64_t background_pid;
	struct buf cwd, path, prompt, echo;
	struct buf rest; /* of the output: what came behind something expected */

	struct session_wait *wait; /* NULL: nobody waits */
	struct timer *timer;
	int64_t check_gap_ms, next_check_ms;
};

/* Finds or makes. ERROR_LIMIT beyond EXECUTOR_SESSIONS_MAX. */
int session_get(struct executor *e, struct str name, struct session **ret, struct error *err);
struct session *session_find(struct executor *e, struct str name);
/*
 * Makes one; ERROR_EXISTS if there is one that has not ended. cwd: STR_NONE, the sandbox's workdir.
 */
int session_open(struct executor *e, struct str name, struct str cwd, const struct field_map *env,
	int cols, int rows, struct session **ret, struct error *err);
/* Kills the shell and what is in its foreground; whoever waits gets OUTCOME_ENDED. */
void session_close(struct session *s);
/* ERROR_LIMIT where the terminals of all sessions would have more than EXECUTOR_CELLS_MAX cells. */
int session_resize(struct session *s, int cols, int rows, struct error *err);
void sessions_free_all(struct executor *e);

/* ERROR_CONFLICT if a command is running. */
int session_run(struct session *s, struct str command, struct str cwd, struct error *err);
/* Types. If the terminal or the program is going to show it as `echo`, that is no output. */
int session_type(struct session *s, struct str bytes, struct str echo, struct error *err);
/* ERROR_CONFLICT if somebody waits already, or if there is nothing to wait for. */
int session_wait(struct session *s, struct session_wait *wait, struct error *err);
void session_unwait(struct session_wait *wait);
/*
 * Output since it was last taken, without the prompt and the echo of what was typed. is_last: the
 * command is over, and nothing that comes later will change it.
 */
struct ring_gap session_take_output(struct session *s, struct buf *out, bool is_last);
/* A command runs, or will as soon as the shell is ready. */
bool session_is_running(const struct session *s);

void session_tap(struct session *s, struct session_tap *tap);
void session_untap(struct session *s, struct session_tap *tap);
/* A tap that was full takes more again. */
void session_tap_resume(struct session *s, struct session_tap *tap);

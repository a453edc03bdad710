/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell: an interactive bash on a terminal, told what to run and heard of how it went on a private
 * channel. This module knows the shell's side: how it is started, what lines it is sent, what it
 * reports, how its output is cut where a command ends. Who waits for what, and when, is
 * executor/session.c.
 *
 * The owner watches `pty.master_fd`, `channel_fd` and `child.pidfd`, and calls on in here.
 */
#pragma once

#include "base/buf.h"
#include "base/id.h"
#include "executor/pty.h"
#include "executor/spawn.h"

enum {
	SHELL_QUEUE_MAX = 8 * 1024 *
		1024, /* lines for the shell: a command quoted is up to 4 times as long */
	SHELL_REPORT_MAX = 1024 * 1024, /* PATH may be of any length */
};

struct shell_plan {
	char *const *envp;
	const char *path;
	const char *cwd;
	const struct user *user;
	const struct confine *confine;
	int cols, rows;
	bool has_rc; /* read /etc/bash.bashrc and ~/.bashrc */
};

/* What the shell says after each command; all of it valid until the next report. */
struct shell_report {
	int status;
	int64_t background_pid; /* -1: none yet */
	struct str cwd;
	struct str prompt; /* what the shell printed as prompt after the output, if it did */
	struct str path;
};

struct shell {
	struct child child;
	struct pty pty;
	int channel_fd; /* -1 once the shell has closed its end */
	struct buf out; /* lines that the channel did not take yet */
	size_t out_sent;
	struct buf in;       /* reports, or what somebody else wrote */
	char nonce[ID_SIZE]; /* of the command that runs: only its report and its mark hold it */
	struct buf held;     /* output that may be the beginning of the mark */
	size_t mark_sent;    /* bytes of the mark that the terminal took */
	int status;          /* $? for the next command */
	bool has_xtrace;     /* set -x */
	bool has_verbose;    /* set -v */
	bool is_usual;       /* $? is 0, and but for PS1 there is nothing to put back */
	bool is_read_only;   /* PS1 cannot be put aside */
	bool has_debug;      /* perhaps a DEBUG trap */
	bool sets_options;   /* the command that runs perhaps begins to trace */
};

/* Starts the shell and the script that makes it report; the first report says that it is ready. */
int shell_start(const struct shell_plan *plan, struct shell **ret, struct error *err);
/*
 * Kills the shell and the foreground group of its terminal, and reaps it: may be called at any
 * time.
 */
void shell_free(struct shell *s);

/* Sends a command; cwd may be STR_NONE. Exactly one report comes back, unless the shell ends. */
void shell_run(struct shell *s, struct str command, struct str cwd);
/* Writes what waits for the channel. True if more waits: watch for LOOP_WRITE. */
bool shell_flush(struct shell *s);
/* Whether the shell has yet to read what it was sent: until it has, it has not begun. */
bool shell_is_unread(const struct shell *s);
/* Reads the channel: 1 a report, 0 none yet, -1 the shell closed its end. */
int shell_receive(struct shell *s, struct shell_report *ret);

/*
 * The mark separates the output of a command from what comes after it. It is written to the
 * terminal, behind everything that the command wrote, when the shell has reported. False: the
 * terminal is full, read it and try again; only the first call after a report that succeeds writes
 * it.
 */
bool shell_put_mark(struct shell *s);
/*
 * Splits output at the mark. Returns true if it was found; *ret_before is the output up to it
 * (appended), and *ret_after what came after it, a view of `bytes`.
 */
bool shell_split(struct shell *s, struct str bytes, struct buf *before, struct str *ret_after);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell: a session, a shell that lives from command to command, and its commands. HTTP is in
 * session.c.
 *
 * The shell is a process of the sandbox that reads a command between two lines with a tag, runs it,
 * and writes the tag with the exit code to both its outputs (marks.h). So output and error stay
 * apart, directory, variables and functions stay as they are, and the end of a command is told, not
 * guessed. One command runs at a time; the others wait in their order. A command is sent as the
 * text of process_input, so it is an event and is asked about as any action.
 *
 * The input of a command that nobody waits for is the shell's own, where process_input can reach
 * it; that of any other is empty.
 */
#pragma once

#include "face/daytona/marks.h"
#include "face/daytona/outlog.h"
#include "face/daytona/state.h"

enum {
	SHELL_COMMANDS_MAX =
		256, /* remembered in a session; the oldest that has ended goes first */
	SHELL_WAITING_MAX = 64,
};

struct shell {
	struct list link; /* box::shells */
	struct box *box;
	char *id;
	char process[ID_SIZE + sizeof(PROCESS_PREFIX)]; /* its name in the executor */
	char tag[ID_SIZE];
	struct runtime_call *call; /* NULL: it has ended */
	struct marks marks[2];
	struct list commands; /* command::link, oldest first */
	size_t n_commands;
	struct command *current; /* NULL: none runs */
	struct command *last;    /* what is said between commands is the last one's */
	int n_marked;            /* outputs on which the current one has ended */
	int code;
	struct http_request *creator; /* to be answered once it runs; NULL */
	bool is_started, has_ended;
};

typedef void command_fn(void *arg, struct command *c, const struct error *err);

struct command {
	struct list link; /* shell::commands */
	struct shell *shell;
	char id[ID_SIZE];
	char *text;
	bool is_sent, has_ended, has_input, is_silent;
	int exit_code;
	struct outlog log;
	struct list followers; /* follower::link: see session.c */
	command_fn *done;      /* its end, or why it could not begin; NULL: nobody waits */
	void *done_arg;
	struct runtime_call *send; /* of its text */
};

/* *r is answered with 201 once it runs. */
void shell_new(struct box *b, struct str id, struct http_request *r);
struct shell *shell_find(struct box *b, struct str id);
void shell_free(struct shell *s, const struct error *why);
struct command *shell_command(struct shell *s, struct str id);
/* NULL: *err is told. */
struct command *shell_execute(struct shell *s, struct str text, bool has_input, struct error *err);

/* session.c: who follows a command has something to read. */
void followers_wake(struct command *c);
void followers_drop(struct command *c);

/* SPDX-License-Identifier: Apache-2.0 */
/* inside: what pid 1 does from its first instruction to the execve of cay-init. */
#pragma once

#include "sandbox/launch.h"
#include "sandbox/step.h"

enum report_kind {
	REPORT_FAILED = 1,  /* a step */
	REPORT_EXEC_FAILED, /* the command's execve */
	REPORT_LAYER,       /* with a descriptor of the upper layers */
	REPORT_COMMAND, /* it was forked; with its pidfd, and the master of its tty if it has one */
};

struct report {
	uint32_t kind;
	struct error error;
};

struct inside {
	struct build *build;
	const struct launch_command *command; /* or NULL */
	const struct lock *lock;              /* or NULL */
	int sock;                             /* to who builds */
	int owner_sock;                       /* hangs up with the owner; -1: that is who builds */
	int status_fd;                        /* for cay-init: where the command's status goes */
	int life_fd; /* for cay-init: a pipe that ends with the owner, or -1 */
	int init_fd;
};

/* other_sock: the owner's end, to be closed here. */
_Noreturn void inside_main(const struct inside *in, int other_sock);

/* Sends the error and exits. */
_Noreturn void inside_fail(int sock, enum report_kind kind, const struct error *err);
/* The command's process: what can be done before its tree is there; keep_fd stays open. */
int exec_prepare(const struct inside *in, int keep_fd, struct error *err);
/* tty_fd: its terminal, if it has one. */
_Noreturn void exec_command(const struct inside *in, int tty_fd);
/* A pty of the sandbox's own devpts; its slave belongs to the agent. */
int exec_open_tty(const struct inside *in, int *ret_master, int *ret_slave, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tty_wait: does the foreground of a terminal wait for somebody to type? The kernel knows: a
 * process of the foreground group is asleep in a read from the terminal, or in a poll that can only
 * end by it.
 *
 * Numbers are those of the sandbox's pid namespace, whose /proc this is. What the kernel does not
 * let us see (a set-user-id program) is not waiting, as far as we can tell.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum tty_wait {
	TTY_BUSY,    /* or nobody can tell */
	TTY_WAITS,   /* in a read from the terminal */
	TTY_STOPPED, /* the leader itself is stopped: nobody else will continue it */
};

/* leader: of the session on the terminal, in the sandbox's numbers. */
enum tty_wait tty_wait_check(pid_t leader);
/*
 * Whether the foreground has become another program than the leader: a child that a shell forked
 * for one is not yet.
 */
bool tty_wait_is_program(pid_t leader);

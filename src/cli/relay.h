/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: what stands between the caller's standard descriptors and a command in a sandbox.
 *
 * A terminal of the host never gets into a sandbox: who holds one can push keys into it, and change
 * its settings. When input and output are both a terminal, the command gets one of the sandbox's
 * own, and this relays; a single descriptor that is a terminal is replaced by a pipe. Everything
 * else is passed as it is, without a copy: then there is nothing to relay, and that costs nothing.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <termios.h>

enum { RELAY_PUMPS_MAX = 3, RELAY_BUFFER = 16 * 1024 };

struct pump {
	int from, to; /* -1 once done */
	bool owns_to; /* closed when done: the reader sees the end */
	size_t at, len;
	char bytes[RELAY_BUFFER];
};

struct relay {
	bool has_tty;
	int given[3];    /* for the command, if it has no tty */
	bool is_pipe[3]; /* given[i] is our end of a pipe, to be closed once the command has it */
	int tty_fd;      /* the sandbox's terminal: set by relay_start */
	int n_pumps;
	struct pump pumps[RELAY_PUMPS_MAX];
	bool is_raw;
	struct termios saved;
};

enum relay_tty { RELAY_AUTO, RELAY_TTY };

/* Looks at 0, 1 and 2, which must be open. */
int relay_init(struct relay *r, enum relay_tty want, struct error *err);
/* Once the command runs; takes tty_fd (-1: none). */
void relay_start(struct relay *r, int tty_fd);
/* The size of the caller's terminal, for the command's. */
void relay_size(uint16_t *ret_rows, uint16_t *ret_columns);
void relay_resize(struct relay *r);

/*
 * For poll: fills at most 2 * RELAY_PUMPS_MAX entries and returns how many; relay_move then does
 * what they say is possible. relay_drain moves what is left of the output until its end, with every
 * writer gone.
 */
struct pollfd;
int relay_watch(const struct relay *r, struct pollfd *fds);
void relay_move(struct relay *r, const struct pollfd *fds, int n);
void relay_drain(struct relay *r);

void relay_fini(struct relay *r); /* the caller's terminal is as before */

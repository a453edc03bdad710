/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pty: pairs of pseudo terminals of the sandbox's own devpts. Both ends come CLOEXEC and
 * non-blocking; a program gets a slave of its own from pty_open_slave.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <sys/types.h>

struct pty {
	int master_fd;
	int slave_fd;
};

/*
 * is_raw_output: the terminal passes on what is written without a look at it (no OPOST), which is
 * more than twice as fast; whoever reads then does what ONLCR asks for.
 */
int pty_open(struct pty *ret, int cols, int rows, bool is_raw_output, struct error *err);
/*
 * A slave for a program: blocking, and nothing of it shared with ours. Close it when the program
 * has it.
 */
int pty_open_slave(const struct pty *pty, int *ret_fd, struct error *err);
/* The terminal belongs to whoever works at it, so that programs there can open it by its name. */
void pty_give(int slave_fd, uid_t uid);
void pty_close(struct pty *pty);
void pty_resize(const struct pty *pty, int cols, int rows);
/* Whether a line feed shall return to the first column (ONLCR). */
bool pty_is_newline(const struct pty *pty);
/*
 * Whether what is typed will be shown: by the terminal, or by the program if that reads key by key.
 */
bool pty_has_echo(const struct pty *pty);
/* Forgets what was typed and not read. */
void pty_flush_input(const struct pty *pty);
/* Whether something typed waits to be read. */
bool pty_has_input(const struct pty *pty);
/*
 * How many of these bytes come before the first that the terminal would make a signal of; all, if
 * none does.
 */
size_t pty_until_signal(const struct pty *pty, struct str bytes);
void pty_set_output(const struct pty *pty, bool is_raw_output);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pty: pairs of pseudo terminals of the sandbox's own devpts. Both ends come CLOEXEC and non-blocking;
 * the non-blocking flag of the slave is this descriptor's, not that of who opens the terminal otherwise.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

struct pty {
	int master_fd;
	int slave_fd;
};

/*
 * is_raw_output: the terminal passes on what is written without a look at it (no OPOST), which is more
 * than twice as fast; whoever reads then does what ONLCR asks for.
 */
int pty_open(struct pty *ret, int cols, int rows, bool is_raw_output, struct error *err);
void pty_close(struct pty *pty);
void pty_resize(const struct pty *pty, int cols, int rows);
/* Whether a line feed shall return to the first column (ONLCR). */
bool pty_is_newline(const struct pty *pty);
/* Whether what is typed will be shown: by the terminal, or by the program if that reads key by key. */
bool pty_has_echo(const struct pty *pty);
/* Forgets what was typed and not read. */
void pty_flush_input(const struct pty *pty);
/* Whether something typed waits to be read. */
bool pty_has_input(const struct pty *pty);
void pty_set_output(const struct pty *pty, bool is_raw_output);

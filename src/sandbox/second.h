/* SPDX-License-Identifier: Apache-2.0 */
/*
 * second: the process that pid 1 forks before it builds. It makes the network namespace meanwhile,
 * which takes as long as the whole file tree; then, if there is a command, it puts on the command's
 * lock, waits for the tree to be there, and becomes the command.
 *
 * It is in pid 1's mount namespace, so pivot_root moves its root as well. Descriptors are not
 * shared: what one of them has open for a moment (a sysctl, to write) must not stay open in the
 * other.
 */
#pragma once

#include "sandbox/inside.h"

/* By pid 1. The child never returns. */
int second_start(const struct inside *in, struct error *err);
/* By pid 1, each once, in this order: the groups that it has been given, and that all is built. */
int second_enter(const struct build *b, struct error *err);
int second_go(const struct build *b, int tty_fd, struct error *err);

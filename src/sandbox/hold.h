/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold: a state directory belongs to one supervisor and those that came from it. Where a supervisor
 * was killed, its server, which has its sockets, lives a moment longer: who comes next waits for
 * that, and is refused at once where the other supervisor lives.
 */
#pragma once

#include "base/error.h"

/*
 * fd: the directory, open for reading; it is to be with all processes that have anything of it.
 * `name` is for the error.
 */
int hold_take(int fd, const char *name, struct error *err);
/*
 * Once nothing will open and close the directory any more: by that this process would give up being
 * known as its supervisor.
 */
void hold_sign(int fd);

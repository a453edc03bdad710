/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_typed: the way of keys to the terminal; for executor/session.c. Everybody else uses
 * executor/session.h.
 */
#pragma once

#include "executor/session.h"

/* Writes what waits, as far as the terminal takes it, and sets the watch of its output. */
void session_write_typed(struct session *s);
/* Of session::typed_timer. */
void session_on_typed_timer(void *arg);
/* Whether somebody who sees the terminal as it is has enough for now: nothing is read from it. */
bool session_has_full_tap(const struct session *s);

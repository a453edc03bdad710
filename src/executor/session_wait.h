/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_wait: how waits end; for executor/session.c and who takes another's place. Everybody else
 * uses executor/session.h.
 */
#pragma once

#include "executor/session.h"

/* Tells who waits, if anybody does. */
void session_end_wait(struct session *s, enum outcome outcome);
/* Of session::timer. */
void session_on_timer(void *arg);

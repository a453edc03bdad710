/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canary: cay-canary sent into a sandbox of the default kind. It tries some eighty ways out and
 * comes back with what it reached, which should be nothing: a server that cannot show that serves
 * nobody.
 */
#pragma once

#include "base/buf.h"
#include "sandbox/host.h"

/*
 * Blocks for some 30 ms. *b (may be NULL) gets a line for each attack: NAME, BLOCKED or REACHED or
 * ALLOWED or ABSENT, why. -1: one got through (ERROR_FORBIDDEN, which names it), or none could be
 * tried.
 */
int canary_send(const struct host *host, enum user_mode user, struct buf *b, struct error *err);

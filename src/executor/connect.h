/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect: bytes both ways between a call and a socket inside the sandbox. See
 * action/network_actions.h.
 */
#pragma once

#include "executor/call.h"

extern const struct verb connect_verb;
/* The same for a connection that was begun in the sandbox (executor/egress.h). */
extern const struct verb egress_take_verb;

/* SPDX-License-Identifier: Apache-2.0 */
/* engine: what `cay gc` and `cay doctor`, which need no server, have to say of a Docker engine. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

/*
 * Removes containers of servers that are no more: those of a state directory of this machine that
 * nobody serves, and what never ran or runs no more of any other. `found` is called with a line for
 * each. `given` NULL: the usual engine, if there is one and it answers.
 */
int engine_sweep(const char *given, bool is_dry, void (*found)(void *ctx, const char *what),
	void *ctx, struct error *err);

struct engine_report {
	bool is_there;
	char socket[256];
	char version[64]; /* "4.3.1, API 1.41" */
	struct error why; /* it does not answer, or there is none */
};

void engine_look(struct engine_report *ret);

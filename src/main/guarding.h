/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guarding: the guard of cayd, made of what `cay serve` passes on in CAY_SETTINGS, and the
 * approver's token.
 */
#pragma once

#include "base/error.h"

struct gate;
struct loop;

/*
 * NULL in *ret_gate never: a guard that is off by default is there for the sandboxes that wish for
 * one.
 */
int guarding_open(struct loop *loop, const char *state_dir, struct gate **ret_gate,
	struct error *err);
/* After the runtime. */
void guarding_close(void);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: where there is no pid namespace, a process that makes sure of the end of others. When its
 * lifeline is closed (by whoever holds the other end, or by that one's death), or when its first
 * child ends, it kills every descendant, however that tried to get away (setsid, a double fork),
 * and removes a temporary directory.
 *
 * What it cannot do: there is no isolation. A program of the same user may kill the keeper itself;
 * then the first child dies with it, and what else was started lives on.
 */
#pragma once

#include "base/error.h"

struct keeper {
	int lifeline_fd;       /* readable, or at its end, when all shall end */
	int given_fd;          /* only for the child, or -1 */
	const char *temporary; /* removed at the end; NULL: nothing is */
	bool passes_signals; /* what it is sent goes on to the child; else it is a reason to end */
};

/*
 * Forks. Returns in the first child, which dies with the keeper; the keeper itself, the caller,
 * never comes back: it exits as the child did (128+N if signal N ended it). The caller has one
 * thread.
 */
int keeper_start(const struct keeper *k, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience: whether a loop that has nothing to do looks again for a moment before it sleeps.
 *
 * A processor that sleeps takes long to be woken, in a virtual machine most of all: 25 µs for what
 * takes 2 between two programs that are both awake; and a call wakes four to six programs in turn.
 * So who got something to do soon after there was nothing, and more than once of late, does not
 * sleep at once. But only while nearly every program that wants to run has a processor: where some
 * wait, no processor goes to sleep, and who looks would be in their way, and have to wait behind
 * them when there is something to do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PATIENCE_NS = 100 * 1000 };

struct patience {
	int load_fd; /* of the kernel's figures; -1: not there, and nobody is patient */
	int n_processors;
	int promise;  /* what waits of late were like */
	int runnable; /* how many programs want to run */
};

void patience_init(struct patience *p);
void patience_fini(struct patience *p);
/* Whether to look on, for PATIENCE_NS at most. */
bool patience_has(struct patience *p);
/* How long there was nothing, in the end. */
void patience_learn(struct patience *p, int64_t ns);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orphans: where the executor is pid 1, whatever lost its parent becomes its child and has to be
 * reaped, while its own children must be left to those who wait for them. So each of these is
 * announced, and forgotten once it is reaped. In every other executor, and before orphans_watch,
 * all of this does nothing.
 */
#pragma once

#include "event/loop.h"

#include <sys/types.h>

/* From now on. The caller is pid 1. */
void orphans_watch(struct loop *loop);
void orphans_unwatch(void);
/* A child was made that somebody here waits for. Before control returns to the loop. */
void orphans_own(pid_t pid);
/* It was waited for. */
void orphans_disown(pid_t pid);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_budget: what the logs of all processes of a sandbox hold together. Each has a limit of
 * its own, but there are hundreds of them, and they are kept in the executor's memory: beyond
 * PROCESS_LOGS_MAX the largest gives half of what it has, and keeps no more from then on.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

struct process;

/* Into the log of the process. */
void process_budget_add(struct process *p, uint8_t channel, struct str bytes);
/* Its log goes. */
void process_budget_leave(struct process *p);

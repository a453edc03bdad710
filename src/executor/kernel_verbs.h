/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of action/kernel_actions.h. */
#pragma once

#include "executor/call.h"

extern const struct verb cell_verb, kernel_close_verb, kernel_interrupt_verb, kernel_list_verb,
	kernel_open_verb, kernel_restart_verb;

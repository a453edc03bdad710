/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "executor/call.h"

extern const struct verb exec_verb, process_input_verb, process_kill_all_verb, process_list_verb,
	process_logs_verb, process_remove_verb, process_resize_verb, process_signal_verb,
	process_tree_verb, process_wait_verb;

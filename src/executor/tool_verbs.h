/* SPDX-License-Identifier: Apache-2.0 */
/* tool_verbs: the actions of action/tool_actions.h. */
#pragma once

#include "executor/call.h"

extern const struct verb tool_add_verb, tool_call_verb, tool_list_verb, tool_remove_verb,
	tool_reset_verb;

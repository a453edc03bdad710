/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "executor/call.h"

extern const struct verb run_verb, session_attach_verb, session_close_verb, session_input_verb,
	session_interrupt_verb, session_list_verb, session_open_verb, session_resize_verb;

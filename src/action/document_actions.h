/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_actions: what takes a program of the sandbox's own to know about a file: what an edit
 * broke in it, and what a document says. Both need Python in the sandbox, and are performed as its
 * user.
 */
#pragma once

#include "action/action.h"

struct convert_params {
	struct str path;
};

struct lint_params {
	struct str path;
	struct str diff;
};

extern const struct action convert_action, lint_action;

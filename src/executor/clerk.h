/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clerk: the verbs lint and convert, by a Python program of ours in the sandbox
 * (executor/python/clerk.py).
 */
#pragma once

#include "executor/call.h"

struct clerk;

extern const struct verb convert_verb, lint_verb;

void clerk_free(struct clerk *clerk); /* NULL is fine */

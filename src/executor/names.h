/* SPDX-License-Identifier: Apache-2.0 */
/* names: the sandbox's names of users and groups, from its own /etc/passwd and /etc/group. */
#pragma once

#include "executor/path.h"

enum { NAMES_SIZE = 64 };

/*
 * The name of an id in "/etc/passwd" or "/etc/group" (a literal); false, with "" given, if it has
 * none.
 */
bool names_find(const struct path_root *root, const char *file, unsigned id,
	char ret_name[NAMES_SIZE]);

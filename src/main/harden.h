/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harden: what the server gives up before it reads a first byte, and the descriptors that it needs.
 */
#pragma once

#include "base/error.h"

/*
 * No core dumps, nobody may trace it. With is_confined (it starts no program itself) it is under
 * Landlock, where the kernel has it, and under a system call filter: it changes nothing but its
 * state directory and execs nothing. readable: what it reads beside what every server does, NULL-
 * terminated; NULL: nothing.
 */
int harden(const char *state_dir, bool is_confined, const char *const *readable, struct error *err);

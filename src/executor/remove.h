/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remove: rm -r beneath a descriptor, however deep and however large, in constant memory: never
 * through a symbolic link, never onto another mount, without recursion.
 */
#pragma once

#include "executor/path.h"

#include <stdint.h>

/*
 * Removes `at->name` and all that is below. Counts into *count what has been removed, also on
 * failure. ERROR_FORBIDDEN names a directory that something is mounted on.
 */
int remove_tree(const struct path_at *at, int64_t *count, struct error *err);

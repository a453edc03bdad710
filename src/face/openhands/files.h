/* SPDX-License-Identifier: Apache-2.0 */
/* files: what actions that name files share. Relative paths start where the shell is. */
#pragma once

#include "face/openhands/job.h"

/*
 * The path, or the shell's directory and the path: as the original joins them, nothing made
 * shorter.
 */
struct str files_resolve(const struct job *job, struct str path);

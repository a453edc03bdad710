/* SPDX-License-Identifier: Apache-2.0 */
/* files: the actions `read` and `write`. Relative paths start where the shell is. */
#pragma once

#include "face/openhands/job.h"

extern const struct job_kind read_kind, write_kind;

/* The path, or the shell's directory and the path: as the original joins them, nothing made shorter. */
struct str files_resolve(const struct job *job, struct str path);

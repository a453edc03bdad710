/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine: what a client is told whose path leads out of the workspace. Only sandboxes without
 * isolation have such an outside; the words are those of the original's runtime without one, which
 * is cli.
 */
#pragma once

#include "face/openhands/job.h"

/* What the executor refuses where a file action leaves the workspace, and not for a file's mode. */
bool confine_is_reason(const struct job *job, const struct error *err);
void confine_refuse(struct job *job);

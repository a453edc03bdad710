/* SPDX-License-Identifier: Apache-2.0 */
/* edit: the action `edit`, and a `read` that asks for the editor's view. */
#pragma once

#include "face/openhands/job.h"

extern const struct job_kind edit_kind;

/* Goes on with a `read`: shows path as the editor does, and answers with a read observation. */
void edit_view(struct job *job, struct str path, const struct json *view_range);

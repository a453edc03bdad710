/* SPDX-License-Identifier: Apache-2.0 */
/* edit: a `read` that asks for the editor's view. The action `edit` itself is a row of kinds.h. */
#pragma once

#include "face/openhands/job.h"

/*
 * Ends a job with what the editor said. `diff` is empty if nothing was changed; both are valid
 * until it returns.
 */
typedef void edit_fn(struct job *job, struct str content, struct str diff);

/* Goes on with a `read`: shows path as the editor does. Takes job->state for itself. */
void edit_view(struct job *job, struct str path, const struct json *view_range, edit_fn *answer);

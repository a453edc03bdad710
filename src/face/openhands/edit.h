/* SPDX-License-Identifier: Apache-2.0 */
/* edit: a `read` that asks for the editor's view. The action `edit` itself is a row of kinds.h. */
#pragma once

#include "face/openhands/job.h"

/* Goes on with a `read`: shows path as the editor does, and answers with a read observation. */
void edit_view(struct job *job, struct str path, const struct json *view_range);

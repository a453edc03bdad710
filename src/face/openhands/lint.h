/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lint: looks an edit over, where that is wanted: ENABLE_AUTO_LINT is true in the environment that
 * the sandbox was started with, or the client has set it since, which it does with a command that
 * also writes it to ~/.bashrc.
 */
#pragma once

#include "face/openhands/job.h"

/*
 * edited: what the agent is to be shown, with what was found put in. diff: as it was given. Both
 * are valid until it returns.
 */
typedef void lint_fn(struct job *job, struct str edited, struct str diff);

/* Goes on with `next`, at once if edits are not looked over. Takes job->state for itself. */
void lint_edit(struct job *job, struct str path, struct str edited, struct str diff, lint_fn *next);
/* A command was run that may have changed the wish. */
void lint_note_command(struct job *job, struct str command);

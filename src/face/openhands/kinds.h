/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinds: every action that /execute_action performs, one row each. A kind of action lives in a file
 * of its own, with its fields and its steps (job.h); here it is listed, once. What a row's start
 * cannot do on this host it refuses in plain words (job_refuse): a client takes that as an `error`
 * observation and goes on.
 */
#pragma once

#include "face/openhands/job.h"

/* Sorted by name, NULL-terminated. */
extern const struct job_kind *const job_kinds[];
const struct job_kind *job_kind_find(struct str name); /* NULL if there is none */

/* browse.c */
extern const struct job_kind browse_kind, browse_interactive_kind;
/* edit.c */
extern const struct job_kind edit_kind;
/* files.c */
extern const struct job_kind read_kind, write_kind;
/* ipython.c */
extern const struct job_kind run_ipython_kind;
/* shell.c */
extern const struct job_kind run_kind;

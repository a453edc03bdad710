/* SPDX-License-Identifier: Apache-2.0 */
/*
 * git_tell: what git printed, inside, as Daytona's JSON. Appends one value; what is no such output
 * is left out.
 */
#pragma once

#include "wire/json.h"

/*
 * A line each: branch, upstream, "BEHIND\tAHEAD"; then the entries of `git status --porcelain -z`.
 */
void git_put_status(struct str out, struct buf *b);
/* Fields of a commit end in US, commits in NUL: hash, author, email, date, message. */
void git_put_history(struct str out, struct buf *b);
/* Lines: {"branches":[…]} */
void git_put_branches(struct str out, struct buf *b);
/* Lines "name\turl": {"remotes":[…]} */
void git_put_remotes(struct str out, struct buf *b);
/* The last line: {"hash":…} */
void git_put_hash(struct str out, struct buf *b);
/* "=value", or nothing: {"value":…|null} */
void git_put_value(struct str out, struct buf *b);

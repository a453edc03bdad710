/* SPDX-License-Identifier: Apache-2.0 */
/* git_tell: what the scripts of git_scripts.h print, as JSON. Each also says what went wrong. */
#pragma once

#include "base/buf.h"
#include "runtime/service.h"

int git_tell_place(const struct service_result *r, struct buf *b, struct error *err);
int git_tell_output(const struct service_result *r, struct buf *b, struct error *err);
int git_tell_branches(const struct service_result *r, struct buf *b, struct error *err);
int git_tell_changes(const struct service_result *r, struct buf *b, struct error *err);
int git_tell_commits(const struct service_result *r, struct buf *b, struct error *err);
int git_tell_diff(const struct service_result *r, struct buf *b, struct error *err);
int git_tell_microagents(const struct service_result *r, struct buf *b, struct error *err);
int git_tell_hook(const struct service_result *r, struct buf *b, struct error *err);

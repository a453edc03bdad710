/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program: how cay's programs find each other: beside the running one, else in ../libexec/cay from
 * there; never by PATH. The directory can be set instead (--libexec), before the first
 * program_open.
 */
#pragma once

#include "base/error.h"

/* Kept, not copied; NULL: back to searching. */
void program_set_dir(const char *dir);
/* An O_PATH descriptor, CLOEXEC, for fexecve or execveat(fd, "", …, AT_EMPTY_PATH). */
int program_open(const char *name, int *ret_fd, struct error *err);

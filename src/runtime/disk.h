/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: what is told where the server's own disk is the cause, not a sandbox's.
 */
#pragma once

#include "base/error.h"

/*
 * Of what the server keeps and could not write: says whose disk that is, and that one which can
 * only be read has no room, where a caller would look for a permission. Other errors stay as they
 * are. -1.
 */
int disk_blame(struct error *err);

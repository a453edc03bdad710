/* SPDX-License-Identifier: Apache-2.0 */
/* worker_lock: what a worker takes off itself before it touches what a request or an archive says. */
#pragma once

#include "base/error.h"

/* No new privileges, no core, bounded memory and time, not traceable, and only file system calls. */
int worker_lock(struct error *err);

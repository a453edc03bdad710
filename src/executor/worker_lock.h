/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_lock: what a worker takes off itself before it touches what a request or an archive says.
 */
#pragma once

#include "base/error.h"

/*
 * No new privileges, no core, bounded memory, not traceable, and only system calls on files.
 * cpu_seconds: after which it is killed; 0: it may last.
 */
int worker_lock(int cpu_seconds, struct error *err);

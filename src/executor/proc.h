/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc: what the sandbox's /proc tells of the processes in it, whoever started them. The kernel
 * writes it: none can lie.
 */
#pragma once

#include "base/buf.h"

#include <dirent.h>

enum { PROC_PROCESSES_MAX = 4096, PROC_FILE_MAX = 16 * 1024 };

struct proc_stat {
	char name[64];
	char state; /* as ps has it: R, S, D, Z, T, … */
	long ppid, pgrp, session, tty, tpgid, threads;
	int64_t cpu_ms, started_ms; /* started: since the epoch */
	int64_t virtual_bytes, resident_bytes;
};

/* Into b, which is emptied first; negative: it is gone, or not to be read. */
__attribute__((format(printf, 2, 3))) int proc_read(struct buf *b, const char *fmt, ...);
/* False: it is gone. */
bool proc_read_stat(long pid, struct proc_stat *ret);
/* The next entry that is a number; 0: there is none. */
long proc_next(DIR *dir);

static inline void proc_close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}
#define auto_dir __attribute__((cleanup(proc_close_dir)))

/*
 * True if /proc is the sandbox's: of a pid namespace of its own, which the executor is outside of,
 * or the first in. Else it shows all that runs on the machine.
 */
bool proc_is_own(void);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * family: the processes that descend from one, as /proc shows them. For sandboxes without a pid
 * namespace: what belongs together there is what has the same ancestor, and who makes that ancestor
 * a child subreaper loses none whose parent ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { FAMILY_MAX = 32768 }; /* processes that are looked at */

struct family_usage {
	int64_t processes;
	int64_t memory_bytes; /* resident, shared pages counted again for each */
	int64_t cpu_us;       /* of those alive */
};

/*
 * The kernel kills this process when the thread that forked it ends. False: `parent`, which is that
 * thread's process, has ended before it could be asked for. Changing ids asks for nothing again.
 */
bool family_follow(pid_t parent);
/*
 * Signals every descendant of `ancestor`, not it: parents before children, or the other way round.
 */
void family_signal(pid_t ancestor, int signo, bool children_first);
void family_usage(pid_t ancestor, struct family_usage *ret);
/*
 * Kills and reaps every descendant of this process, which is a child subreaper, has one thread and
 * blocks SIGCHLD. False: some are still there after timeout_ms; they belong to another user.
 */
bool family_end(int64_t timeout_ms);

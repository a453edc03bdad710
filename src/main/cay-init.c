/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pid 1 of a sandbox: reaps what is left to it, and holds nothing.
 *
 *	cay-init                    until it is killed
 *	cay-init LIFE_FD            until the pipe LIFE_FD has no writer any more
 *	cay-init STATUS_FD PID      until the process PID ends, whose wait status (an int) it then writes
 *
 * It is killed with its owner (PR_SET_PDEATHSIG outlives the execve that brought us here), and with
 * it the kernel ends every process in the pid namespace. An owner that ended before the signal was
 * asked for sends none: that is what LIFE_FD is for. Nobody inside may look into it: it is not
 * dumpable.
 *
 * It does without a C library, which would have it do a hundred things before main, and each
 * sandbox pays for that in time (0.2 ms) and in memory.
 */
#include "main/bare.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

BARE_START(init_main);
BARE_SIGNAL;

static int number(const char *text)
{
	int n = 0;
	while (*text >= '0' && *text <= '9')
		n = n * 10 + *text++ - '0';
	return n;
}

static void tell(int fd, int status)
{
	while (call(SYS_write, fd, (long)&status, sizeof(status), 0) == -4 /* -EINTR */)
		;
}

/* stack: argc, argv[0], argv[1], …, NULL */
_Noreturn void init_main(const long *stack);
_Noreturn void init_main(const long *stack)
{
	const char *const *argv = (const char *const *)(stack + 1);
	struct pollfd life = { .fd = stack[0] == 2 ? number(argv[1]) : -1 };
	int status_fd = stack[0] > 2 ? number(argv[1]) : -1;
	long command = stack[0] > 2 ? number(argv[2]) : 0;
	unsigned long child_ended = 1UL << (SIGCHLD - 1), none = 0;

	call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0);
	call(SYS_prctl, PR_SET_NAME, (long)"cay-init", 0, 0);
	/* Noticed only while it waits: whoever ends before is not missed. */
	call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&child_ended, 0, sizeof(child_ended));
	bare_notice(SIGCHLD);
	for (;;) {
		int status = 0;
		long pid;
		while ((pid = call(SYS_wait4, -1, (long)&status, WNOHANG, 0)) > 0) {
			if (pid != command)
				continue;
			tell(status_fd, status);
			call(SYS_exit_group, 0, 0, 0, 0);
		}
		if (call5(SYS_ppoll, (long)&life, 1, 0, (long)&none, sizeof(none)) > 0)
			call(SYS_exit_group, 0, 0, 0, 0);
	}
}

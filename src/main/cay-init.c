/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pid 1 of a sandbox: reaps what is left to it, and holds nothing.
 *
 *	cay-init                    until it is killed
 *	cay-init STATUS_FD PID      until the process PID ends, whose wait status (an int) it then writes
 *
 * It is killed with its owner (PR_SET_PDEATHSIG outlives the execve that brought us here), and with it the
 * kernel ends every process in the pid namespace. Nobody inside may look into it: it is not dumpable.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(int fd, int status)
{
	while (write(fd, &status, sizeof(status)) < 0 && errno == EINTR)
		;
}

/* No child at all: wait for the next that is left to us. SIGCHLD is blocked, so none is missed. */
static void await_child(const sigset_t *chld)
{
	int sig;
	sigwait(chld, &sig);
}

int main(int argc, char **argv)
{
	int fd = argc > 2 ? (int)strtol(argv[1], NULL, 10) : -1;
	pid_t command = argc > 2 ? (pid_t)strtol(argv[2], NULL, 10) : 0;
	sigset_t chld;
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NAME, "cay-init");
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);
		if (pid < 0 && errno == ECHILD)
			await_child(&chld);
		if (pid > 0 && pid == command) {
			tell(fd, status);
			return 0;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/janitor.h"

#include "base/auto.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void await_end(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	while (pidfd >= 0 && poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

/* One is the janitor's own, the other may be -1. */
static void close_all_but(int owner_fd, int other_fd)
{
	int low = MIN(owner_fd, other_fd), high = MAX(owner_fd, other_fd);
	if (low < 0)
		low = high;
	if (low > 0)
		syscall(SYS_close_range, 0, low - 1, 0);
	if (high > low + 1)
		syscall(SYS_close_range, low + 1, high - 1, 0);
	syscall(SYS_close_range, high + 1, ~0U, 0);
}

/* other_fd: a pidfd or the end of a pipe; both are ready when there is nobody left. */
static _Noreturn void wait_and_sweep(const struct host *host, int owner_fd, int other_fd)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "cay-janitor");
	close_all_but(owner_fd, other_fd);
	await_end(owner_fd);
	await_end(other_fd);
	launch_sweep_patiently(host);
	_exit(0);
}

pid_t janitor_start(const struct host *host, const struct box *box, int life_fd, struct error *err)
{
	auto_fd int owner_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (owner_fd < 0)
		return error_sys(err, errno, "pidfd_open");
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork the janitor");
	if (pid == 0)
		wait_and_sweep(host, owner_fd, box ? box->init_pidfd : life_fd);
	return pid;
}

void janitor_stop(pid_t janitor)
{
	if (janitor <= 0)
		return;
	kill(janitor, SIGKILL);
	waitpid(janitor, NULL, 0);
}

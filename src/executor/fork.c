/* SPDX-License-Identifier: Apache-2.0 */
#include "executor/fork.h"

#include "base/auto.h"
#include "base/clock.h"
#include "executor/orphans.h"

#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	LOOK_AFTER_MS = 5, /* a child that is only slow needs less, nearly always */
	LOOK_SOON_MS = 1,
	SLICE_MS = 4,
};

static pid_t by_clone3(int cgroup_fd, int *pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND |
			(cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
	};
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void clear_handlers(void)
{
	for (int i = 1; i < NSIG; i++) {
		struct sigaction action;
		if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			signal(i, SIG_DFL);
	}
}

/* Nothing may run a handler in the child before they are gone. */
static pid_t by_clone(int *pidfd)
{
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, pidfd, 0, 0);
	if (pid == 0)
		clear_handlers();
	int saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}

pid_t fork_child(int cgroup_fd, int *ret_pidfd, struct error *err)
{
	int pidfd = -1;
	pid_t pid = by_clone3(cgroup_fd, &pidfd);
	if (pid < 0 && errno == ENOSYS && cgroup_fd < 0)
		pid = by_clone(&pidfd);
	if (pid < 0)
		return error_sys(err, errno, "make a process");
	if (pid > 0) {
		orphans_own(pid);
		*ret_pidfd = pidfd;
	}
	return pid;
}

int fork_continue(int pidfd, int look_after_ms)
{
	siginfo_t info = { 0 };
	if (waitid(P_PIDFD, (id_t)pidfd, &info, WSTOPPED | WNOHANG) < 0 || !info.si_pid)
		return look_after_ms;
	/*
	 * Once is not enough where another processor stops it faster than it wakes: it goes on
	 * when it has taken that one from who stops it, within a slice of the scheduler's.
	 */
	for (int64_t end = clock_mono_ms() + SLICE_MS; clock_mono_ms() < end;)
		syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
	return LOOK_SOON_MS;
}

bool fork_await(int pidfd, int fd)
{
	int64_t end = clock_mono_ms() + FORK_PATIENCE_MS;
	struct pollfd news = { .fd = fd, .events = POLLIN };
	int look_ms = LOOK_AFTER_MS;
	for (int n; (n = poll(&news, 1, look_ms)) <= 0;) {
		int64_t now = clock_mono_ms();
		if ((n < 0 && errno != EINTR) || now >= end)
			return false;
		look_ms = fork_continue(pidfd, LOOK_AFTER_MS);
		if (look_ms == LOOK_SOON_MS && end > now + FORK_STOPPED_MS)
			end = now + FORK_STOPPED_MS;
	}
	return true;
}

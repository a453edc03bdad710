/* SPDX-License-Identifier: Apache-2.0 */
#include "base/keeper.h"

#include "base/auto.h"
#include "base/family.h"
#include "base/file.h"
#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

enum { END_MS = 5000 };

struct kept {
	const struct keeper *keeper;
	pid_t child;
	int signal_fd;
	int status; /* of the child, as an exit status */
	bool has_ended;
};

static int watch_signals(struct error *err)
{
	static const int watched[] = { SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1,
		SIGUSR2 };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		sigaddset(&set, watched[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? error_sys(err, errno, "make a signalfd") : fd;
}

/* What a terminal sends goes to the child anyway, which is in the same process group. */
static void take_signal(struct kept *k, const struct signalfd_siginfo *info)
{
	if (info->ssi_signo == SIGCHLD)
		return;
	if (!k->keeper->passes_signals)
		k->has_ended = true;
	else if (info->ssi_code != SI_KERNEL)
		kill(k->child, (int)info->ssi_signo);
}

static void take_signals(struct kept *k)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;
	while (read(k->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		take_signal(k, &info);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != k->child)
			continue;
		k->has_ended = true;
		k->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

_Noreturn static void keep(struct kept *k)
{
	struct error err;
	prctl(PR_SET_NAME, "cay-keeper");
	close_fd(k->keeper->given_fd);
	while (!k->has_ended) {
		struct pollfd fds[] = {
			{ .fd = k->keeper->lifeline_fd, .events = POLLIN },
			{ .fd = k->signal_fd, .events = POLLIN },
		};
		if (poll(fds, ARRAY_LEN(fds), -1) < 0)
			continue;
		if (fds[1].revents)
			take_signals(k);
		k->has_ended |= fds[0].revents != 0;
	}
	if (!family_end(END_MS))
		log_warn("keeper.end", "processes of another user are left");
	if (k->keeper->temporary && file_remove_tree(AT_FDCWD, k->keeper->temporary, &err) < 0)
		log_warn("keeper.end", "%s", err.text);
	_exit(k->status);
}

int keeper_start(const struct keeper *keeper, struct error *err)
{
	sigset_t none;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return error_sys(err, errno, "become a subreaper");
	auto_fd int signal_fd = watch_signals(err);
	if (signal_fd < 0)
		return -1;
	struct kept k = { .keeper = keeper, .signal_fd = signal_fd, .status = 128 + SIGKILL };
	pid_t parent = getpid();
	k.child = fork();
	if (k.child < 0)
		return error_sys(err, errno, "fork");
	if (k.child > 0)
		keep(&k);
	close(keeper->lifeline_fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!family_follow(parent))
		_exit(EXIT_FAILURE);
	return 0;
}

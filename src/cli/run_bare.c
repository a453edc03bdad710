/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Three processes: this one, which waits and watches the deadline; the keeper,
 * which makes sure of the end (base/keeper.h); the command. They share a process group, so a
 * terminal serves the command as if it had been started without us. What else this one is sent goes
 * through the keeper to the command.
 */
#include "cli/run_bare.h"

#include "base/auto.h"
#include "base/keeper.h"
#include "cli/wish.h"
#include "sandbox/bare.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { EXIT_TIMEOUT = 124 };

struct bare {
	const struct run_options *options;
	const char *workspace;
	bool is_temporary;
	int lifeline[2];
	/* the error of a command that cannot be started; else it is closed by exec */
	int report[2];
	pid_t keeper;
	bool is_late;
};

static int prepare(const struct bare *b, struct error *err)
{
	const struct option_texts *env = &b->options->spec.env;
	const char *workdir = b->options->spec.workdir;
	if (chdir(b->workspace) < 0)
		return error_sys(err, errno, "enter %s", b->workspace);
	if (workdir && strcmp(workdir, "/workspace") != 0 && chdir(workdir) < 0)
		return error_sys(err, errno, "--workdir %s", workdir);
	unsetenv("CAY_TOKEN");
	setenv("PWD", b->workspace, 1);
	for (int i = 0; i < env->n; i++) {
		struct str name, value;
		if (wish_variable(env->items[i], &name, &value, err) < 0)
			return -1;
		auto_free char *key = str_dup(name), *text = str_dup(value);
		if (value.ptr)
			setenv(key, text, 1);
	}
	return 0;
}

static void tell(const struct bare *b, const struct error *err)
{
	if (write(b->report[1], err, sizeof(*err)) != (ssize_t)sizeof(*err))
		return; /* nobody is left to hear it */
}

/* The forked child: it becomes the keeper, and its child the command. */
_Noreturn static void child(const struct bare *b, char *const *argv)
{
	struct error err;
	const struct keeper keeper = {
		.lifeline_fd = b->lifeline[0],
		.given_fd = b->report[1],
		.temporary = b->is_temporary ? b->workspace : NULL,
		.passes_signals = true,
	};
	close(b->lifeline[1]);
	close(b->report[0]);
	if (keeper_start(&keeper, &err) < 0 || prepare(b, &err) < 0) {
		tell(b, &err);
		_exit(125);
	}
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	error_sys(&err, errno, "run %s", argv[0]);
	tell(b, &err);
	_exit(err.code == ERROR_NOT_FOUND ? 127 : 126);
}

/* What a terminal sends has reached the command already. */
static void pass(const struct bare *b, const siginfo_t *info)
{
	if (info->si_signo != SIGCHLD && info->si_code != SI_KERNEL)
		kill(b->keeper, info->si_signo);
}

/* Until the keeper has ended; when the time is over its lifeline is cut. */
static int wait_for_end(struct bare *b, const sigset_t *signals)
{
	struct timespec now, left = { 0, 0 };
	int64_t ms = b->options->spec.timeout_ms, end_ms;
	int status;
	siginfo_t info;
	clock_gettime(CLOCK_MONOTONIC, &now);
	end_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
	while (waitpid(b->keeper, &status, WNOHANG) != b->keeper) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		int64_t left_ms = end_ms - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
		bool has_deadline = ms > 0 && !b->is_late;
		if (has_deadline && left_ms <= 0) {
			b->is_late = true;
			b->lifeline[1] = close_fd(b->lifeline[1]);
			continue;
		}
		left = (struct timespec){ left_ms / 1000, left_ms % 1000 * 1000000 };
		if ((has_deadline ? sigtimedwait(signals, &info, &left)
				  : sigwaitinfo(signals, &info)) > 0)
			pass(b, &info);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int start(struct bare *b, char *const *argv, sigset_t *ret_signals, struct error *err)
{
	static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
		SIGCHLD };
	sigemptyset(ret_signals);
	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
		sigaddset(ret_signals, passed_on[i]);
	sigprocmask(SIG_BLOCK, ret_signals, NULL);
	if (pipe2(b->lifeline, O_CLOEXEC) < 0 || pipe2(b->report, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	b->keeper = fork();
	if (b->keeper < 0)
		return error_sys(err, errno, "fork");
	if (b->keeper == 0)
		child(b, argv);
	b->lifeline[0] = close_fd(b->lifeline[0]);
	b->report[1] = close_fd(b->report[1]);
	return 0;
}

int run_bare(const struct run_options *o, const struct spec *spec, char *const *argv,
	bool *ret_is_command, struct error *err)
{
	struct bare b = { .options = o, .lifeline = { -1, -1 }, .report = { -1, -1 } };
	struct error failure = { 0 };
	const char *given;
	sigset_t signals;
	auto_free char *workspace = NULL;
	if (o->dry_run)
		return error_set(err, ERROR_UNSUPPORTED,
			"--dry-run: without a sandbox there is no plan to print");
	if (bare_check(spec, &given, err) < 0 || bare_workspace(given, &workspace, err) < 0)
		return -1;
	b.workspace = workspace;
	b.is_temporary = !given;
	fprintf(stderr, "cay: run: %s\n", BARE_WARNING);
	int r = start(&b, argv, &signals, err);
	if (r < 0 && b.is_temporary)
		rmdir(workspace);
	if (r == 0) {
		*ret_is_command = read(b.report[0], &failure, sizeof(failure)) ==
			(ssize_t)sizeof(failure);
		r = wait_for_end(&b, &signals);
	}
	for (int i = 0; i < 2; i++) {
		close_fd(b.lifeline[i]);
		close_fd(b.report[i]);
	}
	if (*ret_is_command) {
		*err = failure;
		return -1;
	}
	if (b.is_late) {
		fprintf(stderr, "cay: run: the time is over; everything was ended\n");
		return EXIT_TIMEOUT;
	}
	return r;
}

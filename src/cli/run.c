/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's descriptors are the caller's own unless they are a terminal (relay.h), so most runs
 * only wait: for the command's status, for signals to pass on, for the deadline.
 */
#include "cli/run.h"

#include "base/auto.h"
#include "base/buf.h"
#include "base/bug.h"
#include "cli/clean.h"
#include "cli/options.h"
#include "cli/relay.h"
#include "cli/run_bare.h"
#include "cli/wish.h"
#include "sandbox/image.h"
#include "sandbox/janitor.h"
#include "sandbox/launch.h"
#include "sandbox/probe.h"
#include "wire/json.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum { EXIT_OURS = 125, EXIT_CANNOT_EXECUTE = 126, EXIT_NOT_THERE = 127, EXIT_TIMEOUT = 124 };
enum { JANITOR_AFTER_NS = 20 * 1000 * 1000 };
enum { ENV_MAX = OPTION_TEXTS_MAX + 16, PLAN_TEXT_MAX = 1 << 20 };

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP 4 /* since Linux 6.9 */
#endif

/* Too large for a stack; there is one of each. */
static struct spec spec;
static struct plan plan;
static struct relay relay;

struct run {
	const struct run_options *options;
	struct arena *arena;
	struct host host;
	struct lock lock;
	struct box box;
	pid_t janitor;
	int signal_fd, timer_fd, janitor_fd;
	char *envp[ENV_MAX];
	int n_env;
	int status; /* of wait */
	bool has_status, is_late;
};

static void put_variable(struct run *run, struct str name, struct str value)
{
	char *line = arena_printf(run->arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
	for (int i = 0; i < run->n_env; i++)
		if (!strncmp(run->envp[i], line, name.len + 1)) {
			run->envp[i] = line;
			return;
		}
	BUG_IF(run->n_env >= ENV_MAX - 1, "more variables than the options can name");
	run->envp[run->n_env++] = line;
}

static void put_standard(struct run *run, const char *name, const char *value)
{
	put_variable(run, str_from(name), str_from(value));
}

/* Nothing of the caller's environment gets in but what is asked for. */
static int make_environment(struct run *run, struct error *err)
{
	bool is_root = plan.spec.user == USER_ROOT;
	put_standard(run, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	put_standard(run, "HOME", is_root ? "/root" : "/home/agent");
	put_standard(run, "USER", is_root ? "root" : "agent");
	put_standard(run, "LOGNAME", is_root ? "root" : "agent");
	put_standard(run, "SHELL", "/bin/bash");
	put_standard(run, "LANG", "C.UTF-8");
	const char *term = getenv("TERM");
	if (relay.has_tty)
		put_standard(run, "TERM", term && *term ? term : "xterm-256color");
	const struct option_texts *env = &run->options->spec.env;
	for (int i = 0; i < env->n; i++) {
		struct str name, value;
		if (wish_variable(env->items[i], &name, &value, err) < 0)
			return -1;
		if (value.ptr)
			put_variable(run, name, value);
	}
	return 0;
}

static bool is_bare(const struct run *run)
{
	return strcmp(run->options->backend, "native") != 0;
}

static int make_plan(struct run *run, struct error *err)
{
	if (wish_spec(&run->options->spec, &spec, err) < 0)
		return -1;
	if (spec.network > NETWORK_HOST && !run->options->dry_run)
		return error_set(err, ERROR_UNSUPPORTED,
			"--network %s needs a server, which decides what goes out: cay create",
			run->options->spec.network);
	id_make(spec.id);
	if (is_bare(run))
		return spec_check(&spec, err);
	if (host_init(&run->host, err) < 0)
		return -1;
	if (image_resolve(&run->host, NULL, &spec, err) < 0)
		return -1;
	return plan_make(&spec, &run->host, 0, &plan, err);
}

static int print_plan(void)
{
	auto_buf struct buf b = BUF_INIT(PLAN_TEXT_MAX);
	plan_print(&plan, &b);
	return fwrite(b.ptr, 1, b.len, stdout) == b.len ? 0 : EXIT_OURS;
}

static int watch_signals(struct run *run, struct error *err)
{
	static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
		SIGWINCH };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return run->signal_fd < 0 ? error_sys(err, errno, "signalfd") : 0;
}

static int start_timer(struct run *run, struct error *err)
{
	int64_t ms = run->options->spec.timeout_ms;
	if (ms <= 0)
		return 0;
	struct itimerspec at = { .it_value = { ms / 1000, ms % 1000 * 1000000 } };
	run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (run->timer_fd < 0 || timerfd_settime(run->timer_fd, 0, &at, NULL) < 0)
		return error_sys(err, errno, "start the deadline");
	return 0;
}

static void pass_signals(struct run *run)
{
	struct signalfd_siginfo info;
	while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int sig = (int)info.ssi_signo, fd = run->box.command_pidfd;
		if (sig == SIGWINCH)
			relay_resize(&relay);
		else if (syscall(SYS_pidfd_send_signal, fd, sig, NULL, PIDFD_SIGNAL_PROCESS_GROUP) <
			0)
			syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
	}
}

static void take_status(struct run *run)
{
	run->has_status = read(run->box.status_fd, &run->status, sizeof(run->status)) ==
		(ssize_t)sizeof(run->status);
}

/* Until the command has ended or the sandbox has. */
static void wait_for_end(struct run *run)
{
	for (;;) {
		struct pollfd fds[4 + 2 * RELAY_PUMPS_MAX] = {
			{ .fd = run->box.status_fd, .events = POLLIN },
			{ .fd = run->signal_fd, .events = POLLIN },
			{ .fd = run->timer_fd, .events = POLLIN },
			{ .fd = run->janitor_fd, .events = POLLIN },
		};
		int n = relay_watch(&relay, fds + 4);
		if (poll(fds, (nfds_t)(4 + n), -1) < 0)
			continue;
		if (fds[2].revents) {
			run->is_late = true;
			return;
		}
		if (fds[1].revents)
			pass_signals(run);
		if (fds[3].revents) {
			run->janitor_fd = close_fd(run->janitor_fd);
			run->janitor = janitor_start(&run->host, &run->box, -1, NULL);
		}
		relay_move(&relay, fds + 4, n);
		if (fds[0].revents) {
			take_status(run);
			return;
		}
	}
}

static void say(const struct run *run, const struct error *err)
{
	auto_buf struct buf line = BUF_INIT(8 * ERROR_TEXT_MAX);
	if (run->options->spec.common.json) {
		struct jsonw w = JSONW(&line);
		jsonw_error(&w, err);
		buf_putc(&line, '\n');
	} else {
		buf_puts(&line, "cay: run: ");
		clean_put_line(&line, str_from(err->text));
		buf_putc(&line, '\n');
	}
	fwrite(line.ptr, 1, line.len, stderr);
}

static int status_to_exit(const struct run *run, int64_t oom_kills)
{
	struct error err;
	if (run->is_late) {
		error_set(&err, ERROR_TIMEOUT, "the time is over; the sandbox was ended");
		say(run, &err);
		return EXIT_TIMEOUT;
	}
	if (oom_kills > 0) {
		error_set(&err, ERROR_LIMIT,
			"out of memory: the limit of %lld bytes ended %lld %s (--memory)",
			(long long)plan.spec.limits.memory_bytes, (long long)oom_kills,
			oom_kills == 1 ? "process" : "processes");
		say(run, &err);
	}
	if (!run->has_status)
		return 128 + SIGKILL;
	return WIFSIGNALED(run->status) ? 128 + WTERMSIG(run->status) : WEXITSTATUS(run->status);
}

/*
 * A janitor costs as much as a tenth of a short run, and is of use only to who is killed. A run
 * that is killed before it has one leaves its cgroups to the next that draws its slot, and to `cay
 * gc`.
 */
static int start_janitor_timer(struct run *run, struct error *err)
{
	struct itimerspec at = { .it_value = { 0, JANITOR_AFTER_NS } };
	if (!plan.parts)
		return 0;
	run->janitor_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (run->janitor_fd < 0 || timerfd_settime(run->janitor_fd, 0, &at, NULL) < 0)
		return error_sys(err, errno, "timerfd");
	return 0;
}

static int start(struct run *run, char *const *argv, bool *ret_is_command, struct error *err)
{
	const struct run_options *o = run->options;
	if (lock_make(&plan.spec, &run->lock, err) < 0)
		return -1;
	if (relay_init(&relay, o->tty ? RELAY_TTY : RELAY_AUTO, err) < 0 ||
		make_environment(run, err) < 0 || watch_signals(run, err) < 0 ||
		start_timer(run, err) < 0)
		return -1;
	struct launch_command command = {
		.argv = argv,
		.envp = run->envp,
		.stdio_fds = { relay.given[0], relay.given[1], relay.given[2] },
		.has_tty = relay.has_tty,
	};
	relay_size(&command.rows, &command.columns);
	if (launch_start(&plan, &run->lock, &command, NULL, &run->box, ret_is_command, err) < 0)
		return -1;
	relay_start(&relay, take_fd(&run->box.tty_fd));
	return start_janitor_timer(run, err);
}

static int finish(struct run *run)
{
	int64_t oom_kills = 0;
	launch_kill(&run->box);
	launch_reap(&run->box, &oom_kills);
	relay_drain(&relay);
	relay_fini(&relay);
	janitor_stop(run->janitor);
	return status_to_exit(run, oom_kills);
}

static int run_failed(const struct run *run, bool is_command, const struct error *err)
{
	say(run, err);
	if (!is_command)
		return EXIT_OURS;
	return err->code == ERROR_NOT_FOUND ? EXIT_NOT_THERE : EXIT_CANNOT_EXECUTE;
}

int run_main(struct invocation *in, struct error *err)
{
	struct run run = { .options = in->values,
		.arena = &in->arena,
		.box = BOX_INIT,
		.signal_fd = -1,
		.timer_fd = -1,
		.janitor_fd = -1 };
	bool is_command = false;
	if (make_plan(&run, err) < 0)
		return run_failed(&run, false, err);
	/* The arguments are a part of argv, so they are a program's own to change. */
	char **argv = in->argv + in->argc - in->n_args;
	if (is_bare(&run)) {
		int status = run_bare(run.options, &spec, argv, &is_command, err);
		return status < 0 ? run_failed(&run, is_command, err) : status;
	}
	if (run.options->dry_run)
		return print_plan();
	if (start(&run, argv, &is_command, err) < 0) {
		relay_fini(&relay);
		if (!is_command)
			probe_explain(&run.host, err);
		return run_failed(&run, is_command, err);
	}
	wait_for_end(&run);
	return finish(&run);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. clone3 makes the child like fork does, with a pidfd and, on cgroup v2, in
 * its cgroup from the start; on v1 it writes itself into `tasks`, because a parent's write waits
 * for an RCU grace period. A pipe that exec closes carries the child's own idea of its pid, and
 * then either nothing more, which is success, or a struct error. So spawn() returns when exec has
 * happened: the time is that of exec, and what fails has a reason.
 *
 * Between clone3 and exec nothing is allocated: the paths to try are put together before.
 *
 * The child has memory of its own. To share the executor's until exec, as vfork does, would spare
 * some 0.15 ms; but whoever shares memory with what the kernel ends for want of it is ended as
 * well, and the child is in the agent's cgroup, whose limit the agent can reach when it likes.
 */
#include "executor/spawn.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/buf.h"
#include "base/num.h"
#include "executor/fork.h"
#include "executor/orphans.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PATH_STANDARD "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { PATHS_BYTES_MAX = 64 * 1024 };

struct report {
	pid_t pid;
	bool has_failed;
	struct error error;
};

static int enter_cgroups(const struct confine *c, struct error *err)
{
	for (int i = 0; i < c->n_tasks; i++)
		if (write(c->tasks_fds[i], "0", 1) != 1)
			return error_sys(err, errno, "enter the cgroup");
	return 0;
}

/* As the kernel takes it: a struct sigaction whose handler, all of zeros, is the standard one. */
struct kernel_sigaction {
	unsigned long words[4];
};

/*
 * By the system call: the C library keeps 32 and 33 for itself and will not touch them, yet whoever
 * was started by its posix_spawn (every child of make) has them ignored.
 */
static void reset_signals(void)
{
	static const struct kernel_sigaction standard;
	static const uint64_t none;
	for (int i = 1; i < NSIG; i++) /* KILL and STOP refuse: nothing to reset there */
		syscall(SYS_rt_sigaction, i, &standard, NULL, sizeof(none));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

static int set_stdio(const struct spawn_plan *p, struct error *err)
{
	int null_fd = -1;
	for (int i = 0; i < 3; i++) {
		int fd = p->stdio_fds[i];
		if (fd < 0) {
			if (null_fd < 0)
				null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
			if (null_fd < 0)
				return error_sys(err, errno, "open /dev/null");
			fd = null_fd;
		}
		if (dup2(fd, i) < 0)
			return error_sys(err, errno, "set descriptor %d", i);
	}
	return 0;
}

/* Out of the way first: each may stand where another has to go. */
static int set_more(const struct spawn_plan *p, int *report_fd, struct error *err)
{
	int above = 3 + p->n_more_fds, fds[SPAWN_MORE_MAX];
	if (p->n_more_fds == 0)
		return 0;
	int moved = fcntl(*report_fd, F_DUPFD_CLOEXEC, above);
	if (moved < 0)
		return error_sys(err, errno, "move a pipe");
	*report_fd = moved;
	for (int i = 0; i < p->n_more_fds; i++)
		fds[i] = fcntl(p->more_fds[i], F_DUPFD_CLOEXEC, above);
	for (int i = 0; i < p->n_more_fds; i++)
		if (dup2(fds[i], 3 + i) < 0)
			return error_sys(err, errno, "set descriptor %d", 3 + i);
	return 0;
}

static int set_user(const struct user *u, struct error *err)
{
	if (!u || !u->is_other)
		return 0;
	if (setgroups((size_t)u->n_groups, u->groups) < 0 ||
		setresgid(u->gid, u->gid, u->gid) < 0 || setresuid(u->uid, u->uid, u->uid) < 0)
		return error_sys(err, errno, "become user %s", u->name);
	return 0;
}

static int confine(const struct spawn_plan *p, int report_fd, struct error *err)
{
	const struct confine *c = p->confine;
	struct rlimit nofile;
	if (c->nofile_soft && getrlimit(RLIMIT_NOFILE, &nofile) == 0) {
		nofile.rlim_cur = c->nofile_soft;
		setrlimit(RLIMIT_NOFILE, &nofile);
	}
	if (!c->has_lock) {
		/* What the executor has open is CLOEXEC; this is for what it was started with. */
		if (close_range(3 + (unsigned)p->n_more_fds, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
			return error_sys(err, errno, "close descriptors");
		return 0;
	}
	struct lock lock = c->lock;
	lock_keep(&lock, report_fd);
	for (int i = 0; i < p->n_more_fds; i++)
		lock_keep(&lock, 3 + i);
	return lock_apply(&lock, err);
}

static int prepare(const struct spawn_plan *p, int *report_fd, struct error *err)
{
	if (p->confine && enter_cgroups(p->confine, err) < 0)
		return -1;
	if (setsid() < 0)
		return error_sys(err, errno, "make a session");
	if (p->is_tty && ioctl(p->stdio_fds[1], TIOCSCTTY, 0) < 0)
		return error_sys(err, errno, "take the terminal");
	reset_signals();
	umask(022);
	if (set_stdio(p, err) < 0 || set_more(p, report_fd, err) < 0 || set_user(p->user, err) < 0)
		return -1;
	if (chdir(p->cwd) < 0)
		return error_sys(err, errno, "change to %s", p->cwd);
	return p->confine ? confine(p, *report_fd, err) : 0;
}

/* Tries each path; the reason that is kept is the first other than "there is none". */
static int exec_first(const struct spawn_plan *p, const struct buf *paths, struct error *err)
{
	int reason = ENOENT;
	for (const char *path = paths->ptr; *path; path += strlen(path) + 1) {
		execve(path, (char *const *)(uintptr_t)p->argv, p->envp);
		if (errno != ENOENT && errno != ENOTDIR && reason == ENOENT)
			reason = errno;
	}
	return error_sys(err, reason, "start %s", p->argv[0]);
}

_Noreturn static void child_main(const struct spawn_plan *p, const struct buf *paths, int report_fd)
{
	struct report r = { .pid = (pid_t)syscall(SYS_getpid) };
	ssize_t n = write(report_fd, &r, sizeof(r));
	if (n == sizeof(r) && prepare(p, &report_fd, &r.error) == 0)
		exec_first(p, paths, &r.error);
	r.has_failed = true;
	n = write(report_fd, &r, sizeof(r));
	_exit(n == sizeof(r) ? 127 : 126);
}

/* "dir/name\0dir/name\0\0" */
static int find_paths(const struct spawn_plan *p, struct buf *paths, struct error *err)
{
	const char *name = p->argv[0];
	if (strchr(name, '/')) {
		buf_add(paths, name, strlen(name) + 1);
	} else {
		struct str rest = str_from(p->path ? p->path : PATH_STANDARD), dir;
		while (*name && str_split(&rest, ':', &dir)) {
			buf_printf(paths, "%.*s/%s", STR_ARG(dir.len ? dir : STR(".")), name);
			buf_putc(paths, '\0');
		}
	}
	if (paths->is_full)
		return error_set(err, ERROR_INVALID, "the name of the program or PATH is too long");
	return 0;
}

enum said { NOTHING, SOMETHING, NOTHING_YET };

static enum said read_report(int fd, int pidfd, struct report *r)
{
	ssize_t n;
	if (!fork_await(pidfd, fd))
		return NOTHING_YET;
	do
		n = read(fd, r, sizeof(*r));
	while (n < 0 && errno == EINTR);
	return n == sizeof(*r) ? SOMETHING : NOTHING;
}

int spawn(const struct spawn_plan *plan, struct child *ret, struct error *err)
{
	auto_buf struct buf paths = BUF_INIT(PATHS_BYTES_MAX);
	if (find_paths(plan, &paths, err) < 0)
		return -1;
	int pipe_fds[2], pidfd = -1;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	auto_fd int in_fd = pipe_fds[0];
	auto_fd int out_fd = pipe_fds[1];
	int pid = fork_child(plan->confine ? plan->confine->cgroup_fd : -1, &pidfd, err);
	if (pid < 0)
		return -1;
	if (pid == 0)
		child_main(plan, &paths, out_fd);
	out_fd = close_fd(out_fd);

	struct report first = { 0 }, last = { 0 };
	struct child child = { .own_pid = pid, .pidfd = pidfd };
	enum said said = read_report(in_fd, pidfd, &first);
	bool is_alive = said == SOMETHING;
	if (is_alive)
		said = read_report(in_fd, pidfd, &last);
	child.pid = first.pid;
	if (is_alive && said == NOTHING) {
		*ret = child;
		return 0;
	}
	kill(pid, SIGKILL);
	child_wait(&child);
	if (said != SOMETHING)
		return error_set(err, ERROR_UNAVAILABLE, "start %s: the child was %s",
			plan->argv[0], said == NOTHING ? "killed" : "stopped before it had begun");
	if (err)
		*err = last.error;
	return -1;
}

int child_signal(const struct child *child, int signo, bool is_group, struct error *err)
{
	if (child->is_reaped && !is_group)
		return 0;
	long r = is_group ? kill(-child->own_pid, signo)
			  : syscall(SYS_pidfd_send_signal, child->pidfd, signo, NULL, 0);
	if (r < 0 && errno != ESRCH)
		return error_sys(err, errno, "signal process %d", child->pid);
	return 0;
}

bool child_reap(struct child *child, int *ret_code, int *ret_status)
{
	siginfo_t info = { 0 };
	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return false;
	child->is_reaped = true;
	orphans_disown(info.si_pid);
	*ret_code = info.si_code == CLD_EXITED ? CLD_EXITED : CLD_KILLED;
	*ret_status = info.si_status;
	return true;
}

void pidfd_wait(int pidfd)
{
	siginfo_t info = { 0 };
	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 &&
		(errno == EINTR || errno == EAGAIN))
		poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, -1);
	orphans_disown(info.si_pid);
}

void child_wait(struct child *child)
{
	if (!child->is_reaped && child->pidfd >= 0)
		pidfd_wait(child->pidfd);
	child->pidfd = close_fd(child->pidfd);
}

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "HUP", SIGHUP },
	{ "INT", SIGINT },
	{ "QUIT", SIGQUIT },
	{ "ILL", SIGILL },
	{ "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT },
	{ "BUS", SIGBUS },
	{ "FPE", SIGFPE },
	{ "KILL", SIGKILL },
	{ "USR1", SIGUSR1 },
	{ "SEGV", SIGSEGV },
	{ "USR2", SIGUSR2 },
	{ "PIPE", SIGPIPE },
	{ "ALRM", SIGALRM },
	{ "TERM", SIGTERM },
	{ "CHLD", SIGCHLD },
	{ "CONT", SIGCONT },
	{ "STOP", SIGSTOP },
	{ "TSTP", SIGTSTP },
	{ "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU },
	{ "URG", SIGURG },
	{ "XCPU", SIGXCPU },
	{ "XFSZ", SIGXFSZ },
	{ "WINCH", SIGWINCH },
	{ "SYS", SIGSYS },
};

int signal_parse(struct str name, int *ret, struct error *err)
{
	struct str bare = str_starts(name, STR("SIG")) ? str_skip(name, 3) : name;
	int64_t number;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (str_is(bare, signals[i].name)) {
			*ret = signals[i].number;
			return 0;
		}
	if (num_parse_i64(name, 1, NSIG - 1, &number, NULL) == 0) {
		*ret = (int)number;
		return 0;
	}
	return error_set(err, ERROR_INVALID, "'%.*s' is no signal", STR_ARG(str_first(name, 40)));
}

const char *signal_name(int signo)
{
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (signals[i].number == signo)
			return signals[i].name;
	return "?";
}

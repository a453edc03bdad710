/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/inside.h"

#include "base/auto.h"
#include "base/file.h"
#include "sandbox/caps.h"
#include "sandbox/nslimit.h"
#include "sandbox/second.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { INIT_FD = 3, FIRST_REALTIME = 32 };

void inside_fail(int sock, enum report_kind kind, const struct error *err)
{
	struct report report = { .kind = kind, .error = *err };
	fd_send(sock, str_from_len((const char *)&report, sizeof(report)), NULL, 0, NULL);
	_exit(125);
}

/* Signals as a program expects them: the owner may have blocked or ignored some. */
static void reset_signals(void)
{
	for (int sig = 1; sig < FIRST_REALTIME; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The owner's word, with or without descriptors. */
static int await_go(int sock, int *fds, int *n_fds, struct error *err)
{
	char go[2];
	if (fd_recv(sock, go, sizeof(go), fds, n_fds, err) != (ssize_t)sizeof(go))
		return error_set(err, ERROR_CANCELLED, "the owner went away");
	return 0;
}

static int await_groups(const struct inside *in, struct error *err)
{
	int fds[PART_MAX], n = PART_MAX;
	if (await_go(in->sock, fds, &n, err) < 0)
		return -1;
	for (int i = 0; i < n; i++)
		in->build->cgroup.tasks_fds[i] =
			fds[i]; /* which is which does not matter to who enters */
	return 0;
}

/*
 * After the last change of ids, which clears it. Who lost its owner before hears of it by a socket,
 * mostly: whom the owner is just forking has a copy of its end. cay-init looks at life_fd for good.
 */
static int follow_owner(const struct inside *in, struct error *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_sys(err, errno, "ask for a signal when the owner ends");
	struct pollfd p[] = { { .fd = in->sock }, { .fd = in->owner_sock } };
	if (poll(p, ARRAY_LEN(p), 0) > 0 && ((p[0].revents | p[1].revents) & POLLHUP))
		return error_set(err, ERROR_CANCELLED, "the owner went away");
	return 0;
}

static int build(const struct inside *in, struct error *err)
{
	int none = 0;
	struct build *b = in->build;
	if (build_walk(b, STAGE_EARLY, err) < 0 || await_go(in->sock, NULL, &none, err) < 0)
		return -1;
	if (build_walk(b, STAGE_INSIDE, err) < 0 || await_groups(in, err) < 0)
		return -1;
	if (in->command && second_enter(b, err) < 0)
		return -1;
	return build_walk(b, STAGE_LAST, err) < 0 ? -1 : follow_owner(in, err);
}

static int announce(const struct inside *in, int pidfd, int master, struct error *err)
{
	struct report report = { .kind = REPORT_COMMAND };
	int fds[2] = { pidfd, master };
	struct str bytes = { (const char *)&report, sizeof(report) };
	return fd_send(in->sock, bytes, fds, master >= 0 ? 2 : 1, err);
}

static int give_layer(const struct inside *in, struct error *err)
{
	struct report report = { .kind = REPORT_LAYER };
	struct str bytes = { (const char *)&report, sizeof(report) };
	return fd_send(in->sock, bytes, &in->build->layer_fd, 1, err);
}

static int start_command(const struct inside *in, struct error *err)
{
	auto_fd int master = -1, slave = -1;
	if (in->command->has_tty && exec_open_tty(in, &master, &slave, err) < 0)
		return error_wrap(err, "open a terminal");
	if (second_go(in->build, slave, err) < 0)
		return -1;
	return announce(in, in->build->second_pidfd, master, err);
}

/*
 * An ordinary user's sandbox shares the user's host id, and the program file is the user's: through
 * /proc/1/exe something inside could get hold of it and, later, write to it. So it is executed from
 * a read-only mount.
 */
static int protect_program(const struct inside *in, int *ret_fd, struct error *err)
{
	*ret_fd = in->init_fd;
	if (in->build->plan->host.is_root)
		return 0;
	/*
	 * By its path: the descriptor is of a mount of the host, which may not be cloned from here.
	 */
	char link[32], path[4096];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", in->init_fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return nslimit_sys(err, errno, "mount cay-init read-only");
	*ret_fd = fd;
	return 0;
}

/* No Landlock: pid 1 stays outside of the command's domain, and so out of its reach. */
static int filter_calls(const struct inside *in, struct error *err)
{
	if (!in->lock)
		return 0;
	struct lock lock = *in->lock;
	lock.parts &= 1U << LOCK_NNP | 1U << LOCK_SECCOMP;
	return lock_apply(&lock, err);
}

/*
 * pid 1 keeps nothing: no capability, no descriptor but the one to tell the status on, no
 * environment.
 */
static int give_up(const struct inside *in, struct error *err)
{
	if (caps_bound(USER_AGENT, err) < 0 || caps_set(USER_AGENT, err) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, errno, "set no_new_privs");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return error_sys(err, errno, "open /dev/null");
	return 0;
}

/* INIT_FD is what the command's status is told on, or what ends with the owner. */
static void exec_init(const struct inside *in, int init_fd, pid_t command, struct error *err)
{
	char name[] = "cay-init", fd[16], pid[16];
	int given = in->command ? in->status_fd : in->life_fd;
	char *argv[] = { name, given >= 0 ? fd : NULL, in->command ? pid : NULL, NULL };
	char *envp[] = { NULL };
	snprintf(fd, sizeof(fd), "%d", INIT_FD);
	snprintf(pid, sizeof(pid), "%d", (int)command);
	/* Out of the way of INIT_FD, which comes last. */
	int sock = fcntl(in->sock, F_DUPFD_CLOEXEC, INIT_FD + 1);
	int program = fcntl(init_fd, F_DUPFD_CLOEXEC, INIT_FD + 1);
	int kept = given >= 0 ? fcntl(given, F_DUPFD_CLOEXEC, INIT_FD + 1) : -1;
	if (given >= 0 && dup2(kept, INIT_FD) < 0)
		program = -1;
	syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	error_sys(err, errno, "execute cay-init");
	inside_fail(sock, REPORT_FAILED, err);
}

void inside_main(const struct inside *in, int other_sock)
{
	struct error err = { 0 };
	const struct build *b = in->build;
	bool has_second = in->command || (b->plan->namespaces & CLONE_NEWNET);
	int init_fd;
	close(other_sock);
	reset_signals();
	if ((has_second && second_start(in, &err) < 0) || protect_program(in, &init_fd, &err) < 0 ||
		build(in, &err) < 0 || (b->layer_fd >= 0 && give_layer(in, &err) < 0) ||
		(in->command && start_command(in, &err) < 0) || give_up(in, &err) < 0 ||
		filter_calls(in, &err) < 0)
		inside_fail(in->sock, REPORT_FAILED, &err);
	exec_init(in, init_fd, in->command ? b->second_pid : 0, &err);
	_exit(125);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command of a box: its terminal, its standard descriptors, its lock, and the search for its
 * program.
 */
#include "sandbox/inside.h"

#include "base/auto.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

enum { STDIO_ROOM = 10, TTY_GROUP = 5 };

static const char standard_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

int exec_open_tty(const struct inside *in, int *ret_master, int *ret_slave, struct error *err)
{
	const struct plan *plan = in->build->plan;
	auto_fd int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return error_sys(err, errno, "/dev/pts/ptmx");
	auto_fd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_sys(err, errno, "open the terminal's other side");
	uint32_t agent = plan->spec.user == USER_ROOT ? 0 : AGENT_UID;
	if (plan->host.is_root && fchown(slave, agent, TTY_GROUP) < 0)
		return error_sys(err, errno, "give the terminal to its user");
	struct winsize size = { .ws_row = in->command->rows, .ws_col = in->command->columns };
	ioctl(slave, TIOCSWINSZ, &size);
	*ret_master = take_fd(&master);
	*ret_slave = take_fd(&slave);
	return 0;
}

/* First out of the way, so that none is overwritten before it has been duplicated. */
static int put_stdio(const int fds[3], struct error *err)
{
	int copies[3];
	for (int i = 0; i < 3; i++) {
		copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, STDIO_ROOM);
		if (copies[i] < 0)
			return error_sys(err, errno, "duplicate descriptor %d", fds[i]);
	}
	for (int i = 0; i < 3; i++)
		if (dup2(copies[i], i) < 0)
			return error_sys(err, errno, "set descriptor %d", i);
	return 0;
}

static int put_tty(int slave, struct error *err)
{
	int fds[3] = { slave, slave, slave };
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return error_sys(err, errno, "take the terminal");
	return put_stdio(fds, err);
}

static const char *path_of(char *const *envp)
{
	for (; *envp; envp++)
		if (!strncmp(*envp, "PATH=", 5))
			return *envp + 5;
	return standard_path;
}

/* As execvp, with the PATH of the environment that the command will have. Returns the errno. */
static int exec_search(char *const *argv, char *const *envp)
{
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, envp);
		return errno;
	}
	int seen = ENOENT;
	struct str rest = str_from(path_of(envp)), dir;
	while (argv[0][0] && str_split(&rest, ':', &dir)) {
		char path[4096];
		int n = snprintf(path, sizeof(path), "%.*s%s%s", STR_ARG(dir), dir.len ? "/" : "",
			argv[0]);
		if (n < 0 || (size_t)n >= sizeof(path))
			continue;
		execve(path, argv, envp);
		if (errno == EACCES)
			seen = EACCES;
		else if (errno != ENOENT && errno != ENOTDIR)
			return errno;
	}
	return seen;
}

static void explain_exec(const char *name, int sys, struct error *err)
{
	struct stat st;
	if (sys == ENOENT && strchr(name, '/') && stat(name, &st) == 0)
		error_set(err, ERROR_FORBIDDEN, "%s: its interpreter is not in the sandbox", name);
	else if (sys == ENOENT)
		error_set(err, ERROR_NOT_FOUND, "%s: command not found in the sandbox", name);
	else if (sys == E2BIG)
		error_sys(err, sys, "%s: the arguments are over what a program may get", name);
	else
		error_sys(err, sys, "%s", name);
}

/*
 * Landlock alone has to wait for the tree. The lock closes every descriptor but those that are
 * needed until then.
 */
static int put_lock(const struct inside *in, bool is_landlock, int keep_fd, struct error *err)
{
	if (!in->lock)
		return 0;
	struct lock lock = *in->lock;
	uint32_t landlock = 1U << LOCK_LANDLOCK;
	lock.parts &= is_landlock ? landlock : ~landlock;
	if (in->build->plan->ids ==
		IDS_SINGLE) /* setgroups is denied where the ids are the user's */
		lock.parts &= ~(1U << LOCK_GROUPS);
	lock_keep(&lock, in->sock);
	lock_keep(&lock, keep_fd);
	return lock_apply(&lock, err);
}

int exec_prepare(const struct inside *in, int keep_fd, struct error *err)
{
	umask(022);
	if (setsid() < 0)
		return error_sys(err, errno, "start a session");
	if (!in->command->has_tty && put_stdio(in->command->stdio_fds, err) < 0)
		return -1;
	return put_lock(in, false, keep_fd, err);
}

static int finish(const struct inside *in, int tty_fd, struct error *err)
{
	const char *workdir = in->build->plan->spec.workdir;
	if (tty_fd >= 0 && put_tty(tty_fd, err) < 0)
		return -1;
	if (put_lock(in, true, in->sock, err) < 0)
		return -1;
	return chdir(workdir) < 0 ? error_sys(err, errno, "enter %s", workdir) : 0;
}

void exec_command(const struct inside *in, int tty_fd)
{
	struct error err = { 0 };
	if (finish(in, tty_fd, &err) < 0)
		inside_fail(in->sock, REPORT_FAILED, &err);
	int sys = exec_search(in->command->argv, in->command->envp);
	explain_exec(in->command->argv[0], sys, &err);
	inside_fail(in->sock, REPORT_EXEC_FAILED, &err);
}

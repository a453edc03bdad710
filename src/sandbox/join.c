/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The executor: forked by the owner, it joins the namespaces of a box and becomes cay-executor
 * there. It stays outside of the pid namespace, so nothing in the box can see or signal it, while
 * its children land inside. Failure comes back over a pipe that a successful execve closes.
 */
#include "sandbox/launch.h"

#include "base/auto.h"
#include "base/file.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
	CONTROL_FD = 3,
	FIRST_FD = 4, /* what else it inherits comes after */
	ROOM_FD = 32, /* descriptors are moved up here before they are put in their places */
	ARGS_MAX = 48,
	INHERITED_MAX = PART_MAX + 4,
	NUMBER_SIZE = 16,
};

struct join {
	struct box *box;
	const struct lock *lock;
	int executor_fd, control_fd, lock_fd, memory_fd, pids_fd;
	const struct launch_owner *owner; /* or NULL */
	int owner_sock;
	const char *const *extra;
	int error_fd;
	char tasks[64];
	char lock_number[NUMBER_SIZE], memory_number[NUMBER_SIZE], pids_number[NUMBER_SIZE],
		layer_number[NUMBER_SIZE];
	char *argv[ARGS_MAX];
	int n_args;
	int inherited[INHERITED_MAX]; /* become FIRST_FD, FIRST_FD + 1, … */
	int n_inherited;
};

static void add_arg(struct join *j, const char *arg)
{
	if (j->n_args < ARGS_MAX - 1)
		j->argv[j->n_args++] = (char *)(uintptr_t)arg; /* execve does not write to it */
}

static int inherit(struct join *j, int fd)
{
	j->inherited[j->n_inherited++] = fd;
	return FIRST_FD + j->n_inherited - 1;
}

/* An option whose value is a descriptor of the executor's; none for -1. */
static void add_fd(struct join *j, const char *option, int fd, char number[NUMBER_SIZE])
{
	if (fd < 0)
		return;
	snprintf(number, NUMBER_SIZE, "%d", inherit(j, fd));
	add_arg(j, option);
	add_arg(j, number);
}

static void make_args(struct join *j)
{
	const struct cgroup *c = &j->box->cgroup;
	size_t n = 0;
	add_arg(j, "cay-executor");
	for (int i = 0; i < PART_MAX; i++)
		if (c->tasks_fds[i] >= 0)
			n += (size_t)snprintf(j->tasks + n, sizeof(j->tasks) - n, "%s%d",
				n ? "," : "", inherit(j, c->tasks_fds[i]));
	if (n) {
		add_arg(j, "--tasks-fds");
		add_arg(j, j->tasks);
	}
	add_fd(j, "--lock-fd", j->lock_fd, j->lock_number);
	add_fd(j, "--memory-fd", j->memory_fd, j->memory_number);
	add_fd(j, "--pids-fd", j->pids_fd, j->pids_number);
	add_fd(j, "--layer-fd", j->box->layer_fd, j->layer_number);
	for (const char *const *e = j->extra; e && *e; e++)
		add_arg(j, *e);
}

/* setns with a pidfd joins several at once. The pid namespace is that of children, always. */
static int join_namespaces(const struct join *j, struct error *err)
{
	if (setns(j->box->init_pidfd, (int)j->box->namespaces) < 0)
		return error_sys(err, errno, "join the namespaces");
	if (chdir("/") < 0)
		return error_sys(err, errno, "chdir /");
	return 0;
}

static int drop_ids(const struct join *j, struct error *err)
{
	if (!j->lock)
		return 0;
	struct lock lock = *j->lock;
	if (!j->box->has_groups)
		lock.parts &= ~(1U << LOCK_GROUPS);
	return lock_drop(&lock, err);
}

static int put_fd(int from, int to, struct error *err)
{
	if (dup2(from, to) < 0)
		return error_sys(err, errno, "set descriptor %d", to);
	return 0;
}

static int lift(int *fd, struct error *err)
{
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, ROOM_FD);
	return *fd < 0 ? error_sys(err, errno, "duplicate a descriptor") : 0;
}

/* Standard input and output are nothing; errors go where the owner's go. */
static int put_fds(struct join *j, struct error *err)
{
	if (lift(&j->error_fd, err) < 0 || lift(&j->executor_fd, err) < 0 ||
		lift(&j->control_fd, err) < 0)
		return -1;
	if (j->owner && lift(&j->owner_sock, err) < 0)
		return -1;
	for (int i = 0; i < j->n_inherited; i++)
		if (lift(&j->inherited[i], err) < 0)
			return -1;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return error_sys(err, errno, "open /dev/null");
	if (put_fd(null, STDIN_FILENO, err) < 0 || put_fd(null, STDOUT_FILENO, err) < 0 ||
		put_fd(j->control_fd, CONTROL_FD, err) < 0)
		return -1;
	for (int i = 0; i < j->n_inherited; i++)
		if (put_fd(j->inherited[i], FIRST_FD + i, err) < 0)
			return -1;
	unsigned first = (unsigned)(FIRST_FD + j->n_inherited);
	if (syscall(SYS_close_range, first, ROOM_FD - 1, 0) < 0 ||
		syscall(SYS_close_range, ROOM_FD, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return error_sys(err, errno, "close descriptors");
	return 0;
}

/*
 * Where the whole host is out of memory, what is in a sandbox goes first: it may hold memory of the
 * kernel's that is counted for nobody (answers of netlink that nobody reads), and the kernel would
 * look for who is large. As far as it can be had: there may be no /proc here.
 */
static void go_first(void)
{
	auto_fd int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		file_write_all(fd, STR("1000"), NULL);
}

static int become(struct join *j, struct error *err)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() < 0)
		return error_sys(err, errno, "start a session");
	go_first();
	if (cgroup_enter_keeper(&j->box->cgroup, err) < 0)
		return -1;
	if (join_namespaces(j, err) < 0 || put_fds(j, err) < 0 || drop_ids(j, err) < 0)
		return -1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_sys(err, errno, "ask for a signal when the owner ends");
	/* Nobody reads the one any more, or the other hangs up. */
	struct pollfd p[] = { { .fd = j->error_fd }, { .fd = j->owner_sock } };
	if (poll(p, ARRAY_LEN(p), 0) > 0 && ((p[0].revents | p[1].revents) & (POLLERR | POLLHUP)))
		return error_set(err, ERROR_CANCELLED, "the owner went away");
	char *envp[] = { NULL };
	syscall(SYS_execveat, j->executor_fd, "", j->argv, envp, AT_EMPTY_PATH);
	return error_sys(err, errno, "execute cay-executor");
}

static pid_t fork_executor(struct join *j, int *ret_pidfd, struct error *err)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	if (j->owner) {
		args.flags |= CLONE_PARENT;
		args.exit_signal = 0; /* the kernel takes that of the caller */
	}
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return error_sys(err, errno, "fork the executor");
	if (pid > 0)
		return pid;
	struct error failure = { 0 };
	become(j, &failure);
	file_write_all(j->error_fd, str_from_len((const char *)&failure, sizeof(failure)), NULL);
	_exit(125);
}

static int await_exec(int fd, struct error *err)
{
	struct error failure;
	ssize_t n;
	do
		n = read(fd, &failure, sizeof(failure));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(failure))
		return error_sys(err, n < 0 ? errno : EBADMSG, "hear from it");
	failure.text[ERROR_TEXT_MAX - 1] = '\0';
	if (err)
		*err = failure;
	return -1;
}

int launch_executor(struct box *box, const struct lock *lock, int executor_fd, int control_fd,
	const struct launch_owner *owner, const char *const *extra, struct error *err)
{
	int ends[2];
	auto_fd int lock_fd = -1;
	if (lock && lock_seal(lock, &lock_fd, err) < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	auto_fd int read_fd = ends[0];
	const struct cgroup *c = &box->cgroup;
	auto_fd int memory_fd = c->driver->open_counter(c, PART_MEMORY);
	auto_fd int pids_fd = c->driver->open_counter(c, PART_PIDS);
	struct join j = { .box = box,
		.lock = lock,
		.executor_fd = executor_fd,
		.control_fd = control_fd,
		.lock_fd = lock_fd,
		.memory_fd = memory_fd,
		.pids_fd = pids_fd,
		.owner = owner,
		.owner_sock = owner ? owner->sock : -1,
		.extra = extra,
		.error_fd = ends[1] };
	make_args(&j);
	int pidfd = -1;
	pid_t pid = fork_executor(&j, &pidfd, err);
	close_fd(ends[1]);
	if (pid < 0)
		return -1;
	if (await_exec(read_fd, err) < 0) {
		/* It may be at work, and only its word be lost. */
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		launch_wait(&pid, pidfd);
		close_fd(pidfd);
		return error_wrap(err, "start the executor");
	}
	/*
	 * Who enters does so by the executor's copies: a supervisor of thousands is short of
	 * descriptors.
	 */
	for (int i = 0; i < PART_MAX; i++)
		box->cgroup.tasks_fds[i] = close_fd(box->cgroup.tasks_fds[i]);
	box->executor_pid = pid;
	box->executor_pidfd = pidfd;
	cgroup_close_doors(&box->cgroup); /* it has its own */
	box->layer_fd = close_fd(box->layer_fd);
	if (lock)
		box->enforced.controls |= lock_controls(lock);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespace and its loopback device. Making one takes half a millisecond, as long as the whole
 * file tree, so a child makes it meanwhile, and pid 1 joins it when it has built the tree.
 */
#include "sandbox/step.h"

#include "base/auto.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct made {
	int fd; /* -1: the error says why */
	struct error error;
};

int net_hostname(struct build *b, const struct step *s, struct error *err)
{
	if (sethostname(s->data, strlen(s->data)) < 0)
		return error_sys(err, errno, "set");
	return 0;
}

static int raise_loopback(struct error *err)
{
	auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, errno, "open a socket");
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING };
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return error_sys(err, errno, "bring lo up");
	return 0;
}

static int make_namespace(bool has_loopback, int *ret_fd, struct error *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return error_sys(err, errno, "make a network namespace");
	if (has_loopback && raise_loopback(err) < 0)
		return -1;
	*ret_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? error_sys(err, errno, "open the network namespace") : 0;
}

/* It shares our descriptors, so what it opens is ours by its number. */
int net_make(struct build *b, const struct step *s, struct error *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	struct clone_args args = { .flags = CLONE_FILES, .exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return error_sys(err, errno, "fork");
	if (pid == 0) {
		struct made made = { .fd = -1 };
		make_namespace(s->data != NULL, &made.fd, &made.error);
		_exit(write(ends[1], &made, sizeof(made)) != (ssize_t)sizeof(made));
	}
	b->net_pid = pid;
	b->net_fd = ends[0];
	b->net_write_fd = ends[1];
	return 0;
}

int net_join(struct build *b, const struct step *s, struct error *err)
{
	/* It has ended before we read: our own copy of the writing end must not keep us waiting. */
	struct made made;
	while (waitpid(b->net_pid, NULL, 0) < 0 && errno == EINTR)
		;
	b->net_write_fd = close_fd(b->net_write_fd);
	if (read(b->net_fd, &made, sizeof(made)) != (ssize_t)sizeof(made))
		return error_set(err, ERROR_INTERNAL, "the process that makes it was killed");
	auto_fd int fd = made.fd;
	if (fd < 0)
		return error_set(err, made.error.code, "%s", made.error.text);
	return setns(fd, CLONE_NEWNET) < 0 ? error_sys(err, errno, "join") : 0;
}

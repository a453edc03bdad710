/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/second.h"

#include "base/auto.h"
#include "base/file.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* What they say to each other: an error, or none, and descriptors. */
static int send_word(int sock, const struct error *word, const int *fds, int n, struct error *err)
{
	return fd_send(sock, str_from_len((const char *)word, sizeof(*word)), fds, n, err);
}

/* *n: room in, count out. An error that is received is returned as if it were ours. */
static int recv_word(int sock, int *fds, int *n, struct error *err)
{
	struct error word;
	if (fd_recv(sock, &word, sizeof(word), fds, n, err) != (ssize_t)sizeof(word))
		return error_set(err, ERROR_INTERNAL,
			"pid 1 and its second do not understand each other");
	if (word.code == ERROR_OK)
		return 0;
	*err = word;
	return -1;
}

/* The child's side */

/*
 * After a failure it waits until pid 1 has gone: what that sends in the meantime must not fail
 * first, nor what was sent to it be lost with a socket that is closed with something unread.
 */
static void outlive(int sock)
{
	struct error word;
	while (recv(sock, &word, sizeof(word), 0) > 0)
		;
}

/*
 * Nothing is sent that nobody reads: a socket that is closed with something unread is no end but an
 * error.
 */
static void make_network(const struct inside *in, int sock)
{
	struct error word = { 0 };
	struct build *b = in->build;
	if (!(b->plan->namespaces & CLONE_NEWNET))
		return;
	int r = build_walk(b, STAGE_SECOND, &word);
	if (send_word(sock, &word, &b->net_fd, b->net_fd >= 0 ? 1 : 0, NULL) < 0)
		_exit(125);
	if (r < 0)
		outlive(sock);
	if (!in->command || r < 0)
		_exit(0);
}

static int enter_groups(const struct inside *in, int sock, struct error *err)
{
	int n = PART_MAX;
	if (recv_word(sock, in->build->cgroup.tasks_fds, &n, err) < 0)
		return -1;
	for (; n < PART_MAX; n++)
		in->build->cgroup.tasks_fds[n] = -1;
	return cgroup_enter(in->build, NULL, err);
}

static _Noreturn void child_main(const struct inside *in, int sock)
{
	struct error err = { 0 };
	int tty_fd = -1, n = 1;
	make_network(in, sock);
	if (enter_groups(in, sock, &err) < 0 || exec_prepare(in, sock, &err) < 0 ||
		recv_word(sock, &tty_fd, &n, &err) < 0)
		inside_fail(in->sock, REPORT_FAILED, &err);
	exec_command(in, tty_fd);
}

/* The side of pid 1 */

int second_start(const struct inside *in, struct error *err)
{
	struct build *b = in->build;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket pair");
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uintptr_t)&b->second_pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return error_sys(err, errno, "fork");
	if (pid == 0) {
		close(pair[0]);
		child_main(in, pair[1]);
	}
	close(pair[1]);
	b->second_pid = pid;
	b->second_sock = pair[0];
	return 0;
}

int net_join(struct build *b, const struct step *s, struct error *err)
{
	int n = 1;
	if (recv_word(b->second_sock, &b->net_fd, &n, err) < 0)
		return -1;
	if (n == 1 && setns(b->net_fd, CLONE_NEWNET) < 0)
		return error_sys(err, errno, "join");
	return 0;
}

int second_enter(const struct build *b, struct error *err)
{
	struct error word = { 0 };
	int fds[PART_MAX], n = 0;
	for (int i = 0; i < PART_MAX; i++)
		if (b->cgroup.tasks_fds[i] >= 0)
			fds[n++] = b->cgroup.tasks_fds[i];
	return send_word(b->second_sock, &word, fds, n, err);
}

int second_go(const struct build *b, int tty_fd, struct error *err)
{
	struct error word = { 0 };
	return send_word(b->second_sock, &word, &tty_fd, tty_fd >= 0 ? 1 : 0, err);
}

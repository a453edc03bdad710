/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/boundary.h"

#include "base/auto.h"
#include "base/log.h"
#include "base/program.h"
#include "sandbox/server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum { SOCKET_FD = 3, PROGRAM_FD = 4, SOCKET_BYTES = 512 * 1024, VARIABLE_MAX = 1024 };

/* Where certificates are, and nothing else of what the supervisor was told. */
static char *const *environment(void)
{
	static char text[VARIABLE_MAX], *vector[2];
	const char *value = getenv("SSL_CERT_FILE");
	if (value && snprintf(text, VARIABLE_MAX, "SSL_CERT_FILE=%s", value) < VARIABLE_MAX)
		vector[0] = text;
	return vector;
}

static int prepare(int sock, int program_fd, const struct cgroup *cgroup, bool has_own_uid,
	struct error *err)
{
	sigset_t none;
	if (cgroup_enter_keeper(cgroup, err) < 0)
		return -1;
	/* Out of each other's way before they get their places. */
	sock = fcntl(sock, F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
	program_fd = fcntl(program_fd, F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
	if (sock < 0 || program_fd < 0 || dup2(sock, SOCKET_FD) < 0 ||
		dup3(program_fd, PROGRAM_FD, O_CLOEXEC) < 0)
		return error_sys(err, errno, "place a descriptor");
	syscall(SYS_close_range, PROGRAM_FD + 1, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (has_own_uid && server_become(BOUNDARY_UID, err) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_sys(err, errno, "die with the supervisor");
	return 0;
}

_Noreturn static void child(int sock, int program_fd, const struct cgroup *cgroup, bool has_own_uid,
	pid_t parent)
{
	char name[] = "cay-boundary", *const argv[] = { name, NULL };
	struct error err;
	if (prepare(sock, program_fd, cgroup, has_own_uid, &err) < 0)
		log_error("boundary.start", "error=%s", err.text);
	else if (getppid() == parent)
		syscall(SYS_execveat, PROGRAM_FD, "", argv, environment(), AT_EMPTY_PATH);
	_exit(127);
}

int boundary_start(struct boundary *b, const struct cgroup *cgroup, bool has_own_uid,
	struct error *err)
{
	int pair[2], bytes = SOCKET_BYTES;
	auto_fd int program_fd = -1;
	if (program_open("cay-boundary", &program_fd, err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make the boundary's socket");
	auto_fd int ours = pair[0], theirs = pair[1];
	setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "fork the boundary");
	if (pid == 0)
		child(theirs, program_fd, cgroup, has_own_uid, parent);
	b->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (b->pidfd < 0) {
		kill(pid, SIGKILL);
		return error_sys(err, errno, "watch the boundary");
	}
	b->fd = take_fd(&ours);
	return 0;
}

void boundary_stop(struct boundary *b)
{
	if (b->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, b->pidfd, SIGKILL, NULL, 0);
	b->pidfd = close_fd(b->pidfd);
	b->fd = close_fd(b->fd);
}

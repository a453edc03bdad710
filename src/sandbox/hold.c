/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Two locks on the directory itself: a file in it would be the server's to
 * swap. flock belongs to the open file, and so to every process that has inherited it: it is free
 * when the last of them is gone. The lock of fcntl belongs to the supervisor's pid alone, and its
 * end takes it away. Only the first one held: the supervisor was killed, and the others are dying
 * of it (PR_SET_PDEATHSIG). Both: it lives, unless a SIGKILL is on its way to it. (A server that
 * was taken over may let go of the lock. What it gets is a second one, which its own lock refuses.)
 *
 * A process closes its descriptors from the highest to the lowest: where this one is below the
 * sockets, as it is in supervisor and server, who gets the lock finds them closed.
 */
#include "sandbox/hold.h"

#include "base/auto.h"
#include "base/clock.h"
#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/time.h>

enum {
	PATIENCE_MS = 10000, /* for who was killed; then something does not die */
	BLINK_MS = 100,      /* between taking the signal and ending it is to be seen nowhere */
};

/* A SIGKILL is on its way to it, or it is only not waited for. */
static bool is_killed(pid_t pid)
{
	char path[32];
	auto_buf struct buf b = BUF_INIT(64 * 1024);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (file_read(AT_FDCWD, path, &b, NULL) < 0)
		return false;
	unsigned long long one = 0, all = 0;
	const char *pending = strstr(b.ptr, "\nSigPnd:");
	if (pending)
		sscanf(pending, "\nSigPnd: %llx\nShdPnd: %llx", &one, &all);
	return (one | all) >> (SIGKILL - 1) & 1 || strstr(b.ptr, "\nState:\tZ");
}

/* True when it is gone, within the time that is due. */
static bool await_end(pid_t pid)
{
	auto_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	return pidfd < 0 ? errno == ESRCH
			 : poll(&p, 1, is_killed(pid) ? PATIENCE_MS : BLINK_MS) == 1;
}

static void wake(int signo)
{
}

/* By a timer that goes on: the first time may come before the wait does. */
static int lock_patiently(int fd)
{
	const struct sigaction action = { .sa_handler = wake };
	const struct itimerval often = { { 1, 0 }, { 1, 0 } }, never = { 0 };
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;
	int r;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while ((r = flock(fd, LOCK_EX)) < 0 && errno == EINTR && clock_mono_ms() < end_ms)
		;
	int sys = errno;
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_DFL);
	errno = sys;
	return r;
}

int hold_take(int fd, const char *name, struct error *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return error_sys(err, errno, "lock %s", name);
	struct flock theirs = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	bool has_owner = fcntl(fd, F_GETLK, &theirs) == 0 && theirs.l_type != F_UNLCK;
	if (has_owner && !await_end(theirs.l_pid))
		return error_set(err, ERROR_EXISTS,
			"a supervisor runs with state directory %s: process %d", name,
			(int)theirs.l_pid);
	if (lock_patiently(fd) == 0)
		return 0;
	return errno == EINTR
		? error_set(err, ERROR_UNAVAILABLE,
			  "the supervisor with state directory %s was killed, and what "
			  "it has left does not end",
			  name)
		: error_sys(err, errno, "lock %s", name);
}

/* Shared: no directory can be opened for writing. Where it cannot be had, less is known of us. */
void hold_sign(int fd)
{
	struct flock ours = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	fcntl(fd, F_SETLK, &ours);
}

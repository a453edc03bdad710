/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An executor that only tells who it is: each call gets one line and is closed. The second word of
 * a call's environment decides nothing: what it says is for the tests of the supervisor.
 */
#include "base/auto.h"
#include "base/file.h"
#include "sandbox/lock.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CONTROL_FD = 3 };

static int lock_fd = -1;
static const char *cgroups = "none";

static void answer(int fd)
{
	char text[512], host[64] = "";
	struct lock lock;
	struct error err;
	gethostname(host, sizeof(host) - 1);
	int has_lock = lock_fd >= 0 && lock_open(lock_fd, &lock, &err) == 0;
	int n = snprintf(text, sizeof(text), "uid=%u hostname=%s lock=%d cgroups=%s", getuid(),
		host, has_lock, cgroups);
	if (write(fd, text, (size_t)n) != n)
		_exit(1);
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "--lock-fd"))
			lock_fd = (int)strtol(argv[i + 1], NULL, 10);
		if (!strcmp(argv[i], "--cgroup-fd") || !strcmp(argv[i], "--tasks-fds"))
			cgroups = argv[i];
	}
	char byte;
	int fd, n_fds = 1;
	while (fd_recv(CONTROL_FD, &byte, 1, &fd, &n_fds, NULL) == 1) {
		if (n_fds == 1) {
			answer(fd);
			close(fd);
		}
		n_fds = 1;
	}
	/*
	 * A sanitizer looks for leaks from a process of its own when this returns, and waits for
	 * ever if that one is killed along with the sandbox.
	 */
	_exit(0);
}

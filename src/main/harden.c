/* SPDX-License-Identifier: Apache-2.0 */
#include "main/harden.h"

#include "sandbox/landlock.h"
#include "sandbox/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS = 16384 }; /* 128 KiB of the kernel's memory */

static int confine(const char *state_dir, const char *const *readable, struct error *err)
{
	int abi = landlock_abi();
	if (abi > 0 && landlock_enter_server(abi, state_dir, readable, err) < 0)
		return -1;
	return seccomp_install(SECCOMP_PROGRAM_SERVER, err);
}

/*
 * As many as 5,000 clients and 1,000 sandboxes need. The table of descriptors grows by doubling,
 * and where threads share it each time waits for an RCU grace period: ten milliseconds in the
 * middle of somebody's request. So it is grown before there are any.
 */
static void make_room_for_descriptors(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, DESCRIPTORS - 1);
	if (fd >= 0) /* else the limit is lower, and the table will be small */
		close(fd);
}

/* The token and the environments of sandboxes are in this memory. */
int harden(const char *state_dir, bool is_confined, const char *const *readable, struct error *err)
{
	struct rlimit none = { 0, 0 }, files;
	signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		setrlimit(RLIMIT_CORE, &none) < 0)
		return error_sys(err, errno, "lock the server down");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	make_room_for_descriptors();
	return is_confined ? confine(state_dir, readable, err) : 0;
}

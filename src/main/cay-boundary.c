/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cay-boundary: swaps secrets in for placeholders in what leaves one sandbox. Started by the
 * supervisor; see boundary/worker.h. It has a uid of its own under root; here it gives up the rest:
 * no core dumps, nobody may trace it, no file, no connection of its own, no program.
 */
#include "base/log.h"
#include "boundary/worker.h"
#include "sandbox/landlock.h"
#include "sandbox/seccomp.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int lock_down(struct error *err)
{
	struct rlimit none = { 0, 0 };
	int abi = landlock_abi();
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		setrlimit(RLIMIT_CORE, &none) < 0)
		return error_sys(err, errno, "lock the boundary down");
	if (abi > 0 && landlock_enter_nothing(abi, err) < 0)
		return -1;
	return seccomp_install(SECCOMP_PROGRAM_SERVER, err);
}

int main(void)
{
	struct error err;
	log_init("cay-boundary");
	signal(SIGPIPE, SIG_IGN);
	if (worker_run(WORKER_FD, lock_down, &err) == 0)
		return 0;
	log_error("boundary.failed", "%s", err.text);
	return error_exit(err.code);
}

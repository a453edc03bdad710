/* SPDX-License-Identifier: Apache-2.0 */
/* Other processes: pid 1 of the sandbox, what serves it, what is outside. */
#include "canary/attack.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define BAD ((void *)8)

static struct finding trace_init(void)
{
	return judge(ptrace(PTRACE_SEIZE, target(), NULL, NULL));
}

static struct finding read_init(void)
{
	char byte;
	struct iovec local = { &byte, 1 }, remote = { BAD, 1 };
	return judge(process_vm_readv(target(), &local, 1, &remote, 1, 0));
}

static struct finding steal_fd(void)
{
	long pidfd = syscall(SYS_pidfd_open, target(), 0);
	struct finding f = judge(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
	if (pidfd >= 0)
		close((int)pidfd);
	return f;
}

static struct finding compare_init(void)
{
	return judge(syscall(SYS_kcmp, getpid(), target(), 0, 0, 0));
}

/* Signal 0 asks for the right and does nothing. */
static struct finding signal_init(void)
{
	return judge(kill(target(), 0));
}

static struct finding limit_init(void)
{
	return judge(syscall(SYS_prlimit64, target(), RLIMIT_NOFILE, BAD, NULL));
}

static struct finding limit_init_high_pointer(void)
{
	return judge(syscall(SYS_prlimit64, target(), RLIMIT_NOFILE, 1UL << 32, NULL));
}

static struct finding niceness_of_init(void)
{
	errno = 0;
	int now = getpriority(PRIO_PROCESS, (id_t)target());
	return errno ? blocked(errno) : judge(setpriority(PRIO_PROCESS, (id_t)target(), now));
}

/* By its number on the host, which the driver gives: it must not mean anything in here. */
static struct finding signal_driver(void)
{
	const char *pid = getenv("ESCAPE_HOST_PID");
	if (!pid)
		return absent(0);
	int r = kill((pid_t)strtol(pid, NULL, 10), 0);
	return r < 0 && errno == ESRCH ? blocked(errno) : judge(r); /* ESRCH: it is not in here */
}

static struct finding signal_everybody(void)
{
	/*
	 * All that one may signal: in a sandbox that is what belongs to it, so the answer is ESRCH
	 * or fine.
	 */
	const char *pid = getenv("ESCAPE_HOST_PID");
	char path[64];
	snprintf(path, sizeof(path), "/proc/%s/status", pid ? pid : "0");
	return judge_open(open(path, O_RDONLY | O_CLOEXEC), path);
}

static struct finding advise_init(void)
{
	struct iovec remote = { BAD, 1 };
	long pidfd = syscall(SYS_pidfd_open, target(), 0);
	return judge(syscall(SYS_process_madvise, pidfd, &remote, 1, 20, 0));
}

static struct finding move_init(void)
{
	return judge(syscall(SYS_migrate_pages, target(), 0, NULL, NULL));
}

const struct attack process_attacks[] = {
	{ "ptrace-init", MANY, true, trace_init, "trace pid 1" },
	{ "vm-read-init", MANY, true, read_init, "read memory of pid 1" },
	{ "pidfd-getfd", MANY, true, steal_fd, "take a descriptor of pid 1" },
	{ "kcmp", MANY, true, compare_init, "compare with pid 1" },
	/*
	 * Landlock says no since Linux 6.12; before, the kernel drops whatever pid 1 has no handler
	 * for.
	 */
	{ "signal-init", MANY, true, signal_init, "signal pid 1", MAY_ONE_ID | MAY_ROOT_MODE },
	{ "prlimit-init", MANY, true, limit_init, "set limits of pid 1" },
	{ "prlimit-pointer", MANY, true, limit_init_high_pointer,
		"the same by a pointer with zero low half" },
	{ "renice-init", MANY, true, niceness_of_init, "change the priority of pid 1",
		MAY_ONE_ID | MAY_ROOT_MODE },
	{ "signal-host", NAMESPACES, false, signal_driver, "signal a process of the host" },
	{ "see-host-process", NAMESPACES, false, signal_everybody, "see a process of the host" },
	{ "madvise-init", MANY, true, advise_init, "process_madvise(2) on pid 1" },
	{ "migrate-init", MANY, true, move_init, "migrate_pages(2) of pid 1" },
	{ 0 },
};

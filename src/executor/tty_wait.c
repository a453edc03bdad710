/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. /proc/LEADER/stat has tpgid, the foreground process group of its terminal.
 * Of the processes in that group, /proc/PID/task/TID/syscall tells in which system call a sleeping
 * thread is and its arguments, and /proc/PID/fd/N what a descriptor is.
 *
 *	read, readv on a terminal               waits
 *	select, poll and their like             waits if a terminal is among the descriptors, and the others
 *	                                        are of the process's own making (eventfd, timerfd, signalfd,
 *	                                        pipe): a socket could wake it as well
 *	epoll_wait                              the same, by /proc/PID/fdinfo
 *
 * All of it is bounded: THREADS_MAX threads of PROC_PROCESSES_MAX processes and DESCRIPTORS_MAX
 * descriptors are looked at, and a process can lie about none of it, since the kernel writes these
 * files.
 */
#include "executor/tty_wait.h"

#include "base/auto.h"
#include "base/buf.h"
#include "executor/proc.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { THREADS_MAX = 64, DESCRIPTORS_MAX = 64 };

struct syscall_line {
	long number;
	uint64_t args[6];
};

/* "0 0x0 0x7f… …", "-1 …" for a page fault, "running" */
static bool read_syscall(long pid, long tid, struct syscall_line *ret)
{
	auto_buf struct buf b = BUF_INIT(PROC_FILE_MAX);
	if (proc_read(&b, "/proc/%ld/task/%ld/syscall", pid, tid) < 0)
		return false;
	return sscanf(b.ptr,
		       "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
		       &ret->number, &ret->args[0], &ret->args[1], &ret->args[2], &ret->args[3],
		       &ret->args[4], &ret->args[5]) == 7;
}

enum kind { KIND_TTY, KIND_OWN, KIND_OTHER };

static enum kind kind_of(long pid, uint64_t fd)
{
	char path[80], target[256];
	snprintf(path, sizeof(path), "/proc/%ld/fd/%" PRIu64, pid, fd);
	ssize_t n = readlink(path, target, sizeof(target));
	if (n <= 0)
		return KIND_OTHER;
	struct str s = str_from_len(target, (size_t)n);
	if (str_starts(s, STR("/dev/pts/")) || str_is(s, "/dev/tty") || str_is(s, "/dev/console"))
		return KIND_TTY;
	if (str_starts(s, STR("anon_inode:")) || str_starts(s, STR("pipe:")))
		return KIND_OWN;
	return KIND_OTHER;
}

/* Adds up what a process waits for: only a terminal and things of its own. */
struct tally {
	long pid;
	int ttys, others;
};

static void count_fd(struct tally *t, uint64_t fd)
{
	enum kind kind = kind_of(t->pid, fd);
	t->ttys += kind == KIND_TTY;
	t->others += kind == KIND_OTHER;
}

static ssize_t read_memory(long pid, uint64_t address, void *to, size_t size)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/%ld/mem", pid);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : pread(fd, to, size, (off_t)address);
}

static void count_poll(struct tally *t, const struct syscall_line *s)
{
	struct pollfd fds[DESCRIPTORS_MAX];
	size_t n = MIN(s->args[1], (uint64_t)DESCRIPTORS_MAX);
	if (read_memory(t->pid, s->args[0], fds, n * sizeof(fds[0])) !=
		(ssize_t)(n * sizeof(fds[0])))
		return;
	for (size_t i = 0; i < n; i++)
		if (fds[i].fd >= 0 && fds[i].events & POLLIN)
			count_fd(t, (uint64_t)fds[i].fd);
	t->others += s->args[1] > DESCRIPTORS_MAX;
}

static void count_select(struct tally *t, const struct syscall_line *s)
{
	fd_set set;
	FD_ZERO(&set);
	uint64_t n = MIN(s->args[0], (uint64_t)FD_SETSIZE);
	size_t size = ((size_t)n + 63) / 64 * 8;
	if (!s->args[1] || read_memory(t->pid, s->args[1], &set, size) != (ssize_t)size)
		return;
	for (uint64_t fd = 0; fd < n && t->ttys + t->others < DESCRIPTORS_MAX; fd++)
		if (FD_ISSET((int)fd, &set))
			count_fd(t, fd);
}

/* "tfd:        0 events:       19 data: …" for each descriptor in the set */
static void count_epoll(struct tally *t, const struct syscall_line *s)
{
	auto_buf struct buf b = BUF_INIT(PROC_FILE_MAX);
	if (proc_read(&b, "/proc/%ld/fdinfo/%ld", t->pid, (long)s->args[0]) < 0)
		return;
	struct str rest = buf_str(&b), line;
	while (str_split(&rest, '\n', &line)) {
		uint64_t fd;
		if (str_starts(line, STR("tfd:")) && sscanf(line.ptr, "tfd: %" SCNu64, &fd) == 1)
			count_fd(t, fd);
	}
}

static bool thread_waits(long pid, long tid)
{
	struct syscall_line s;
	struct tally t = { .pid = pid };
	if (!read_syscall(pid, tid, &s))
		return false;
	switch (s.number) {
	case SYS_read:
	case SYS_readv:
		return kind_of(pid, s.args[0]) == KIND_TTY;
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		count_poll(&t, &s);
		break;
#ifdef SYS_select
	case SYS_select:
#endif
	case SYS_pselect6:
		count_select(&t, &s);
		break;
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		count_epoll(&t, &s);
		break;
	default:
		return false;
	}
	return t.ttys > 0 && t.others == 0;
}

/* The next number among the names of a directory of /proc; 0 at its end. */
static bool process_waits(long pid)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/%ld/task", pid);
	auto_dir DIR *dir = opendir(path);
	long tid;
	for (int i = 0; dir && i < THREADS_MAX && (tid = proc_next(dir)); i++)
		if (thread_waits(pid, tid))
			return true;
	return false;
}

/* Mostly it is the group's leader; if not, all processes have to be looked through. */
static bool group_waits(long pgrp)
{
	if (process_waits(pgrp))
		return true;
	auto_dir DIR *dir = opendir("/proc");
	long pid;
	for (int i = 0; dir && i < PROC_PROCESSES_MAX && (pid = proc_next(dir)); i++) {
		struct proc_stat s;
		if (pid != pgrp && proc_read_stat(pid, &s) && s.pgrp == pgrp && process_waits(pid))
			return true;
	}
	return false;
}

enum tty_wait tty_wait_check(pid_t leader)
{
	struct proc_stat s;
	if (!proc_read_stat(leader, &s))
		return TTY_BUSY;
	if (s.state == 'T')
		return TTY_STOPPED;
	return s.tpgid > 0 && group_waits(s.tpgid) ? TTY_WAITS : TTY_BUSY;
}

static int stat_program(long pid, struct stat *ret)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/%ld/exe", pid);
	return stat(path, ret);
}

bool tty_wait_is_program(pid_t leader)
{
	struct proc_stat s;
	struct stat shell, program;
	return proc_read_stat(leader, &s) && stat_program(leader, &shell) == 0 &&
		stat_program(s.tpgid, &program) == 0 &&
		(shell.st_ino != program.st_ino || shell.st_dev != program.st_dev);
}

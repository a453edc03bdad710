/* SPDX-License-Identifier: Apache-2.0 */
#include "base/family.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { STAT_MAX = 1024 };

bool family_follow(pid_t parent)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

struct process {
	pid_t pid, parent;
	int64_t ticks;
	int64_t pages;
};

/* The name, in parentheses, may hold anything; what follows the last one does not. */
static bool read_process(int proc_fd, const char *name, struct process *ret)
{
	char path[280], text[STAT_MAX];
	long long pid, parent, user, kernel, pages;
	snprintf(path, sizeof(path), "%s/stat", name);
	auto_fd int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *rest = strrchr(text, ')');
	if (!rest || sscanf(text, "%lld", &pid) != 1)
		return false;
	if (sscanf(rest + 1,
		    " %*c %lld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %*d %*d %*d %*d %*d %*d "
		    "%*u %*u %lld",
		    &parent, &user, &kernel, &pages) != 4)
		return false;
	*ret = (struct process){ (pid_t)pid, (pid_t)parent, user + kernel, pages };
	return true;
}

static size_t read_all(struct process *all)
{
	size_t n = 0;
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	if (!dir)
		return 0;
	while (n < FAMILY_MAX && (entry = readdir(dir)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			read_process(dirfd(dir), entry->d_name, &all[n]))
			n++;
	closedir(dir);
	return n;
}

/* Puts the descendants first, each behind its parent; how many. */
static size_t gather(pid_t ancestor, struct process *all, size_t n)
{
	size_t found = 0;
	for (size_t next = 0; next <= found; next++) {
		pid_t parent = next == 0 ? ancestor : all[next - 1].pid;
		for (size_t i = found; i < n; i++)
			if (all[i].parent == parent) {
				struct process p = all[i];
				all[i] = all[found];
				all[found++] = p;
			}
	}
	return found;
}

void family_signal(pid_t ancestor, int signo, bool children_first)
{
	auto_free struct process *all = mem_new_n(struct process, FAMILY_MAX);
	size_t n = gather(ancestor, all, read_all(all));
	for (size_t i = 0; i < n; i++)
		kill(all[children_first ? n - 1 - i : i].pid, signo);
}

void family_usage(pid_t ancestor, struct family_usage *ret)
{
	auto_free struct process *all = mem_new_n(struct process, FAMILY_MAX);
	size_t n = gather(ancestor, all, read_all(all));
	*ret = (struct family_usage){ .processes = (int64_t)n };
	for (size_t i = 0; i < n; i++) {
		ret->memory_bytes += all[i].pages * sysconf(_SC_PAGESIZE);
		ret->cpu_us += all[i].ticks * (1000000 / sysconf(_SC_CLK_TCK));
	}
}

/*
 * Whoever is killed leaves its children to us, and its end is a SIGCHLD: so each of them is seen,
 * and each round after the first is caused by an end.
 */
bool family_end(int64_t timeout_ms)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		family_signal(getpid(), SIGKILL, false);
		pid_t pid;
		bool has_reaped = false;
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			has_reaped = true;
		if (pid < 0 && errno == ECHILD)
			return true;
		int64_t left = deadline - clock_mono_ms();
		if (left <= 0)
			return false;
		struct timespec wait = { left / 1000, left % 1000 * 1000000 };
		if (!has_reaped)
			sigtimedwait(&child, NULL, &wait);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: cay-canary --list | [--bare] [NAME...]
 *
 * Attacks the sandbox that it runs in. Prints one line for each attack: NAME, BLOCKED or REACHED or
 * ALLOWED or ABSENT, and why. Each runs in a child of its own. Exit 0: none was REACHED. --bare:
 * this is the host itself, where ENOSYS means that there is no such call, and nothing is ALLOWED.
 *
 * A server sends it into its first sandboxes (sandbox/canary.h), `cay doctor --attack` into one of
 * yours.
 */
#include "canary/attack.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_bare;

static const struct attack *const tables[] = {
	proc_attacks,
	mount_attacks,
	kernel_attacks,
	process_attacks,
	leak_attacks,
	privilege_attacks,
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

struct finding reached(const char *fmt, ...)
{
	struct finding f = { .outcome = REACHED };
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f.detail, sizeof(f.detail), fmt, ap);
	va_end(ap);
	return f;
}

struct finding blocked(int sys)
{
	return (struct finding){ .outcome = BLOCKED, .sys = sys };
}

struct finding absent(int sys)
{
	return (struct finding){ .outcome = ABSENT, .sys = sys };
}

struct finding judge(long r)
{
	int sys = errno;
	if (r >= 0)
		return reached("it worked (%ld)", r);
	switch (sys) {
	case ENOSYS:
		return is_bare ? absent(sys) : blocked(sys);
	case EPERM:
	case EACCES:
	case EROFS:
	case ENOSPC: /* user.max_*_namespaces */
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		/* The last two of a kernel, or of a module, that is not there. */
		return is_bare && (sys == EAFNOSUPPORT || sys == EPROTONOSUPPORT) ? absent(sys)
										  : blocked(sys);
	default:
		return reached("the kernel said: %s", strerror(sys));
	}
}

struct finding judge_open(int fd, const char *path)
{
	int sys = errno;
	if (fd >= 0) {
		close(fd);
		return reached("opened %s", path);
	}
	return is_bare && sys == ENOENT ? absent(sys) : blocked(sys);
}

int target(void)
{
	const char *pid = getenv("ESCAPE_TARGET");
	return pid ? (int)strtol(pid, NULL, 10) : 1;
}

static const char *const words[] = { "BLOCKED", "REACHED", "ALLOWED", "ABSENT" };
static const char *const layers[] = { "many", "seccomp", "landlock", "caps", "fds", "kuid",
	"namespaces" };

/* In a child: an attack may be answered with a signal. */
static struct finding attempt(const struct attack *a)
{
	struct finding *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return reached("no shared memory for the result");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		*shared = a->run();
		_exit(0);
	}
	int status = 0;
	struct finding f = reached("no child could be made");
	if (pid > 0 && waitpid(pid, &status, 0) == pid) {
		if (status == 0)
			f = *shared;
		else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
			f = blocked(0);
		else
			f = reached("the attacker ended with %#x", (unsigned)status);
	}
	munmap(shared, sizeof(*shared));
	return f;
}

/* What is allowed here: enum may. */
static unsigned allowances(void)
{
	unsigned count = 0;
	FILE *map = fopen("/proc/self/uid_map", "re");
	if (map) {
		if (fscanf(map, "%*u %*u %u", &count) != 1)
			count = 0;
		fclose(map);
	}
	return MAY_ALL | (geteuid() == 0 ? MAY_ROOT_MODE : 0) | (count == 1 ? MAY_ONE_ID : 0);
}

static bool run_one(const struct attack *a, unsigned may)
{
	struct finding f = attempt(a);
	const char *why = f.outcome == REACHED ? f.detail
		: f.sys                        ? strerror(f.sys)
					       : "killed or unseen";
	if (f.outcome == REACHED && (a->may & may))
		f.outcome = ALLOWED;
	printf("%s %s %s\n", a->name, words[f.outcome], why);
	return f.outcome == REACHED;
}

static bool is_wanted(const struct attack *a, int argc, char **argv)
{
	if (argc == 0)
		return true;
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], a->name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	bool is_list = argc > 1 && !strcmp(argv[1], "--list");
	is_bare = argc > 1 && !strcmp(argv[1], "--bare");
	int skip = 1 + (is_list || is_bare), n_reached = 0;
	unsigned may = is_bare ? 0 : allowances();
	for (int t = 0; t < TABLES; t++) {
		for (const struct attack *a = tables[t]; a->name; a++) {
			if (is_list)
				printf("%s\t%s\t%s\t%s\n", a->name, layers[a->layer],
					a->is_root_only ? "root" : "anyone", a->what);
			else if (is_wanted(a, argc - skip, argv + skip))
				n_reached += run_one(a, may);
		}
	}
	return n_reached ? 1 : 0;
}

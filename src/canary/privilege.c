/* SPDX-License-Identifier: Apache-2.0 */
/* Getting more than one has. */
#include "canary/attack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <grp.h>

/* A line of /proc/self/status, as a number in base 16; -1: not found. */
static long long status_of(const char *key)
{
	static char text[8192];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *line = strstr(text, key);
	long long value;
	return line && sscanf(line + strlen(key), ":\t%llx", (unsigned long long *)&value) == 1
		? value
		: -1;
}

/* What root mode may have. */
enum {
	ROOT_CAPS = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18
};

static struct finding capabilities(void)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	long long allowed = geteuid() == 0 ? ROOT_CAPS : 0;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		long long have = status_of(sets[i]);
		if (have & ~allowed)
			return reached("%s is %llx", sets[i], (unsigned long long)have);
	}
	return blocked(0);
}

static struct finding new_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? blocked(0)
							   : reached("no_new_privs is not set");
}

static struct finding filtered(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 ? blocked(0)
						      : reached("no system call filter");
}

static struct finding raise_capability(void)
{
	struct {
		unsigned version;
		int pid;
	} head = { 0x20080522, 0 };
	unsigned data[6] = { 1U << 21, 1U << 21, 0, 0, 0, 0 }; /* CAP_SYS_ADMIN */
	return judge(syscall(SYS_capset, &head, data));
}

/* EINVAL: the user namespace has no such id at all. */
static struct finding judge_id(int r)
{
	return r < 0 && errno == EINVAL ? blocked(errno) : judge(r);
}

static struct finding become_root(void)
{
	return judge_id(setresuid(0, 0, 0));
}

static struct finding join_groups(void)
{
	gid_t group = 0;
	return judge(setgroups(1, &group));
}

/* Where a user without a range of ids is root, his own group is 0. */
static struct finding supplementary_groups(void)
{
	gid_t groups[64];
	int n = getgroups(64, groups);
	for (int i = 0; i < n; i++)
		if (groups[i] == 0 && getegid() != 0)
			return reached("still in group 0");
	return blocked(0);
}

static struct finding low_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return blocked(errno);
	int r = bind(fd, (struct sockaddr *)&a, sizeof(a));
	struct finding f = judge(r);
	close(fd);
	return f;
}

static struct finding give_away(void)
{
	const char *path = "/tmp/escape-chown";
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return absent(errno);
	struct finding f = judge_id(fchown(fd, 0, 0));
	close(fd);
	unlink(path);
	return f;
}

static struct finding system_files(void)
{
	static const char *const paths[] = { "/usr/bin/env", "/etc/passwd", "/usr/lib", "/bin/sh",
		NULL };
	struct finding f = blocked(EACCES);
	for (int i = 0; paths[i]; i++) {
		if (access(paths[i], W_OK) == 0)
			return reached("may write to %s", paths[i]);
		f = blocked(errno);
	}
	return f;
}

/*
 * Every way to give a file the bits, each on a file of its own: the number of the first that
 * worked, or 0.
 */
static int way_to_set_id(const char *path)
{
	enum { MODE = 06755, FCHMODAT2 = 452 };
	const struct {
		unsigned long long flags, mode, resolve;
	} how = { O_CREAT | O_WRONLY | O_CLOEXEC, MODE, 0 };
	for (int way = 1; way <= 8; way++) {
		int fd = way <= 4 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755) : -1;
		long r = 0; /* what came of it, the file says */
		switch (way) {
		case 1:
			r = chmod(path, MODE);
			break;
		case 2:
			r = fchmod(fd, MODE);
			break;
		case 3:
			r = fchmodat(AT_FDCWD, path, MODE, 0);
			break;
		case 4:
			r = syscall(FCHMODAT2, AT_FDCWD, path, MODE, 0);
			break;
		case 5:
			fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, MODE);
			break;
		case 6:
			fd = creat(path, MODE);
			break;
		case 7:
			fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
			break;
		default:
			r = mknod(path, S_IFREG | MODE, 0);
			break;
		}
		(void)r;
		struct stat st;
		bool is_set = lstat(path, &st) == 0 && (st.st_mode & 06000);
		if (fd >= 0)
			close(fd);
		unlink(path);
		if (is_set)
			return way;
	}
	return 0;
}

static struct finding set_id(void)
{
	const char *dir = getenv("ESCAPE_WRITABLE");
	char path[256];
	snprintf(path, sizeof(path), "%s/escape-set-id", dir ? dir : "/tmp");
	umask(0);
	int way = way_to_set_id(path);
	return way ? reached("way %d left a set-uid file in %s", way, path) : blocked(EPERM);
}

const struct attack privilege_attacks[] = {
	{ "capabilities", CAPS, true, capabilities, "have capabilities" },
	{ "new-privileges", CAPS, false, new_privileges, "gain privileges by exec" },
	{ "filtered", SECCOMP, false, filtered, "be without a filter" },
	{ "raise-capability", MANY, true, raise_capability, "raise CAP_SYS_ADMIN" },
	{ "become-root", MANY, true, become_root, "become root", MAY_ROOT_MODE },
	{ "join-groups", MANY, true, join_groups, "join group 0", MAY_ROOT_MODE },
	{ "groups", MANY, true, supplementary_groups, "still be in the caller's groups" },
	{ "low-port", MANY, true, low_port, "listen on a port below 1024", MAY_ALL },
	{ "chown", MANY, true, give_away, "give a file away", MAY_ROOT_MODE },
	{ "set-id", SECCOMP, false, set_id, "leave a set-uid file for somebody on the host",
		MAY_ROOT_MODE },
	{ "system-files", MANY, true, system_files, "change the system's files",
		MAY_ONE_ID | MAY_ROOT_MODE },
	{ 0 },
};

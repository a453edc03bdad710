/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts, namespaces, roots. */
#include "canary/attack.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct finding mount_tmpfs(void)
{
	return judge(mount("escape", "/nonexistent-escape", "tmpfs", 0, NULL));
}

static struct finding mount_bind(void)
{
	return judge(mount("/nonexistent-escape", "/nonexistent-escape", NULL, MS_BIND, NULL));
}

static struct finding remount_proc(void)
{
	return judge(mount(NULL, "/nonexistent-escape", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static struct finding unmount(void)
{
	return judge(umount2("/nonexistent-escape", MNT_DETACH));
}

static struct finding new_mount_api(void)
{
	long r = syscall(SYS_fsopen, "nonexistent-escape", 0);
	struct finding f = judge(r);
	if (f.outcome != BLOCKED)
		return f;
	f = judge(syscall(SYS_open_tree, -1, "", 0));
	if (f.outcome != BLOCKED)
		return f;
	return judge(syscall(SYS_move_mount, -1, "", -1, "", 0));
}

static struct finding mount_setattr_(void)
{
	return judge(syscall(SYS_mount_setattr, -1, "", 0, NULL, 0));
}

static struct finding list_mounts(void)
{
	enum { STATMOUNT = 457, LISTMOUNT = 458 };
	struct finding f = judge(syscall(LISTMOUNT, NULL, NULL, 0, 0));
	return f.outcome == BLOCKED ? judge(syscall(STATMOUNT, NULL, NULL, 0, 0)) : f;
}

static struct finding pivot(void)
{
	return judge(syscall(SYS_pivot_root, "/nonexistent-escape", "/nonexistent-escape"));
}

static struct finding change_root(void)
{
	return judge(chroot("/nonexistent-escape"));
}

/* In a child: it stays in what it made. */
static struct finding unshare_each(void)
{
	static const int flags[] = { CLONE_NEWUSER, CLONE_NEWUSER | CLONE_NEWNS,
		CLONE_NEWUSER | CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
		CLONE_NEWUTS, CLONE_NEWCGROUP, 0x80 };
	struct finding f = blocked(EPERM);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		f = judge(unshare(flags[i]));
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

static struct finding clone_user_ns(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
	if (pid == 0)
		_exit(0);
	struct finding f = judge(pid);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return f;
}

/* With null arguments: EINVAL or EFAULT if the kernel gets to see it. */
static struct finding clone3_(void)
{
	return judge(syscall(SYS_clone3, NULL, 0));
}

static struct finding join_namespace(void)
{
	static const char *const paths[] = { "/proc/1/ns/mnt", "/proc/1/ns/net",
		"/proc/self/ns/user", "/proc/self/ns/mnt", NULL };
	struct finding f = blocked(EPERM);
	for (int i = 0; paths[i]; i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		f = judge(syscall(SYS_setns, fd, 0));
		if (f.outcome == REACHED)
			return f;
		close(fd);
	}
	return f;
}

static struct finding by_handle(void)
{
	struct {
		unsigned bytes;
		int type;
		unsigned char handle[8];
	} h = { 8, 1, { 2 } };
	return judge(syscall(SYS_open_by_handle_at, AT_FDCWD, &h, O_RDONLY));
}

static struct finding handle_of_name(void)
{
	return judge(syscall(SYS_name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0));
}

static struct finding climb_out(void)
{
	struct stat root, up;
	if (chdir("/") < 0 || chdir("../../../../../../../..") < 0)
		return blocked(errno);
	if (stat(".", &up) < 0 || stat("/", &root) < 0)
		return blocked(errno);
	if (up.st_ino != root.st_ino || up.st_dev != root.st_dev)
		return reached("above / there is another directory");
	return blocked(0);
}

/* The driver makes this file on the host, and no sandbox is given it. */
static struct finding host_canary(void)
{
	static const char *const ways[] = { "", "/proc/self/root", "/proc/1/root",
		"/proc/self/cwd/../../../.." };
	const char *canary = "/var/tmp/cay-escape-canary";
	struct finding f = blocked(ENOENT);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		char path[256];
		snprintf(path, sizeof(path), "%s%s", ways[i], canary);
		f = judge_open(open(path, O_RDONLY | O_CLOEXEC), path);
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

/* A file that can be read, a directory that holds something. */
static bool shows_something(const char *path)
{
	char bytes[512];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	struct stat st;
	bool shows = false;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		shows = syscall(SYS_getdents64, fd, bytes, sizeof(bytes)) >
			64; /* more than . and .. */
	else
		shows = read(fd, bytes, sizeof(bytes)) > 0;
	close(fd);
	return shows;
}

static struct finding host_secrets(void)
{
	static const char *const paths[] = { "/etc/shadow", "/etc/gshadow", "/etc/ssh/sshd_config",
		"/root", "/root/.ssh", "/var/cache/debconf", "/var/log/dpkg.log", "/boot",
		"/var/lib/cay", "/run/cay", "/run/docker.sock", "/run/dbus/system_bus_socket",
		NULL };
	for (int i = 0; paths[i]; i++)
		if (shows_something(paths[i]))
			return reached("read %s", paths[i]);
	return blocked(ENOENT);
}

const struct attack mount_attacks[] = {
	{ "mount-tmpfs", MANY, true, mount_tmpfs, "mount(2) of a new file system" },
	{ "mount-bind", MANY, true, mount_bind, "mount(2) of a bind" },
	{ "remount", MANY, true, remount_proc, "mount(2) of a remount" },
	{ "umount", MANY, true, unmount, "umount2(2)" },
	{ "new-mount-api", MANY, true, new_mount_api, "fsopen, open_tree, move_mount" },
	{ "mount-setattr", SECCOMP, false, mount_setattr_, "mount_setattr(2)" },
	{ "list-mounts", SECCOMP, false, list_mounts, "statmount, listmount" },
	{ "pivot-root", MANY, true, pivot, "pivot_root(2)" },
	{ "chroot", MANY, true, change_root, "chroot(2)", MAY_ROOT_MODE },
	{ "unshare", MANY, false, unshare_each, "unshare(2) of each namespace" },
	{ "clone-user-ns", MANY, false, clone_user_ns, "clone(2) into a user namespace" },
	{ "clone3", SECCOMP, false, clone3_, "clone3(2), whose flags no filter can see" },
	{ "setns", MANY, true, join_namespace, "setns(2) into pid 1's and one's own namespaces" },
	{ "open-by-handle", MANY, true, by_handle, "open_by_handle_at(2)" },
	{ "name-to-handle", SECCOMP, false, handle_of_name, "name_to_handle_at(2)" },
	{ "climb-out", MANY, false, climb_out, "climb above the root" },
	{ "host-canary", NAMESPACES, false, host_canary, "open a file that only the host has" },
	{ "host-secrets", MANY, true, host_secrets, "read secrets of the host" },
	{ 0 },
};

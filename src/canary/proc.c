/* SPDX-License-Identifier: Apache-2.0 */
/* procfs, sysfs, devices. */
#include "canary/attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static struct finding open_to_write(const char *path)
{
	return judge_open(open(path, O_WRONLY | O_CLOEXEC), path);
}

static struct finding core_pattern(void)
{
	return open_to_write("/proc/sys/kernel/core_pattern");
}

static struct finding sysctls(void)
{
	static const char *const paths[] = {
		"/proc/sys/kernel/modprobe",
		"/proc/sys/kernel/hotplug",
		"/proc/sys/vm/panic_on_oom",
		"/proc/sys/fs/suid_dumpable",
		"/proc/sys/kernel/sysrq",
		"/proc/sys/kernel/hostname",
		"/proc/sys/kernel/randomize_va_space",
		"/proc/sys/user/max_user_namespaces",
		"/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/fs/binfmt_misc/register",
		"/proc/sysrq-trigger",
		NULL,
	};
	struct finding f = blocked(EROFS);
	for (int i = 0; paths[i]; i++) {
		f = open_to_write(paths[i]);
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

/* Some byte that is not zero: masked files read empty, or cannot be opened. */
static struct finding reads_something(const char *path)
{
	char bytes[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return blocked(errno);
	ssize_t n = read(fd, bytes, sizeof(bytes));
	close(fd);
	return n > 0 ? reached("read %zd bytes of %s", n, path) : blocked(n < 0 ? errno : 0);
}

static struct finding kernel_files(void)
{
	static const char *const paths[] = {
		"/proc/kcore",
		"/proc/kpagecount",
		"/proc/kpageflags",
		"/proc/iomem",
		"/proc/slabinfo",
		"/proc/vmallocinfo",
		"/proc/keys",
		"/proc/timer_list",
		"/proc/sched_debug",
		"/proc/config.gz",
		"/proc/kallsyms",
		"/sys/kernel/debug/sched/debug",
		NULL,
	};
	struct finding f = blocked(ENOENT);
	for (int i = 0; paths[i]; i++) {
		f = reads_something(paths[i]);
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

static struct finding sysfs_write(void)
{
	static const char *const paths[] = {
		"/sys/kernel/mm/transparent_hugepage/enabled",
		"/sys/power/state",
		"/sys/kernel/uevent_helper",
		"/sys/devices/system/cpu/cpu1/online",
		"/sys/module/printk/parameters/time",
		NULL,
	};
	struct finding f = blocked(ENOENT);
	for (int i = 0; paths[i]; i++) {
		f = open_to_write(paths[i]);
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

static struct finding cgroup_files(void)
{
	static const char *const paths[] = {
		"/sys/fs/cgroup/cgroup.procs",
		"/sys/fs/cgroup/memory/cgroup.procs",
		"/sys/fs/cgroup/memory/release_agent",
		"/sys/fs/cgroup/pids/tasks",
		"/sys/fs/cgroup/devices/devices.allow",
		"/sys/fs/cgroup/unified/cgroup.procs",
		NULL,
	};
	struct finding f = blocked(ENOENT);
	for (int i = 0; paths[i]; i++) {
		f = open_to_write(paths[i]);
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

static struct finding init_of_host(void)
{
	char exe[256];
	char comm[64] = "";
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/exe", target());
	ssize_t n = readlink(path, exe, sizeof(exe) - 1);
	if (n > 0)
		return reached("%s is %.*s", path, (int)n, exe);
	snprintf(path, sizeof(path), "/proc/%d/environ", target());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, comm, sizeof(comm)) > 0)
		return reached("read the environment of pid 1");
	return blocked(errno);
}

static struct finding init_memory(void)
{
	static const char *const files[] = { "mem", "maps", "root/etc/hostname", "cwd/etc", "fd/0",
		"stack", NULL };
	struct finding f = blocked(EACCES);
	for (int i = 0; files[i]; i++) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/%d/%s", target(), files[i]);
		f = judge_open(open(path, O_RDONLY | O_CLOEXEC), path);
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

/* A process that is neither ours nor the sandbox's: more than a handful in /proc. */
static struct finding host_processes(void)
{
	DIR *dir = opendir("/proc");
	int n = 0;
	struct dirent *d;
	while (dir && (d = readdir(dir)))
		n += d->d_name[0] >= '0' && d->d_name[0] <= '9';
	if (dir)
		closedir(dir);
	return n > 8 ? reached("%d processes are seen", n) : blocked(0);
}

static struct finding block_devices(void)
{
	static const char *const paths[] = { "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/mem",
		"/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/fuse", "/dev/kvm", "/dev/net/tun",
		"/dev/loop-control", "/dev/mapper/control", "/dev/uinput", "/dev/rtc0",
		"/dev/vsock", NULL };
	struct finding f = blocked(ENOENT);
	for (int i = 0; paths[i]; i++) {
		f = judge_open(open(paths[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC), paths[i]);
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

static struct finding make_node(const char *path, mode_t mode, dev_t dev)
{
	unlink(path);
	long r = mknod(path, mode, dev);
	struct finding f = judge(r);
	if (r == 0)
		unlink(path);
	return f;
}

static struct finding make_device(void)
{
	return make_node("/tmp/escape-mem", S_IFCHR | 0600, makedev(1, 1));
}

static struct finding make_disk(void)
{
	return make_node("/tmp/escape-disk", S_IFBLK | 0600, makedev(8, 0));
}

/* Anyone may make 0:0, and in the upper layer of an overlay it hides a file. */
/* The same mark, left where a file was: RENAME_WHITEOUT. */
static struct finding rename_whiteout(void)
{
	int fd = open("/tmp/escape-whited", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return absent(errno);
	close(fd);
	long r = syscall(SYS_renameat2, AT_FDCWD, "/tmp/escape-whited", AT_FDCWD,
		"/tmp/escape-moved", 4);
	int sys = errno;
	unlink("/tmp/escape-whited");
	unlink("/tmp/escape-moved");
	errno = sys;
	return r < 0 && sys == EINVAL ? absent(sys) : judge(r); /* a file system without them */
}

static struct finding make_whiteout(void)
{
	return make_node("/tmp/escape-whiteout", S_IFCHR | 0600, makedev(0, 0));
}

static struct finding own_maps(void)
{
	static const char *const paths[] = { "/proc/self/uid_map", "/proc/self/setgroups",
		"/proc/self/oom_score_adj", "/proc/self/attr/exec", NULL };
	struct finding f = blocked(EROFS);
	for (int i = 0; paths[i]; i++) {
		f = open_to_write(paths[i]);
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

const struct attack proc_attacks[] = {
	{ "core-pattern", KUID, true, core_pattern, "open core_pattern for writing" },
	{ "sysctls", KUID, true, sysctls, "open sysctls of the whole kernel for writing" },
	{ "kernel-files", MANY, true, kernel_files, "read what the kernel shows of itself" },
	{ "sysfs-write", MANY, true, sysfs_write, "open sysfs for writing" },
	{ "cgroup-files", MANY, true, cgroup_files, "open cgroup files for writing" },
	{ "init-of-host", MANY, true, init_of_host, "look at pid 1 through /proc" },
	{ "init-memory", MANY, true, init_memory, "open memory and root of pid 1" },
	{ "host-processes", NAMESPACES, false, host_processes, "see processes of the host" },
	{ "devices", MANY, true, block_devices, "open devices beyond the harmless ones" },
	{ "mknod-char", MANY, true, make_device, "make /dev/mem" },
	{ "mknod-block", MANY, true, make_disk, "make a disk" },
	{ "rename-whiteout", SECCOMP, false, rename_whiteout, "leave an overlay whiteout behind" },
	{ "mknod-whiteout", MANY, false, make_whiteout, "make an overlay whiteout" },
	{ "own-maps", MANY, false, own_maps, "write to one's own maps in /proc" },
	{ 0 },
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each probe is a function that runs in a child of its own and does what launch would do:
 * namespaces in a user namespace that maps nobody but the caller, mounts in a mount namespace that
 * goes with the child. Nothing of the host is changed but a cgroup made and removed. A child
 * reports through shared memory.
 */
#include "sandbox/probe.h"

#include "base/auto.h"
#include "base/file.h"
#include "sandbox/caps.h"
#include "sandbox/landlock.h"
#include "sandbox/rlimits.h"
#include "sandbox/seccomp.h"
#include "sandbox/subids.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

typedef int probe_fn(const struct host *host, struct probe_result *result);

static int fail_sys(struct probe_result *r, const char *what)
{
	return error_sys(&r->why, errno, "%s", what);
}

static int put(const char *path, const char *text, struct probe_result *r)
{
	return file_write_once(AT_FDCWD, path, str_from(text), &r->why);
}

/* The caller alone, as itself: what every user may map. */
static int enter_user_ns(const struct host *host, struct probe_result *r)
{
	char map[64];
	if (unshare(CLONE_NEWUSER) < 0)
		return fail_sys(r, "make a user namespace");
	if (put("/proc/self/setgroups", "deny", r) < 0)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1", host->uid);
	if (put("/proc/self/uid_map", map, r) < 0)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1", host->gid);
	return put("/proc/self/gid_map", map, r);
}

static int enter(const struct host *host, int flags, struct probe_result *r)
{
	if (enter_user_ns(host, r) < 0)
		return -1;
	if (unshare(flags) < 0)
		return fail_sys(r, "make the namespace");
	return 0;
}

static int probe_user_ns(const struct host *host, struct probe_result *r)
{
	return enter_user_ns(host, r);
}

static int probe_ipc_ns(const struct host *host, struct probe_result *r)
{
	return enter(host, CLONE_NEWIPC, r);
}

static int probe_net_ns(const struct host *host, struct probe_result *r)
{
	return enter(host, CLONE_NEWNET, r);
}

static int probe_cgroup_ns(const struct host *host, struct probe_result *r)
{
	return enter(host, CLONE_NEWCGROUP, r);
}

static int probe_time_ns(const struct host *host, struct probe_result *r)
{
	return enter(host, CLONE_NEWTIME, r);
}

static int probe_uts_ns(const struct host *host, struct probe_result *r)
{
	if (enter(host, CLONE_NEWUTS, r) < 0)
		return -1;
	return sethostname("cay", 3) < 0 ? fail_sys(r, "set the host name") : 0;
}

/* A place for mounts of our own: a tmpfs over /tmp in a private mount namespace. */
static int enter_mount_ns(const struct host *host, int flags, const char *options,
	struct probe_result *r)
{
	if (enter(host, CLONE_NEWNS | flags, r) < 0)
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail_sys(r, "make mounts private");
	if (mount("cay", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return fail_sys(r, "mount a tmpfs");
	return 0;
}

static int probe_mount_ns(const struct host *host, struct probe_result *r)
{
	return enter_mount_ns(host, 0, "size=64k", r);
}

static int probe_overlay(const struct host *host, struct probe_result *r)
{
	if (enter_mount_ns(host, 0, "size=64k", r) < 0)
		return -1;
	static const char *const dirs[] = { "/tmp/l", "/tmp/u", "/tmp/w", "/tmp/m" };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdir(dirs[i], 0700) < 0)
			return fail_sys(r, "make a directory on the tmpfs");
	if (mount("cay", "/tmp/m", "overlay", MS_NOSUID | MS_NODEV,
		    "lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w,userxattr") < 0)
		return fail_sys(r, "mount an overlay in a user namespace");
	return mkdir("/tmp/m/new", 0700) < 0 ? fail_sys(r, "write to the overlay") : 0;
}

/* The first fork after unshare is pid 1 of the new namespace. */
static int as_pid_1(const struct host *host, probe_fn *fn, struct probe_result *r)
{
	pid_t pid = fork();
	if (pid < 0)
		return fail_sys(r, "fork into the pid namespace");
	if (pid == 0)
		_exit(getpid() == 1 && fn(host, r) == 0 ? 0 : 1);
	int status;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return *r->why.text
			? -1
			: error_set(&r->why, ERROR_INTERNAL, "pid 1 ended with %#x", status);
	return 0;
}

static int do_nothing(const struct host *host, struct probe_result *r)
{
	return 0;
}

static int probe_pid_ns(const struct host *host, struct probe_result *r)
{
	return enter(host, CLONE_NEWPID, r) < 0 ? -1 : as_pid_1(host, do_nothing, r);
}

static int mount_proc(const struct host *host, struct probe_result *r)
{
	if (mount("proc", "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return fail_sys(r, "mount a procfs of its own");
	int fd = open("/proc/sys/kernel/hostname", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		return error_set(&r->why, ERROR_INTERNAL, "a read-only procfs was writable");
	return 0;
}

static int probe_proc(const struct host *host, struct probe_result *r)
{
	if (enter_mount_ns(host, CLONE_NEWPID, "size=64k", r) < 0)
		return -1;
	return as_pid_1(host, mount_proc, r);
}

static int probe_disk(const struct host *host, struct probe_result *r)
{
	if (enter_mount_ns(host, 0, "size=64k,nr_inodes=16", r) < 0)
		return -1;
	auto_fd int fd = open("/tmp/full", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_sys(r, "write to the tmpfs");
	static const char block[65536];
	ssize_t n = write(fd, block, sizeof(block));
	if (n == (ssize_t)sizeof(block) && write(fd, block, sizeof(block)) > 0)
		return error_set(&r->why, ERROR_INTERNAL, "a tmpfs took more than its size");
	return 0;
}

static int probe_nnp(const struct host *host, struct probe_result *r)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return fail_sys(r, "set no_new_privs");
	return 0;
}

static int probe_seccomp(const struct host *host, struct probe_result *r)
{
	if (probe_nnp(host, r) < 0 || seccomp_install(SECCOMP_PROGRAM_AGENT, &r->why) < 0)
		return -1;
	if (socket(AF_VSOCK, SOCK_STREAM, 0) >= 0 || errno != EAFNOSUPPORT)
		return error_set(&r->why, ERROR_INTERNAL, "the filter let a refused call pass");
	return 0;
}

static int probe_landlock(const struct host *host, struct probe_result *r)
{
	int abi = landlock_abi();
	if (abi == 0)
		return error_set(&r->why, ERROR_UNSUPPORTED,
			"the kernel has no Landlock, or not switched on");
	if (probe_nnp(host, r) < 0 || landlock_enter(abi, USER_AGENT, false, -1, &r->why) < 0)
		return -1;
	if (open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
		return error_set(&r->why, ERROR_INTERNAL, "the domain let a refused write pass");
	snprintf(r->detail, sizeof(r->detail), "ABI %d", abi);
	return 0;
}

static int probe_caps(const struct host *host, struct probe_result *r)
{
	if (enter_user_ns(host, r) < 0)
		return -1;
	if (caps_bound(USER_AGENT, &r->why) < 0 || caps_set(USER_AGENT, &r->why) < 0)
		return -1;
	return caps_are_set(USER_AGENT)
		? 0
		: error_set(&r->why, ERROR_INTERNAL, "capabilities are left");
}

static int probe_rlimits(const struct host *host, struct probe_result *r)
{
	struct lock_rlimit limits[LOCK_RLIMITS_MAX];
	struct spec_limits in_force = { .pids = 512, .disk_bytes = 1 << 30 };
	return rlimits_set(limits, rlimits_make(&in_force, limits), &r->why);
}

/* A child waits in a user namespace while we write the map of a whole range for it. */
static int map_range(pid_t pid, struct probe_result *r)
{
	char path[64], map[64];
	snprintf(map, sizeof(map), "0 %u %u", (unsigned)UID_BASE, (unsigned)UID_RANGE);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	return put(path, map, r);
}

static int probe_uid_range(const struct host *host, struct probe_result *r)
{
	if (!host->is_root)
		return error_set(&r->why, ERROR_UNSUPPORTED,
			"only root may map ranges of ids; the agent's uid is yours");
	int ready[2], done[2];
	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
		return fail_sys(r, "make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		char byte = unshare(CLONE_NEWUSER) < 0;
		close(done[1]); /* or the parent's death would not be seen */
		_exit(write(ready[1], &byte, 1) == 1 && read(done[0], &byte, 1) == 0 ? 0 : 1);
	}
	char has_failed = 1;
	close(ready[1]);
	int result = read(ready[0], &has_failed, 1) == 1 && !has_failed
		? map_range(pid, r)
		: error_set(&r->why, ERROR_INTERNAL, "make a user namespace");
	close(done[1]);
	waitpid(pid, NULL, 0);
	return result;
}

static int probe_own_uid(const struct host *host, struct probe_result *r)
{
	struct host_subids ids;
	int ns_fd = -1;
	if (host->is_root)
		return probe_uid_range(host, r);
	if (subids_open(host, &ids, &ns_fd, &r->why) < 0)
		return -1;
	close_fd(ns_fd);
	snprintf(r->detail, sizeof(r->detail), "%u ids", ids.count);
	return 0;
}

static const char *const part_files[PART_MAX][2] = {
	[PART_MEMORY] = { "memory.limit_in_bytes", "memory.max" },
	[PART_PIDS] = { "pids.max", "pids.max" },
	[PART_CPU] = { "cpu.cfs_quota_us", "cpu.max" },
};

/*
 * v1: the file is there in any group. v2: as far as the parent hands the controller on; ask for
 * that.
 */
static int limit_in(const struct host *host, enum cgroup_part part, const char *dir,
	struct probe_result *r)
{
	static const char *const values[PART_MAX] = { "1073741824", "512", "100000" };
	bool is_v2 = host->cgroup.kind == CGROUP_V2;
	char path[2 * HOST_PATH_SIZE];
	snprintf(path, sizeof(path), "%s/%s", dir, part_files[part][is_v2]);
	if (is_v2 && access(path, F_OK) < 0)
		return error_set(&r->why, ERROR_UNSUPPORTED, "%s is not handed on to us",
			part_files[part][1]);
	return put(path, values[part], r);
}

static int probe_part(const struct host *host, enum cgroup_part part, struct probe_result *r)
{
	char dir[HOST_PATH_SIZE + 32];
	bool is_v2 = host->cgroup.kind == CGROUP_V2;
	if (host->cgroup.kind == CGROUP_NONE || !(host->cgroup.parts & (1U << part)))
		return error_set(&r->why, ERROR_UNSUPPORTED, "no cgroup that is ours to use");
	snprintf(dir, sizeof(dir), "%s/cay-probe-%d", host->cgroup.dirs[is_v2 ? 0 : part],
		(int)getpid());
	if (mkdir(dir, 0755) < 0)
		return error_sys(&r->why, errno, "make cgroup %s", dir);
	int result = limit_in(host, part, dir, r);
	rmdir(dir);
	snprintf(r->detail, sizeof(r->detail), "cgroup v%d", is_v2 ? 2 : 1);
	return result;
}

static int probe_memory(const struct host *host, struct probe_result *r)
{
	return probe_part(host, PART_MEMORY, r);
}

static int probe_pids(const struct host *host, struct probe_result *r)
{
	return probe_part(host, PART_PIDS, r);
}

static int probe_cpu(const struct host *host, struct probe_result *r)
{
	return probe_part(host, PART_CPU, r);
}

static const struct {
	probe_fn *fn;
	bool is_essential;
} probes[CONTROL_MAX] = {
	[CONTROL_USER_NS] = { probe_user_ns, true },
	[CONTROL_UID_RANGE] = { probe_uid_range, false },
	[CONTROL_OWN_UID] = { probe_own_uid, false },
	[CONTROL_MOUNT_NS] = { probe_mount_ns, true },
	[CONTROL_PID_NS] = { probe_pid_ns, true },
	[CONTROL_NET_NS] = { probe_net_ns, true },
	[CONTROL_IPC_NS] = { probe_ipc_ns, true },
	[CONTROL_UTS_NS] = { probe_uts_ns, true },
	[CONTROL_CGROUP_NS] = { probe_cgroup_ns, false },
	[CONTROL_TIME_NS] = { probe_time_ns, false },
	[CONTROL_OVERLAY] = { probe_overlay, true },
	[CONTROL_PROC_READ_ONLY] = { probe_proc, true },
	[CONTROL_SECCOMP] = { probe_seccomp, true },
	[CONTROL_NO_NEW_PRIVS] = { probe_nnp, true },
	[CONTROL_CAPS] = { probe_caps, true },
	[CONTROL_LANDLOCK] = { probe_landlock, false },
	[CONTROL_MEMORY] = { probe_memory, false },
	[CONTROL_PIDS] = { probe_pids, false },
	[CONTROL_CPU] = { probe_cpu, false },
	[CONTROL_DISK] = { probe_disk, true },
	[CONTROL_RLIMITS] = { probe_rlimits, true },
};

bool probe_is_essential(enum control c)
{
	return probes[c].is_essential;
}

/* In a child; `shared` is shared memory. */
static void run(const struct host *host, probe_fn *fn, struct probe_result *shared)
{
	memset(shared, 0, sizeof(*shared));
	pid_t pid = fork();
	if (pid == 0) {
		shared->is_enforced = fn(host, shared) == 0;
		_exit(0);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		error_sys(&shared->why, errno, "fork");
	else if (status != 0)
		error_set(&shared->why, ERROR_INTERNAL, "the child that tried ended with %#x",
			status);
	if (shared->why.code != ERROR_OK)
		shared->is_enforced = false;
}

void probe_all(const struct host *host, struct probe_result ret_results[CONTROL_MAX])
{
	struct probe_result *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < CONTROL_MAX; i++) {
		if (shared == MAP_FAILED) {
			ret_results[i] = (struct probe_result){ 0 };
			error_sys(&ret_results[i].why, ENOMEM, "share memory with a child");
			continue;
		}
		run(host, probes[i].fn, shared);
		ret_results[i] = *shared;
	}
	if (shared != MAP_FAILED)
		munmap(shared, sizeof(*shared));
}

static bool is_refusal(const struct error *err)
{
	return err->sys == EPERM || err->sys == EACCES || err->sys == ENOSYS;
}

void probe_explain(const struct host *host, struct error *err)
{
	static struct probe_result results[CONTROL_MAX];
	const struct error said = *err;
	if (!is_refusal(&said))
		return;
	probe_all(host, results);
	for (int i = 0; i < CONTROL_MAX; i++) {
		if (results[i].is_enforced || !probes[i].is_essential)
			continue;
		error_set(err, said.code, "%s; %s cannot be had here; to have it: %s", said.text,
			control_name((enum control)i), probe_remedy(host, (enum control)i));
		err->sys = said.sys;
		return;
	}
}

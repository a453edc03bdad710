/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker parses archives of unknown origin and walks trees that change under it. Should it be
 * turned against us, it can read and write the sandbox's own files, which the agent can as well,
 * and nothing more: no socket, no process, no signal, no exec, no mount, no ioctl. What is not
 * listed is ENOSYS, so that libc falls back where it can.
 *
 * Left out on purpose: fcntl commands are not told apart, and paths are not restricted; the
 * sandbox's mounts do that.
 */
#include "executor/worker_lock.h"

#include "base/auto.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { MEMORY_MAX = 512 * 1024 * 1024, FDS_MAX = 1024 };

static const int allowed[] = {
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_pwrite64,
	SYS_lseek,
	SYS_close,
	SYS_fstat,
	SYS_newfstatat,
	SYS_statx,
	SYS_fstatfs,
	SYS_openat,
	SYS_openat2,
	SYS_getdents64,
	SYS_readlinkat,
	SYS_faccessat,
	SYS_mkdirat,
	SYS_fgetxattr,
	SYS_fsetxattr,
	SYS_unlinkat,
	SYS_symlinkat,
	SYS_linkat,
	SYS_renameat2,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_fchown,
	SYS_fchownat,
	SYS_utimensat,
	SYS_ftruncate,
	SYS_fallocate,
	SYS_fadvise64,
	SYS_copy_file_range,
	SYS_fcntl,
	SYS_dup,
	SYS_umask,
	SYS_brk,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_futex,
	SYS_clock_gettime,
	SYS_ppoll,
	SYS_getrandom,
	SYS_memfd_create,
	SYS_getpid,
	SYS_gettid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_rt_sigprocmask,
	SYS_rt_sigaction,
	SYS_rt_sigreturn,
	SYS_exit,
	SYS_exit_group,
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_poll
	SYS_poll,
#endif
#ifdef SYS_readlink
	SYS_readlink,
#endif
#ifdef SYS_open
	SYS_open,
	SYS_stat,
	SYS_lstat,
#endif
};

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#error "the numbers of this architecture's system calls have not been checked"
#endif

/* A sanitizer's runtime needs more memory and more system calls than the program. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static int limit(int resource, rlim_t value, struct error *err)
{
	struct rlimit now;
	if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
		return error_sys(err, errno, "read a limit");
	value = MIN(value, now.rlim_max);
	struct rlimit new = { value, value };
	if (setrlimit((__rlimit_resource_t)resource, &new) < 0)
		return error_sys(err, errno, "set a limit");
	return 0;
}

static int filter_calls(struct error *err)
{
	enum { HEAD = 4, N = ARRAY_LEN(allowed) };
	struct sock_filter code[HEAD + N + 2];
	size_t n = 0;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < N; i++) /* on a match over the rest of the list and the refusal */
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned)allowed[i], (unsigned char)(N - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return error_sys(err, errno, "filter the system calls of a worker");
	return 0;
}

int worker_lock(int cpu_seconds, struct error *err)
{
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, errno, "lock a worker");
	if (limit(RLIMIT_CORE, 0, err) < 0 || limit(RLIMIT_NOFILE, FDS_MAX, err) < 0)
		return -1;
	if (cpu_seconds && limit(RLIMIT_CPU, (rlim_t)cpu_seconds, err) < 0)
		return -1;
	if (IS_SANITIZED)
		return 0;
	if (limit(RLIMIT_AS, MEMORY_MAX, err) < 0)
		return -1;
	return filter_calls(err);
}

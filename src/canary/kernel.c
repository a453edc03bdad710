/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that only a whole host may make, and doors that once were forgotten. */
#include "canary/attack.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define HIGH (1UL << 32) /* above what the kernel looks at */
#define BAD  ((void *)8) /* a pointer that faults */

static struct finding socket_of(unsigned long family, unsigned long type, unsigned long protocol)
{
	long fd = syscall(SYS_socket, family, type, protocol);
	struct finding f = judge(fd);
	if (fd >= 0)
		close((int)fd);
	return f;
}

static struct finding vsock(void)
{
	return socket_of(40, SOCK_STREAM, 0);
}

static struct finding vsock_high_bit(void)
{
	return socket_of(HIGH | 40, SOCK_STREAM, 0);
}

static struct finding vsock_sign_extended(void)
{
	return socket_of(0xffffffff00000000UL | 40, SOCK_STREAM, 0);
}

static struct finding odd_families(void)
{
	static const int families[] = { 38, 15, 33, 30, 43, 44, 29, 31, 39, 42, 45, 21, 28 };
	struct finding f = blocked(EAFNOSUPPORT), any = { .outcome = ABSENT };
	for (size_t i = 0; i < 2 * sizeof(families) / sizeof(families[0]); i++) {
		unsigned long family = (unsigned long)families[i / 2] | (i % 2 ? HIGH : 0);
		f = socket_of(family, i < 4 ? SOCK_SEQPACKET : SOCK_DGRAM, 0);
		if (f.outcome == REACHED && f.sys != EINVAL)
			return f;
		if (f.outcome == BLOCKED)
			any = f;
	}
	return any;
}

static struct finding packet_socket(void)
{
	return socket_of(17, SOCK_RAW, 0);
}

static struct finding raw_socket(void)
{
	struct finding f = socket_of(AF_INET, SOCK_RAW, 255);
	return f.outcome == REACHED ? f : socket_of(AF_INET, SOCK_RAW, 1);
}

static struct finding audit_netlink(void)
{
	return socket_of(AF_NETLINK, SOCK_RAW, 9);
}

static struct finding netfilter_netlink(void)
{
	return socket_of(AF_NETLINK, SOCK_RAW, 12);
}

static struct finding mptcp(void)
{
	return socket_of(AF_INET, SOCK_STREAM, 262);
}

static struct finding io_uring(void)
{
	return judge(syscall(SYS_io_uring_setup, 1, BAD));
}

static struct finding aio(void)
{
	return judge(syscall(SYS_io_setup, 1, BAD));
}

/* A host that has set none aside answers ENOMEM: it was asked. */
static struct finding huge_pages(void)
{
	enum { BYTES = 2 << 20, MAP = 0x40022, MEMFD = 4, SHM = 04000 };
	void *p = (void *)syscall(SYS_mmap, NULL, BYTES, 0, MAP, -1, 0);
	struct finding f = judge(p == (void *)-1 ? -1 : 0);
	if (p != (void *)-1)
		munmap(p, BYTES);
	if (f.outcome == BLOCKED)
		f = judge(syscall(SYS_memfd_create, BAD, HIGH | MEMFD));
	return f.outcome == BLOCKED ? judge(syscall(SYS_shmget, 0, 0, HIGH | SHM)) : f;
}

/* On a descriptor that is not open, the filter speaks first: TCP_ULP, UDP_ENCAP. */
static struct finding upper_layers(void)
{
	static const unsigned long options[][2] = { { 6, 31 }, { HIGH | 6, 31 }, { 6, HIGH | 31 },
		{ 17, 100 }, { HIGH | 17, HIGH | 100 } };
	struct finding f = blocked(EPERM);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		f = judge(syscall(SYS_setsockopt, -1, options[i][0], options[i][1], BAD, 4));
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

/* On a descriptor that is not open, the filter speaks first. */
static struct finding urgent_data(void)
{
	enum { OOB = 1 };
	struct finding f = judge(syscall(SYS_sendto, -1, "", 1, OOB, NULL, 0));
	if (f.outcome == BLOCKED)
		f = judge(syscall(SYS_sendto, -1, "", 1, HIGH | OOB, NULL, 0));
	if (f.outcome == BLOCKED)
		f = judge(syscall(SYS_sendmsg, -1, BAD, HIGH | OOB));
	return f.outcome == BLOCKED ? judge(syscall(SYS_sendmmsg, -1, BAD, 1, HIGH | OOB)) : f;
}

static struct finding core_scheduling(void)
{
	enum { SCHED_CORE = 62 };
	struct finding f = judge(syscall(SYS_prctl, SCHED_CORE, 0, 0, 0, BAD));
	return f.outcome == BLOCKED ? judge(syscall(SYS_prctl, HIGH | SCHED_CORE, 0, 0, 0, BAD))
				    : f;
}

/* Let through, it would say that the descriptor is not open; ignored, it works on anything. */
static struct finding flush_host(void)
{
	return syscall(SYS_syncfs, -1) == 0 ? blocked(0)
					    : reached("the kernel said: %s", strerror(errno));
}

static struct finding keyring(void)
{
	struct finding f = judge(
		syscall(SYS_keyctl, 0, -3, 0)); /* KEYCTL_GET_KEYRING_ID, session */
	return f.outcome == BLOCKED ? judge(syscall(SYS_add_key, "user", BAD, NULL, 0, -3)) : f;
}

static struct finding bpf(void)
{
	return judge(syscall(SYS_bpf, 0, BAD, 64));
}

static struct finding perf(void)
{
	return judge(syscall(SYS_perf_event_open, BAD, 0, -1, -1, 0));
}

static struct finding userfault(void)
{
	return judge(
		syscall(SYS_userfaultfd, 1)); /* UFFD_USER_MODE_ONLY, which needs no privilege */
}

static struct finding kexec(void)
{
	struct finding f = judge(syscall(SYS_kexec_load, 0, 0, NULL, ~0UL));
	return f.outcome == REACHED ? f
				    : judge(syscall(SYS_kexec_file_load, -1, -1, 0, NULL, ~0UL));
}

static struct finding module(void)
{
	struct finding f = judge(syscall(SYS_finit_module, -1, "", 0));
	return f.outcome == REACHED ? f : judge(syscall(SYS_init_module, NULL, 0, ""));
}

static struct finding swap(void)
{
	return judge(swapon("/nonexistent-escape", 0));
}

static struct finding set_time(void)
{
	return judge(syscall(SYS_settimeofday, NULL,
		NULL)); /* changes nothing, and asks for the right first */
}

static struct finding set_clock(void)
{
	return judge(syscall(SYS_clock_settime, 0, BAD));
}

static struct finding adjust_clock(void)
{
	return judge(syscall(SYS_adjtimex, BAD));
}

static struct finding set_hostname(void)
{
	return judge(syscall(SYS_sethostname, BAD, 1));
}

static struct finding reboot_(void)
{
	return judge(syscall(SYS_reboot, 0, 0, 0,
		NULL)); /* no magic: EINVAL, after the right was asked for */
}

static struct finding kernel_log(void)
{
	return judge(syscall(SYS_syslog, 10, NULL, 0)); /* how large is its buffer */
}

static struct finding accounting(void)
{
	return judge(syscall(SYS_acct, "/nonexistent-escape"));
}

static struct finding quota(void)
{
	return judge(syscall(SYS_quotactl, 0x80000700, "/nonexistent-escape", 0, NULL));
}

static struct finding io_ports(void)
{
#ifdef SYS_iopl
	return judge(syscall(SYS_iopl, 0));
#else
	return absent(ENOSYS);
#endif
}

static struct finding ldt(void)
{
#ifdef SYS_modify_ldt
	char entry[16];
	return judge(syscall(SYS_modify_ldt, 0, entry, sizeof(entry)));
#else
	return absent(ENOSYS);
#endif
}

static struct finding fanotify(void)
{
	return judge(syscall(SYS_fanotify_init, 0x200,
		0)); /* FAN_REPORT_FID: allowed to all since 5.13 */
}

static struct finding memory_policy(void)
{
	struct finding f = judge(syscall(SYS_set_mempolicy, 0, NULL, 0));
	return f.outcome == BLOCKED ? judge(syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0)) : f;
}

static struct finding secret_memory(void)
{
	return judge(syscall(447, 0));
}

static struct finding exec_everything(void)
{
	return judge(personality(0x0400000)); /* READ_IMPLIES_EXEC */
}

static struct finding old_abi(void)
{
#ifdef __x86_64__
	long r;
	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(20)
			 : "memory", "r8", "r9", "r10", "r11"); /* getpid */
	return r > 0 ? reached("getpid by int 0x80 gave %ld", r) : absent(0);
#else
	return absent(0);
#endif
}

static struct finding x32_abi(void)
{
	long r = syscall(0x40000000 | SYS_getpid);
	return r > 0 ? reached("getpid of x32 gave %ld", r) : judge(r);
}

/* On a descriptor that is not open, the filter speaks first. */
static struct finding terminal_input(void)
{
	static const unsigned long requests[] = { TIOCSTI, HIGH | TIOCSTI, TIOCSETD,
		HIGH | TIOCSETD, 0x541c, TIOCCONS };
	struct finding f = blocked(EPERM);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		f = judge(syscall(SYS_ioctl, -1, requests[i], BAD));
		if (f.outcome == REACHED)
			return f;
	}
	return f;
}

static struct finding freeze_fs(void)
{
	return judge(syscall(SYS_ioctl, -1, 0xc0045877UL, 0));
}

static struct finding lease(void)
{
	struct finding f = judge(syscall(SYS_fcntl, -1, F_SETLEASE, F_WRLCK));
	return f.outcome == BLOCKED ? judge(syscall(SYS_fcntl, -1, HIGH | F_SETLEASE, F_WRLCK)) : f;
}

static struct finding move_stack(void)
{
	/* Its one form that needs no privilege: tells a size through a pointer. */
	return judge(syscall(SYS_prctl, HIGH | PR_SET_MM, PR_SET_MM_MAP_SIZE, BAD, 0, 0));
}

/* The counter of a System V queue that the driver made on the host. */
static struct finding shared_memory(void)
{
	long id = syscall(SYS_shmget, 0x0ca9e5ca, 1, 0);
	return id >= 0 ? reached("found shared memory %ld of the host", id) : blocked(errno);
}

static struct finding raise_limits(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return blocked(errno);
	limit.rlim_max++;
	return judge(setrlimit(RLIMIT_NOFILE, &limit));
}

static struct finding realtime(void)
{
	int priority = 1;
	return judge(syscall(SYS_sched_setscheduler, 0, 1, &priority));
}

const struct attack kernel_attacks[] = {
	{ "vsock", SECCOMP, false, vsock, "an AF_VSOCK socket, which no namespace holds" },
	{ "vsock-high-bit", SECCOMP, false, vsock_high_bit, "the same with bit 32 set" },
	{ "vsock-sign", SECCOMP, false, vsock_sign_extended, "the same sign-extended" },
	{ "odd-families", MANY, false, odd_families,
		"AF_ALG, AF_KEY, AF_TIPC, AF_XDP and the like" },
	{ "packet-socket", MANY, true, packet_socket, "an AF_PACKET socket" },
	{ "raw-socket", MANY, true, raw_socket, "a raw IP socket" },
	{ "audit-netlink", SECCOMP, false, audit_netlink, "an audit netlink socket" },
	{ "netfilter-netlink", SECCOMP, false, netfilter_netlink, "a netfilter netlink socket" },
	{ "mptcp", SECCOMP, false, mptcp, "an MPTCP socket" },
	{ "io-uring", SECCOMP, false, io_uring, "io_uring, which goes around every socket rule" },
	{ "aio", SECCOMP, false, aio, "aio, which is counted for the whole host" },
	{ "huge-pages", SECCOMP, false, huge_pages, "huge pages, which are counted for nobody" },
	{ "upper-layers", SECCOMP, false, upper_layers, "TLS, ESP and the like within a socket" },
	{ "urgent-data", SECCOMP, false, urgent_data, "send urgent data" },
	{ "core-scheduling", SECCOMP, false, core_scheduling, "have a core for oneself" },
	{ "flush-host", SECCOMP, false, flush_host, "flush a file system of the host's" },
	{ "keyring", SECCOMP, false, keyring, "the kernel's keyrings, which no namespace holds" },
	{ "bpf", MANY, true, bpf, "bpf(2)" },
	{ "perf", MANY, true, perf, "perf_event_open(2)" },
	{ "userfaultfd", SECCOMP, false, userfault, "userfaultfd(2)" },
	{ "kexec", MANY, true, kexec, "kexec" },
	{ "module", MANY, true, module, "load a module" },
	{ "swapon", MANY, true, swap, "swapon(2)" },
	{ "settimeofday", MANY, true, set_time, "settimeofday(2)" },
	{ "clock-settime", MANY, true, set_clock, "clock_settime(2)" },
	{ "adjtimex", SECCOMP, false, adjust_clock, "adjtimex(2)" },
	{ "sethostname", MANY, true, set_hostname, "sethostname(2)" },
	{ "reboot", MANY, true, reboot_, "reboot(2)" },
	{ "kernel-log", MANY, true, kernel_log, "syslog(2)" },
	{ "acct", MANY, true, accounting, "acct(2)" },
	{ "quotactl", SECCOMP, false, quota, "quotactl(2)" },
	{ "io-ports", SECCOMP, false, io_ports, "iopl(2)" },
	{ "ldt", SECCOMP, false, ldt, "modify_ldt(2)" },
	{ "fanotify", MANY, false, fanotify, "fanotify_init(2)" },
	{ "memory-policy", SECCOMP, false, memory_policy, "set_mempolicy, move_pages" },
	{ "secret-memory", SECCOMP, false, secret_memory, "memfd_secret(2)" },
	{ "personality", SECCOMP, false, exec_everything, "personality(READ_IMPLIES_EXEC)" },
	{ "int80", SECCOMP, false, old_abi, "a call of the 32-bit ABI" },
	{ "x32", SECCOMP, false, x32_abi, "a call of the x32 ABI" },
	{ "tiocsti", SECCOMP, false, terminal_input, "TIOCSTI and its like, also with bit 32 set" },
	{ "fifreeze", SECCOMP, false, freeze_fs, "freeze a file system" },
	{ "lease", SECCOMP, false, lease, "a lease on a file" },
	{ "prctl-mm", SECCOMP, false, move_stack, "PR_SET_MM with bit 32 set" },
	{ "host-shm", NAMESPACES, false, shared_memory, "System V shared memory of the host" },
	{ "raise-rlimit", MANY, true, raise_limits, "raise a hard limit" },
	{ "realtime", MANY, true, realtime, "real-time priority" },
	{ 0 },
};

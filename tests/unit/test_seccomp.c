/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three independent opinions on the same question must agree: the table (seccomp.def, read row by
 * row), the generated program run by a small BPF emulator, and the program installed in a real
 * kernel.
 */
#include "sandbox/seccomp.h"

#include "base/auto.h"
#include "sandbox/seccomp-table.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

enum { X32_BIT = 0x40000000, CALLS = 512 };

static const unsigned modes[SECCOMP_PROGRAM_MAX] = {
	[SECCOMP_PROGRAM_AGENT] = SECCOMP_AGENT | SECCOMP_PLAIN,
	[SECCOMP_PROGRAM_ROOT] = SECCOMP_ROOT,
	[SECCOMP_PROGRAM_ROOT_PLAIN] = SECCOMP_ROOT | SECCOMP_PLAIN,
	[SECCOMP_PROGRAM_AGENT_ENTER] = SECCOMP_AGENT | SECCOMP_PLAIN | SECCOMP_ENTER,
	[SECCOMP_PROGRAM_ROOT_ENTER] = SECCOMP_ROOT | SECCOMP_ENTER,
	[SECCOMP_PROGRAM_SERVER] = SECCOMP_AGENT | SECCOMP_PLAIN | SECCOMP_SERVER,
	[SECCOMP_PROGRAM_ROOT_PLAIN_ENTER] = SECCOMP_ROOT | SECCOMP_PLAIN | SECCOMP_ENTER,
};

/* Numbers of this architecture, by the C library's header: not by way of the generator's source. */
static const struct {
	const char *name;
	int nr;
} numbers[] = {
#define N(name)                   \
	{                         \
#name, SYS_##name \
	}
	N(read),
	N(openat2),
	N(renameat2),
	N(clone),
	N(clone3),
	N(socket),
	N(socketpair),
	N(ioctl),
	N(fcntl),
	N(prctl),
	N(personality),
	N(mknodat),
	N(prlimit64),
	N(ptrace),
	N(process_vm_readv),
	N(mount),
	N(unshare),
	N(setns),
	N(io_uring_setup),
	N(keyctl),
	N(bpf),
	N(userfaultfd),
	N(sync),
	N(chroot),
	N(process_vm_writev),
	N(kcmp),
	N(pidfd_getfd),
	N(fsopen),
	N(open_by_handle_at),
	N(exit_group),
	N(perf_event_open),
	N(init_module),
	N(kexec_load),
	N(reboot),
	N(swapon),
	N(settimeofday),
	N(add_key),
	N(request_key),
	N(move_mount),
	N(umount2),
	N(pivot_root),
	N(sethostname),
	N(syslog),
	N(execve),
	N(getpid),
	N(write),
	N(seccomp),
	N(landlock_restrict_self),
	N(memfd_create),
#ifdef SYS_mknod
	N(mknod),
	N(open),
	N(fork),
	N(iopl),
	N(modify_ldt),
#endif
#undef N
};

static const char *name_of(int nr)
{
	for (size_t i = 0; i < ARRAY_LEN(seccomp_numbers); i++)
		if (seccomp_numbers[i].nr == nr)
			return seccomp_numbers[i].name;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (numbers[i].nr == nr)
			return numbers[i].name;
	return NULL;
}

static bool row_matches(const struct seccomp_row *r, const struct seccomp_data *d)
{
	for (uint32_t i = 0; i < r->n_tests; i++) {
		const struct seccomp_test *t = &r->tests[i];
		uint32_t half = (uint32_t)(d->args[t->half / 2] >> (t->half % 2 ? 32 : 0));
		if ((half & t->mask) != t->value)
			return false;
	}
	return true;
}

static uint32_t table_verdict(const char *name, unsigned mode, const struct seccomp_data *d)
{
	for (size_t i = 0; i < ARRAY_LEN(seccomp_rows); i++) {
		const struct seccomp_row *r = &seccomp_rows[i];
		if (!strcmp(r->name, name) && (r->modes & mode) && row_matches(r, d))
			return r->verdict;
	}
	return SECCOMP_UNLISTED;
}

/* The instructions that the generator uses; any other fails the test. */
static uint32_t emulate(enum seccomp_program which, const struct seccomp_data *d)
{
	size_t len;
	const struct sock_filter *ins = seccomp_program(which, &len);
	uint32_t a = 0;
	for (size_t pc = 0; pc < len; pc++) {
		const struct sock_filter *i = &ins[pc];
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k + 4 <= sizeof(*d));
			memcpy(&a, (const char *)d + i->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail_msg("instruction %zu has an unknown code 0x%x", pc, i->code);
		}
	}
	fail_msg("the program runs off its end");
	return 0;
}

static void check(enum seccomp_program which, const char *name, const struct seccomp_data *d)
{
	uint32_t want = table_verdict(name, modes[which], d), got = emulate(which, d);
	if (want != got)
		fail_msg("program %d: %s(%#lx, %#lx, %#lx): the table says %#x, the program %#x",
			which, name, (unsigned long)d->args[0], (unsigned long)d->args[1],
			(unsigned long)d->args[2], want, got);
}

/*
 * Each value that a rule names, and its neighbours, with the upper half clear, set and
 * sign-extended.
 */
static void try_around(enum seccomp_program which, const char *name, int nr,
	const struct seccomp_row *r)
{
	static const uint64_t uppers[] = { 0, 1ULL << 32, 1ULL << 63, 0xffffffffULL << 32 };
	for (uint32_t flip = 0; flip < 1U << (2 * r->n_tests); flip++) {
		for (size_t u = 0; u < ARRAY_LEN(uppers); u++) {
			struct seccomp_data d = { .nr = nr, .arch = ARCH };
			for (uint32_t i = 0; i < r->n_tests; i++) {
				uint32_t value = r->tests[i].value, how = (flip >> (2 * i)) & 3;
				value += how == 1 ? 1 : 0;
				value ^= how == 2 ? 0x80000000U : 0;
				value |= how == 3 ? ~r->tests[i].mask : 0;
				if (r->tests[i].half % 2)
					d.args[r->tests[i].half / 2] |= (uint64_t)value << 32;
				else
					d.args[r->tests[i].half / 2] |= value | uppers[u];
			}
			check(which, name, &d);
		}
	}
}

static void program_agrees_with_the_table_on_every_call_we_can_name(void **state)
{
	for (int which = 0; which < SECCOMP_PROGRAM_CHILD; which++) {
		for (int nr = 0; nr < CALLS; nr++) {
			const char *name = name_of(nr);
			struct seccomp_data d = { .nr = nr, .arch = ARCH };
			if (name)
				check((enum seccomp_program)which, name, &d);
		}
	}
}

static void program_agrees_with_the_table_around_every_argument_rule(void **state)
{
	size_t rules = 0;
	for (int which = 0; which < SECCOMP_PROGRAM_CHILD; which++) {
		for (size_t i = 0; i < ARRAY_LEN(seccomp_rows); i++) {
			const struct seccomp_row *r = &seccomp_rows[i];
			for (size_t n = 0; r->n_tests > 0 && n < ARRAY_LEN(numbers); n++) {
				if (strcmp(numbers[n].name, r->name) != 0)
					continue;
				try_around((enum seccomp_program)which, r->name, numbers[n].nr, r);
				rules++;
			}
		}
	}
	assert_true(rules > 150);
}

static void unlisted_calls_do_not_exist(void **state)
{
	static const int unlisted[] = { 498, 511, 512, 1024, 100000, 0x3fffffff, -1 };
	for (int which = 0; which < SECCOMP_PROGRAM_CHILD; which++) {
		for (size_t i = 0; i < ARRAY_LEN(unlisted); i++) {
			struct seccomp_data d = { .nr = unlisted[i], .arch = ARCH };
			assert_int_equal(emulate((enum seccomp_program)which, &d),
				SECCOMP_UNLISTED);
		}
	}
}

static void other_architectures_are_killed(void **state)
{
	static const uint32_t others[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM, 0, 0xffffffff };
	for (int which = 0; which < SECCOMP_PROGRAM_CHILD; which++) {
		for (size_t i = 0; i < ARRAY_LEN(others); i++) {
			struct seccomp_data d = { .nr = SYS_getpid, .arch = others[i] };
			assert_int_equal(emulate((enum seccomp_program)which, &d),
				SECCOMP_RET_KILL_PROCESS);
		}
		struct seccomp_data x32 = { .nr = X32_BIT | 39, .arch = ARCH };
		assert_int_equal(emulate((enum seccomp_program)which, &x32),
			SECCOMP_RET_KILL_PROCESS);
	}
}

static void entering_leaves_clone3_to_the_executor_and_takes_it_from_children(void **state)
{
	struct seccomp_data clone3 = { .nr = SYS_clone3, .arch = ARCH };
	struct seccomp_data getpid = { .nr = SYS_getpid, .arch = ARCH };
	assert_int_equal(emulate(SECCOMP_PROGRAM_AGENT, &clone3), SECCOMP_RET_ERRNO | ENOSYS);
	assert_int_equal(emulate(SECCOMP_PROGRAM_AGENT_ENTER, &clone3), SECCOMP_RET_ALLOW);
	assert_int_equal(emulate(SECCOMP_PROGRAM_CHILD, &clone3), SECCOMP_RET_ERRNO | ENOSYS);
	assert_int_equal(emulate(SECCOMP_PROGRAM_CHILD, &getpid), SECCOMP_RET_ALLOW);
}

/* A call with arguments that do no harm if the kernel gets to see them. */
struct attempt {
	const char *what;
	long nr;
	unsigned long args[3];
	int want; /* errno; 0: success */
};

#define HIGH (1UL << 32)

static const struct attempt agent_attempts[] = {
	{ "unshare", SYS_unshare, { 0 }, EPERM },
	{ "setns", SYS_setns, { -1UL }, EPERM },
	{ "mount", SYS_mount, { 0 }, EPERM },
	{ "umount2", SYS_umount2, { 0 }, EPERM },
	{ "fsopen", SYS_fsopen, { 0 }, EPERM },
	{ "clone of a user namespace", SYS_clone, { 0x10000000 }, EPERM },
	{ "clone3", SYS_clone3, { 0 }, ENOSYS },
	{ "ptrace", SYS_ptrace, { PTRACE_CONT, -1UL }, EPERM },
	{ "pidfd_getfd", SYS_pidfd_getfd, { -1UL }, EPERM },
	{ "io_uring_setup", SYS_io_uring_setup, { 0 }, ENOSYS },
	{ "keyctl", SYS_keyctl, { 0 }, ENOSYS },
	{ "bpf", SYS_bpf, { -1UL }, EPERM },
	{ "a call of the future", 600, { 0 }, ENOSYS },
	{ "AF_VSOCK", SYS_socket, { 40, 1, 0 }, EAFNOSUPPORT },
	{ "AF_VSOCK with a high bit", SYS_socket, { HIGH | 40, 1, 0 }, EAFNOSUPPORT },
	{ "AF_ALG with a high bit", SYS_socket, { HIGH | 38, 5, 0 }, EAFNOSUPPORT },
	{ "AF_INET raw", SYS_socket, { 2, 3, 1 }, EPERM },
	{ "MPTCP", SYS_socket, { 2, 1, 262 }, EPROTONOSUPPORT },
	{ "audit netlink", SYS_socket, { 16, 3, 9 }, EAFNOSUPPORT },
	{ "TIOCSTI", SYS_ioctl, { -1UL, 0x5412 }, EPERM },
	{ "TIOCSTI with a high bit", SYS_ioctl, { -1UL, HIGH | 0x5412 }, EPERM },
	{ "TCGETS", SYS_ioctl, { -1UL, 0x5401 }, EBADF },
	{ "F_SETLEASE with a high bit", SYS_fcntl, { -1UL, HIGH | 1024 }, EPERM },
	{ "F_GETFD", SYS_fcntl, { -1UL, 1 }, EBADF },
	{ "whiteout device", SYS_mknodat, { -1UL, 0, 0020000 }, EPERM },
	{ "fifo", SYS_mknodat, { -1UL, 0, 0010000 }, EFAULT },
	{ "read implies exec", SYS_personality, { 0x0400000 }, EPERM },
	{ "personality query", SYS_personality, { 0xffffffff }, 0 },
	{ "prlimit of pid 1", SYS_prlimit64, { 1, 7, 4096 }, EPERM },
	{ "prlimit of pid 1, pointer of zero low half", SYS_prlimit64, { 1, 7, HIGH }, EPERM },
	{ "PR_SET_MM", SYS_prctl, { 35, 0, 0 }, EPERM },
	{ "sync", SYS_sync, { 0 }, 0 },
	{ "chroot", SYS_chroot, { 0 }, EPERM },
	{ "getpid", SYS_getpid, { 0 }, 0 },
};

static int attempt(const struct attempt *a)
{
	errno = 0;
	long r = syscall(a->nr, a->args[0], a->args[1], a->args[2], 0, 0, 0);
	return r < 0 ? errno : 0;
}

static void attempts_in_child(const enum seccomp_program *programs, size_t n_programs, int *results)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	for (size_t i = 0; i < n_programs; i++)
		if (seccomp_install(programs[i], NULL) < 0)
			_exit(1);
	for (size_t i = 0; i < ARRAY_LEN(agent_attempts); i++)
		results[i] = attempt(&agent_attempts[i]);
	_exit(0);
}

static void kernel_gives_each_verdict(const enum seccomp_program *programs, size_t n_programs)
{
	int *results = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(results, MAP_FAILED);
	pid_t pid = fork();
	if (pid == 0)
		attempts_in_child(programs, n_programs, results);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < ARRAY_LEN(agent_attempts); i++) {
		const struct attempt *a = &agent_attempts[i];
		if (results[i] != a->want)
			fail_msg("%s: want errno %d, got %d", a->what, a->want, results[i]);
	}
	munmap(results, 4096);
}

static void kernel_agrees_for_a_child_locked_at_once(void **state)
{
	kernel_gives_each_verdict((enum seccomp_program[]){ SECCOMP_PROGRAM_AGENT }, 1);
}

static void kernel_agrees_for_a_child_of_an_entered_executor(void **state)
{
	kernel_gives_each_verdict(
		(enum seccomp_program[]){ SECCOMP_PROGRAM_AGENT_ENTER, SECCOMP_PROGRAM_CHILD }, 2);
}

/*
 * Without the filter most attempts reach the kernel and fail otherwise: so the test above can fail.
 */
static void without_the_filter_the_kernel_answers_differently(void **state)
{
	size_t differ = 0;
	for (size_t i = 0; i < ARRAY_LEN(agent_attempts); i++) {
		const struct attempt *a = &agent_attempts[i];
		if (a->nr != SYS_personality && a->nr != SYS_sync && a->nr != SYS_unshare &&
			a->nr != SYS_clone)
			differ += attempt(a) != a->want;
	}
	assert_true(differ >= 15);
}

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
static void a_32_bit_call_is_killed_by_the_kernel(void **state)
{
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (seccomp_install(SECCOMP_PROGRAM_AGENT, NULL) < 0)
			_exit(1);
		int r = 20; /* getpid of i386 */
		__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(program_agrees_with_the_table_on_every_call_we_can_name),
		cmocka_unit_test(program_agrees_with_the_table_around_every_argument_rule),
		cmocka_unit_test(unlisted_calls_do_not_exist),
		cmocka_unit_test(other_architectures_are_killed),
		cmocka_unit_test(entering_leaves_clone3_to_the_executor_and_takes_it_from_children),
		cmocka_unit_test(kernel_agrees_for_a_child_locked_at_once),
		cmocka_unit_test(kernel_agrees_for_a_child_of_an_entered_executor),
		cmocka_unit_test(without_the_filter_the_kernel_answers_differently),
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(a_32_bit_call_is_killed_by_the_kernel),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

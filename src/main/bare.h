/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare: what a program without a C library stands on: a system call, where it begins, and a signal
 * that interrupts what waits. BARE_START(fn) makes the kernel's entry point call `_Noreturn void
 * fn(const long *stack)`: argc, argv[0], …, NULL, environment, NULL. BARE_SIGNAL stands once in a
 * program that calls bare_notice.
 */
#pragma once

#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long call5(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}
/* A handler that does nothing, and the way back that the kernel wants to be shown. */
#define BARE_SIGNAL                                                        \
	__asm__(".globl bare_noticed, bare_return\nbare_noticed:\n\tret\n" \
		"bare_return:\n\tmov $15, %eax\n\tsyscall\n")
/* argc and argv are where the stack begins; rsp is a multiple of 16 there, as a call wants it. */
#define BARE_START(fn) \
	__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tcall " #fn "\n")
#elif defined(__aarch64__)
static inline long call5(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
}
#define BARE_SIGNAL                                                        \
	__asm__(".globl bare_noticed, bare_return\nbare_noticed:\n\tret\n" \
		"bare_return:\n\tmov x8, #139\n\tsvc #0\n")
#define BARE_START(fn) \
	__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tbl " #fn "\n")
#else
#error "programs without a C library make system calls by themselves: bare.h does not know this machine's"
#endif

static inline long call(long number, long a, long b, long c, long d)
{
	return call5(number, a, b, c, d, 0);
}

void bare_noticed(int signo);
void bare_return(void);

/* From now on the signal interrupts a system call that waits, and does nothing else. */
static inline void bare_notice(int signo)
{
	enum { RESTORER = 0x04000000 };
	const struct {
		void (*handler)(int signo);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} action = { bare_noticed, RESTORER, bare_return, 0 };
	call(SYS_rt_sigaction, signo, (long)&action, 0, sizeof(action.mask));
}

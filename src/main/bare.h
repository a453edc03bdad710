/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare: what a program without a C library stands on: a system call, and where it begins.
 * BARE_START(fn) makes the kernel's entry point call `_Noreturn void fn(const long *stack)`: argc,
 * argv[0], …, NULL, environment, NULL.
 */
#pragma once

#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}
/* argc and argv are where the stack begins; rsp is a multiple of 16 there, as a call wants it. */
#define BARE_START(fn) \
	__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tcall " #fn "\n")
#elif defined(__aarch64__)
static inline long call(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}
#define BARE_START(fn) \
	__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x0, sp\n\tbl " #fn "\n")
#else
#error "programs without a C library make system calls by themselves: bare.h does not know this machine's"
#endif

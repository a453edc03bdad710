/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp-table: seccomp.def as data. For the generator and for the tests; programs get finished
 * BPF. memset-free and header-only, since the generator is built before anything else.
 */
#pragma once

#include <linux/seccomp.h>
#include <errno.h>
#include <stdint.h>

enum seccomp_mode {
	SECCOMP_AGENT = 1,
	SECCOMP_ROOT = 2,
	SECCOMP_ENTER =
		4, /* together with one of the above: the executor's own, inherited by its children */
	SECCOMP_SERVER = 16, /* together with AGENT: cayd, which starts no program */
	SECCOMP_PLAIN = 8, /* together with one of the above: no file is made set-uid or set-gid */
};

struct seccomp_test {
	uint32_t half; /* 2*argument, + 1 for the upper half */
	uint32_t mask, value;
};

enum { SECCOMP_TESTS_MAX = 3 };

struct seccomp_row {
	const char *name;
	uint32_t modes;   /* any of these set in the mode asked for */
	uint32_t verdict; /* SECCOMP_RET_* */
	uint32_t n_tests;
	struct seccomp_test tests[SECCOMP_TESTS_MAX];
};

struct seccomp_number {
	const char *name;
	int nr;
};

#define ALLOW                   SECCOMP_RET_ALLOW
#define DENY                    (SECCOMP_RET_ERRNO | EPERM)
#define ABSENT                  (SECCOMP_RET_ERRNO | ENOSYS)
#define IGNORE                  (SECCOMP_RET_ERRNO | 0)
#define NO_FAMILY               (SECCOMP_RET_ERRNO | EAFNOSUPPORT)
#define NO_PROTOCOL             (SECCOMP_RET_ERRNO | EPROTONOSUPPORT)

#define ALL                     (SECCOMP_AGENT | SECCOMP_ROOT)
#define PLAIN                   SECCOMP_PLAIN
#define ROOT                    SECCOMP_ROOT
#define ENTER                   SECCOMP_ENTER
#define SERVER                  SECCOMP_SERVER

#define LO(argument)            (2 * (argument))
#define HI(argument)            (2 * (argument) + 1)
#define ALL_BITS                0xffffffffU
#define SET_ID                  06000U     /* of a mode: set-uid, set-gid */
#define CREATES                 020000100U /* of open's flags: O_CREAT, __O_TMPFILE */
#define TEST(half, mask, value) { half, mask, value },
#define ALWAYS
#define COUNT(...) (sizeof((struct seccomp_test[]){ __VA_ARGS__ }) / sizeof(struct seccomp_test))

static const struct seccomp_row seccomp_rows[] = {
#define CALL(name, verdict)               { #name, ALL, verdict, 0, { { 0 } } },
#define WHEN(name, modes, verdict, tests) { #name, modes, verdict, COUNT(tests), { tests } },
#define NUMBER(name, nr)
#include "sandbox/seccomp.def"
#undef CALL
#undef WHEN
#undef NUMBER
};

static const struct seccomp_number seccomp_numbers[] = {
#define CALL(name, verdict)
#define WHEN(name, modes, verdict, tests)
#define NUMBER(name, nr) { #name, nr },
#include "sandbox/seccomp.def"
#undef CALL
#undef WHEN
#undef NUMBER
};

#undef ALLOW
#undef DENY
#undef ABSENT
#undef IGNORE
#undef NO_FAMILY
#undef NO_PROTOCOL
#undef ALL
#undef PLAIN
#undef ROOT
#undef ENTER
#undef SERVER
#undef LO
#undef HI
#undef ALL_BITS
#undef SET_ID
#undef CREATES
#undef TEST
#undef ALWAYS
#undef COUNT

#define SECCOMP_UNLISTED (SECCOMP_RET_ERRNO | ENOSYS)

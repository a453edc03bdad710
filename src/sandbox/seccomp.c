/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/seccomp.h"

#include "base/auto.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "sandbox/seccomp-programs.inc"

#define PROGRAM(array)                                                     \
	{                                                                  \
		ARRAY_LEN(array), (struct sock_filter *)(uintptr_t)(array) \
	}

static const struct sock_fprog programs[SECCOMP_PROGRAM_MAX] = {
	[SECCOMP_PROGRAM_AGENT] = PROGRAM(program_agent),
	[SECCOMP_PROGRAM_ROOT] = PROGRAM(program_root),
	[SECCOMP_PROGRAM_ROOT_PLAIN] = PROGRAM(program_root_plain),
	[SECCOMP_PROGRAM_AGENT_ENTER] = PROGRAM(program_agent_enter),
	[SECCOMP_PROGRAM_ROOT_ENTER] = PROGRAM(program_root_enter),
	[SECCOMP_PROGRAM_ROOT_PLAIN_ENTER] = PROGRAM(program_root_plain_enter),
	[SECCOMP_PROGRAM_CHILD] = PROGRAM(program_child),
	[SECCOMP_PROGRAM_SERVER] = PROGRAM(program_server),
};

const struct sock_filter *seccomp_program(enum seccomp_program which, size_t *ret_len)
{
	*ret_len = programs[which].len;
	return programs[which].filter;
}

int seccomp_install(enum seccomp_program which, struct error *err)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &programs[which]) < 0)
		return error_sys(err, errno, "install the system call filter");
	return 0;
}

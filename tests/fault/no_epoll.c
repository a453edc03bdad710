/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: no_epoll PROGRAM ARG…: executes it where epoll takes no descriptor any more, as if
 * somebody of the same user had used up fs.epoll.max_user_watches, for that program and all that it
 * starts.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field)              BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, n_skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n_skipped)

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		UNLESS(SYS_epoll_ctl, 3),
		LOAD(args[1]),
		UNLESS(EPOLL_CTL_ADD, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSPC),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };
	if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 125;
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn: starts a program in the sandbox: cgroup, session, terminal, signals, descriptors, user,
 * directory and locks, then exec. The plan is data; the child walks it with async-signal-safe calls
 * and reports the first failure, so that a program that cannot be started is an error that names
 * the reason.
 *
 * The child is in the sandbox's pid namespace, where its number is `pid`; the executor is outside
 * and knows it as `own_pid`. Only `pidfd` and `own_pid` are of use in calls of the executor, only
 * `pid` in the sandbox's /proc and in what callers are told.
 */
#pragma once

#include "base/error.h"
#include "executor/user.h"
#include "sandbox/lock.h"

enum { CONFINE_TASKS_MAX = 8, SPAWN_MORE_MAX = 4 };

struct confine {
	int cgroup_fd;                    /* v2: children are cloned into it; or -1 */
	int tasks_fds[CONFINE_TASKS_MAX]; /* v1: each child writes "0" to every one */
	int n_tasks;
	uint64_t nofile_soft; /* RLIMIT_NOFILE of children; 0: as it is */
	bool has_lock;
	struct lock lock;
};

struct spawn_plan {
	const char *const *argv; /* argv[0] without a slash is looked for along `path` */
	char *const *envp;
	const char *path; /* NULL: the usual directories */
	const char *cwd;
	int stdio_fds[3];    /* above 2; -1: /dev/null */
	bool is_tty;         /* stdio_fds[1] becomes the controlling terminal */
	const int *more_fds; /* they become 3, 4, … of the child; above 2 */
	int n_more_fds;      /* SPAWN_MORE_MAX at most */
	const struct user *user;
	const struct confine *confine;
};

struct child {
	pid_t pid;
	pid_t own_pid;  /* leads its session and process group */
	int pidfd;      /* readable when it has ended */
	bool is_reaped; /* own_pid is nobody's, or somebody else's, from now on */
};

/* ERROR_NOT_FOUND if there is no such program, ERROR_FORBIDDEN if it cannot be executed. */
int spawn(const struct spawn_plan *plan, struct child *ret, struct error *err);
/* Signals the child's process group, or the child alone. A child that is gone is no error. */
int child_signal(const struct child *child, int signo, bool is_group, struct error *err);
/*
 * Reaps: true once it has ended; then what waitid(2) says: CLD_EXITED or CLD_KILLED, and the
 * status.
 */
bool child_reap(struct child *child, int *ret_code, int *ret_status);
/* Waits for a killed child, if it was not reaped yet, and closes the pidfd. */
void child_wait(struct child *child);
/*
 * Waits for the end of a child, and reaps it; also by a descriptor that a loop has made
 * non-blocking.
 */
void pidfd_wait(int pidfd);

/* "TERM", "SIGTERM", "15". */
int signal_parse(struct str name, int *ret, struct error *err);
const char *signal_name(int signo); /* "TERM"; "?" if it has no name */

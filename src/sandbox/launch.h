/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch: from a plan to a living sandbox, and back to nothing.
 *
 * A box is one living sandbox in the hands of its owner (`cay run`, or the supervisor). pid 1 of
 * the box is cay-init; it dies with its owner (PR_SET_PDEATHSIG), and the kernel takes every
 * process inside, every mount and every namespace with it. Cgroups do not go by themselves:
 * launch_reap removes them, and what a killed owner left is found by its record in host.run_dir: by
 * its janitor (janitor.h), by launch_sweep, or by the next owner that draws the same slot.
 *
 * The owner is single-threaded (PR_SET_PDEATHSIG follows a thread) and waits for the descriptors
 * with poll; only launch_start, launch_executor (1 ms or so) and launch_reap block.
 *
 *	struct box box = BOX_INIT;
 *	launch_start(plan, &lock, NULL, NULL, &box, NULL, err);
 *	launch_executor(&box, &lock, executor_fd, control_fd, NULL, NULL, err);
 *	... poll box.init_pidfd and box.executor_pidfd: readable means ended ...
 *	launch_kill(&box);
 *	... poll box.init_pidfd ...
 *	launch_reap(&box, &oom_kills);
 */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/lock.h"
#include "sandbox/plan.h"

#include <sys/types.h>

struct box {
	pid_t init_pid;     /* as the owner sees it; 0: no box */
	int init_pidfd;     /* readable once every process in the pid namespace is gone */
	pid_t executor_pid; /* 0 without an executor */
	int executor_pidfd;
	int command_pidfd; /* of a command: to signal it */
	int status_fd;     /* of a command: gives its wait status (an int) once, then ends */
	int tty_fd;        /* of a command with a tty: the master */
	int layer_fd;      /* the work area, where the spec says so, until there is an executor */
	int slot_fd;       /* the lock on the uid slot, and the record of the cgroups */
	int etc_fd;        /* the lock on the copy of /etc that it uses */
	bool has_groups;   /* leaving groups, and taking other ids, is possible */
	uint64_t namespaces;
	struct cgroup cgroup;
	struct enforced enforced; /* with what the lock adds */
};

/* clang-format off */
#define BOX_INIT                                                                              \
	((struct box){ .init_pidfd = -1, .executor_pidfd = -1, .command_pidfd = -1,           \
		.status_fd = -1, .tty_fd = -1, .layer_fd = -1, .slot_fd = -1, .etc_fd = -1,   \
		.cgroup = CGROUP_INIT })
/* clang-format on */

/* One command instead of an executor: `cay run`. Forked from pid 1 before that becomes cay-init. */
struct launch_command {
	char *const
		*argv; /* argv[0] without '/' is looked up in the PATH of envp, in the sandbox */
	char *const *envp;
	int stdio_fds[3];
	bool has_tty; /* a pty of the sandbox's own devpts instead of stdio_fds */
	uint16_t rows, columns;
};

/*
 * Whose the box will be, if not the caller's: the caller is their child (a builder, crew.h). What
 * is started becomes their child as well and follows their end, not the caller's.
 */
struct launch_owner {
	int sock;    /* whose other end is the owner's: it hangs up with them */
	int life_fd; /* the end to read of a pipe that nobody but the owner can write to */
	/* pid 1 is there: while it is not told to go on, it ends by itself with the caller. */
	int (*born)(int sock, const struct box *box, struct error *err);
};

/*
 * Builds what the plan says and returns when pid 1 runs and, with a command, its execve succeeded;
 * the command starts in the spec's workdir. `owner` NULL: the caller. `lock` confines it (NULL: not
 * at all, for tests). On failure nothing is left. A command that could not be executed sets
 * *ret_is_command, if that is not NULL: NOT_FOUND, else it was found.
 */
int launch_start(const struct plan *plan, const struct lock *lock,
	const struct launch_command *command, const struct launch_owner *owner, struct box *ret,
	bool *ret_is_command, struct error *err);

/*
 * Starts cay-executor in all namespaces of the box but the pid namespace, as the agent's uid,
 * without capabilities; its children land in the pid namespace. control_fd becomes its descriptor
 * 3. It is told `--tasks-fds A,B,…` where its children have to enter cgroups themselves (v1),
 * `--lock-fd N` (sealed; without a lock: not), and then `extra` (NULL or NULL-terminated). The
 * caller keeps its own descriptors.
 */
int launch_executor(struct box *box, const struct lock *lock, int executor_fd, int control_fd,
	const struct launch_owner *owner, const char *const *extra, struct error *err);

int launch_freeze(struct box *box, bool is_frozen, struct error *err);
bool launch_is_frozen(const struct box *box); /* every process has come to rest */

struct launch_usage {
	int64_t memory_bytes, memory_peak_bytes, pids, cpu_us; /* -1: not known on this host */
	int64_t disk_bytes, disk_inodes;
	int64_t oom_kills;
};
void launch_usage(const struct box *box, struct launch_usage *ret);

/* SIGKILL to everything inside, the executor first; returns at once. */
void launch_kill(struct box *box);
/* Waits until the process of a box is gone, whosever child it is, and makes *pid 0. */
void launch_wait(pid_t *pid, int pidfd);
/*
 * Waits until all of it is gone (at once if the pidfds are readable), removes cgroups, gives the
 * slot back and resets *box. How many processes the memory limit killed goes to *ret_oom_kills, if
 * wanted.
 */
void launch_reap(struct box *box, int64_t *ret_oom_kills);

/*
 * Removes what owners that were killed left behind: cgroups in a record that nobody holds, copies
 * of /etc that are out of date. Calls `found` for each, before it is removed; with is_dry_run
 * nothing is.
 */
int launch_sweep(const struct host *host, bool is_dry_run,
	void (*found)(void *ctx, const char *what), void *ctx, struct error *err);
/*
 * The same, and for some seconds again what somebody has at the moment: whoever looks for a slot,
 * or is about to end. For who may wait.
 */
void launch_sweep_patiently(const struct host *host);

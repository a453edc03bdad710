/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock: everything a process takes off itself before it runs somebody else's program: descriptors,
 * rlimits, ids, capabilities, the chance of new privileges, paths (Landlock), system calls
 *(seccomp).
 *
 * A lock is plain data of fixed size, made once per sandbox from its spec, and handed on in a
 *sealed memfd. It is put on in one of two ways.
 *
 * At once, by a child right before exec (`cay run`):
 *
 *	struct lock lock;
 *	if (lock_make(&spec, &lock, err) < 0)
 *		return -1;
 *	...in the child, with every capability of its user namespace...
 *	lock_keep(&lock, error_fd);
 *	if (lock_apply(&lock, err) < 0)
 *		...
 *	execve(...);
 *
 * In two steps, where one process (the executor) starts many:
 *
 *	lock_drop(&lock, err)      by the supervisor's child before it execs the executor: ids,
 *capabilities lock_open(fd, &lock, err)  by the executor, when it starts lock_enter(&lock, err) by
 *the executor, once it has opened what it needs: no new privileges, Landlock and the bulk of
 *seccomp, for itself and all it will start lock_apply(&lock, err)     by each child right before
 *exec: the rest
 *
 * The second way costs a child a few microseconds in place of hundreds, and puts all children of an
 * executor into ONE Landlock domain: apart from each other they could not signal one another, and
 * `kill` in one session of a server started in another would fail.
 *
 * lock_keep, lock_enter, lock_drop and lock_apply are async-signal-safe: no allocation, no locks,
 *no stdio; what they fail with is an errno and a sentence.
 */
#pragma once

#include "sandbox/spec.h"

enum { LOCK_VERSION = 3, LOCK_KEEP_MAX = 16, LOCK_RLIMITS_MAX = 12 };

/* What is still to be put on, one bit each; in this order. */
enum lock_part {
	LOCK_FDS, /* close everything but 0, 1, 2 and what lock_keep named */
	LOCK_RLIMITS,
	LOCK_GROUPS, /* no supplementary groups; not where the user namespace denies setgroups */
	LOCK_IDS,
	LOCK_CAPS, /* all five sets, securebits */
	LOCK_NNP,  /* no_new_privs, read back */
	LOCK_LANDLOCK,
	LOCK_SECCOMP,       /* the whole list */
	LOCK_SECCOMP_CHILD, /* what the executor needs and its children must not have, after
			       lock_enter */
	LOCK_PARTS,
};

struct lock_rlimit {
	int32_t resource;
	uint32_t unused;     /* zero */
	uint64_t soft, hard; /* UINT64_MAX: no limit */
};

struct lock {
	uint32_t version;
	uint32_t parts;        /* 1 << enum lock_part */
	uint32_t user;         /* enum user_mode */
	uint32_t uid, gid;     /* as the sandbox sees them */
	uint32_t makes_set_id; /* 1: it may make set-uid files */
	/* 1: the character device 0:0, where the system call filter lets it */
	uint32_t makes_marks;
	uint32_t landlock_abi; /* 0: the kernel has none */
	int32_t layer_fd; /* before lock_enter: a directory without a path, which stays readable; -1 */
	uint32_t n_keep;
	int32_t keep[LOCK_KEEP_MAX];
	uint32_t n_rlimits;
	struct lock_rlimit rlimits[LOCK_RLIMITS_MAX];
};

/* Looks at the kernel for what it can; fails if spec->required names what it cannot. */
int lock_make(const struct spec *spec, struct lock *ret_lock, struct error *err);
/* The controls that applying this lock puts in force: 1 << CONTROL_x. */
uint64_t lock_controls(const struct lock *lock);

/* A sealed memfd, CLOEXEC, that holds the lock; nobody can change it any more. */
int lock_seal(const struct lock *lock, int *ret_fd, struct error *err);
/* Reads and checks it: a lock that is not sealed is refused. The descriptor stays the caller's. */
int lock_open(int fd, struct lock *ret_lock, struct error *err);

/* One more descriptor that survives. Give it before lock_apply; CLOEXEC ones vanish at exec as
 * ever. */
void lock_keep(struct lock *lock, int fd);

int lock_drop(const struct lock *lock, struct error *err);
/* Takes from lock->parts what children inherit and need not do again. */
int lock_enter(struct lock *lock, struct error *err);
int lock_apply(const struct lock *lock, struct error *err);

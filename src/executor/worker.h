/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: a forked child that does for one call what would take the executor too long, or what it
 * must not do itself (reading an archive). The child is in the agent's cgroup, holds no descriptor
 * but its two pipes and the sandbox's root, and can do nothing but work on files (worker_lock.c).
 *
 *	static int search(void *arg, struct worker_io *io, struct buf *result, struct error *err)
 *	{
 *		... in the child; *arg is a copy ...
 *	}
 *	call->state = worker_new(&files->jobs, call, search, arg);
 *
 * What the child sends goes to the call: data, events, at the end its result or error, which end
 * the call. A dropped call leaves nothing running: its worker is killed, or, if it was being fed,
 * sees its input end too early and has WORKER_GRACE_MS to remove what is half done. WORKERS_MAX run
 * at once, others wait.
 */
#pragma once

#include "executor/call.h"
#include "executor/path.h"
#include "executor/spawn.h"

enum {
	WORKERS_MAX = 8,
	WORKERS_WAITING_MAX = 256,
	WORKER_INPUT_HIGH = 512 * 1024,
	WORKER_GRACE_MS = 2000, /* for one whose input broke off to clean up */
};

struct workers {
	struct loop *loop;
	const struct path_root *root;
	const struct confine *confine;
	struct list running; /* worker::link */
	struct list waiting;
	int n_running, n_waiting;
	struct timer *look;
};

void workers_init(struct workers *w, struct loop *loop, const struct path_root *root,
	const struct confine *confine);
void workers_fini(struct workers *all); /* every call must be gone */

/* The child's side. All of it blocks. */
struct worker_io {
	const struct path_root *root;
	int in_fd, out_fd;
	int stream_fd; /* that came with the call (executor/call.h); -1: none */
};
/* -1 if the executor is gone. */
int worker_send(struct worker_io *io, enum frame_kind kind, struct str payload);

/* 0 with the result, a JSON object, or -1 with *err. */
typedef int worker_fn(void *arg, struct worker_io *io, struct buf *result, struct error *err);

struct worker;

/* Starts, or waits for its turn. NULL with *err if too many wait already or none can be made. */
struct worker *worker_new(struct workers *all, struct call *call, worker_fn *fn, void *arg,
	struct error *err);
/*
 * The same of a child that writes to a file: a copy of fd is its stream_fd. When it has done so,
 * `then` ends the call, before it returns, and not the child's result.
 */
struct worker *worker_new_writer(struct workers *all, struct call *call, worker_fn *fn, void *arg,
	int fd, void (*then)(struct call *call), struct error *err);
void worker_free(struct worker *w); /* with its call; see above */
/* The call's channel takes more again. */
void worker_drain(struct worker *w);
/* Feeds the child's in_fd; pauses the call's channel while the child is slower. */
void worker_input(struct worker *w, struct str bytes);
void worker_input_eof(struct worker *w);
/* The same as verb functions, where call->state is the worker. */
void worker_on_drain(struct call *call);
void worker_on_drop(struct call *call);

/*
 * For who keeps a child of his own: a fork in the agent's cgroup, and what each child does first:
 * it leaves all descriptors but 0 to 2 and those to keep, dies with the executor, and locks itself
 * (worker_lock.h).
 */
int worker_fork(const struct confine *confine, int *ret_pidfd);
int worker_enter(const struct confine *confine, const char *name, const int *keep, int n,
	int cpu_seconds, struct error *err);

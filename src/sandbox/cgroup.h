/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: the groups of one sandbox, behind one struct of functions for v1, v2 and no cgroups at
 * all.
 *
 * Nobody ever writes another process's id into a group: that waits for an RCU grace period (7 ms).
 * A process is born into its group (v2: CLONE_INTO_CGROUP) or writes "0" into `tasks` itself (v1:
 * 20 µs).
 *
 * Groups do not vanish with the processes in them. So their paths are first written into the record
 * of who owns them (idmap.c: the file of the slot), from which anybody who gets the lock can remove
 * them.
 *
 * Who keeps a sandbox (the executor, pasta, the boundary) is not in its groups, which the agent
 * could fill. Where the sandbox has a limit on the cpu, its keepers have the same in a group of
 * their own (decision 45): what they do is what the agent makes them do.
 */
#pragma once

#include "sandbox/host.h"

struct launch_usage;

struct cgroup {
	const struct cgroup_driver *driver;
	/* v1: one per part; v2: the first; and the keeper's, if it has one */
	int dir_fds[PART_COUNT];
	int tasks_fds[PART_COUNT]; /* for who enters */
};

struct cgroup_driver {
	const char *word; /* "v1" */
	/* Opens what enter and limit need; the group is there already. */
	int (*open)(struct cgroup *c, enum cgroup_part part, struct error *err);
	int (*limit)(const struct cgroup *c, enum cgroup_part part, const char *file,
		const char *value, struct error *err);
	int (*enter)(const struct cgroup *c, struct error *err); /* by the process itself */
	int (*freeze)(const struct cgroup *c, bool is_frozen, struct error *err);
	/* Every process is at rest: that takes a moment. NULL: it cannot be told. */
	bool (*is_frozen)(const struct cgroup *c);
	void (*kill)(
		const struct cgroup *c); /* everything in it, if the kernel does that at once */
	void (*usage)(const struct cgroup *c, struct launch_usage *ret); /* fills what it knows */
	/* To read how often this part's limit was hit (-1: unknown); the format is the kernel's. */
	int (*open_counter)(const struct cgroup *c, enum cgroup_part part);
	bool is_born_into; /* pid 1, by clone3 with dir_fds[0] */
	const char *door;  /* the file that who enters writes into */
};

extern const struct cgroup_driver cgroup_none, cgroup_v1, cgroup_v2;

#define CGROUP_INIT                                    \
	((struct cgroup){ .driver = &cgroup_none,      \
		.dir_fds = { -1, -1, -1, -1, -1, -1 }, \
		.tasks_fds = { -1, -1, -1, -1, -1, -1 } })

const struct cgroup_driver *cgroup_driver(enum cgroup_kind kind);
/* By a keeper itself, with the rights of the owner; nothing where there is no group for it. */
int cgroup_enter_keeper(const struct cgroup *c, struct error *err);
void cgroup_close(struct cgroup *c);
/* Once all who enter have: an owner of thousands has few descriptors to spare. */
void cgroup_close_doors(struct cgroup *c);

/*
 * Removes every group that the record names, with what may still run in it, and empties the record.
 * `found`, if not NULL, is called with each that is there; with is_dry_run nothing is removed.
 */
struct cgroup_remove {
	bool is_dry_run;
	void (*found)(void *ctx, const char *what);
	void *ctx;
};
int cgroup_remove_recorded(int record_fd, const struct cgroup_remove *how);

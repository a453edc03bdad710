/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host: what this machine offers the builder of sandboxes, as plain facts.
 *
 * host_init only looks (a few files, no throw-away children; it makes run_dir), because every `cay
 * run` pays for it. What a kernel really grants is found out by doing it: every step of a plan is
 * fatal, and probe.h tries the controls in a child for `cay doctor`. A struct host made by hand
 * gives a plan without a host: that is how plans are golden-tested.
 */
#pragma once

#include "base/error.h"
#include "sandbox/spec.h"

enum { HOST_PATH_SIZE = 256, HOST_LINKS_MAX = 8 };

/* uid 0: one range of 65,536 ids per sandbox, from a part of the id space that no user has. */
enum { UID_BASE = 0x30000000, UID_RANGE = SPEC_UIDS, UID_SLOTS = 8192 };
enum { AGENT_UID = 1000 }; /* and gid, in the sandbox */

enum cgroup_kind { CGROUP_NONE = 0, CGROUP_V1, CGROUP_V2 };

/* The v1 hierarchies that are of use; on v2 they are controllers of the one hierarchy. */
enum cgroup_part {
	PART_MEMORY = 0,
	PART_PIDS,
	PART_CPU,
	PART_CPUACCT,
	PART_FREEZER,
	PART_MAX,
	PART_KEEPER = PART_MAX, /* no hierarchy: a second group, beside that of the cpu or of all */
	PART_COUNT,
};

struct host_cgroup {
	/* enum cgroup_kind; NONE: not ours to use (an ordinary user, a read-only mount) */
	uint32_t kind;
	/*
	 * Directories in which a group "cay" may be made: v1 one per part ("" if absent), v2 the
	 * first.
	 */
	char dirs[PART_MAX][HOST_PATH_SIZE];
	uint32_t parts;      /* 1 << PART_x for each that can be had */
	bool has_swap_limit; /* v1: memory.memsw.limit_in_bytes exists */
	bool has_tcp_limit;  /* v1: memory.kmem.tcp.limit_in_bytes exists */
};

struct host_link {
	char name[16];   /* "bin", directly beneath / */
	char target[64]; /* "usr/bin" */
};

/* Ids of the host for agents, one for each slot. */
struct host_subids {
	uint32_t uid, gid; /* the first ones */
	uint32_t count;    /* 0: there are none */
};

struct host {
	uint32_t uid, gid; /* who runs us */
	bool is_root; /* uid 0 with what it takes to map ranges of ids, to idmap and to make cgroups */
	struct host_subids subids; /* of who is not root: not looked for by host_init (subids.h) */
	bool has_opt;              /* /opt is there and holds something */
	bool has_dpkg;             /* so is /var/lib/dpkg: what packages there are */
	bool has_time_ns;
	/* What the kernel lets who runs us have in all, sandboxes included; 0: not known. */
	uint32_t inotify_instances, inotify_watches;
	uint32_t n_links;
	struct host_link links[HOST_LINKS_MAX]; /* /bin, /lib64, …: links into /usr */
	struct host_cgroup cgroup;
	/*
	 * Row i of mask.def is here and anyone may open it: 1 << i a file, 1 << (32 + i) a
	 * directory.
	 */
	uint64_t masks;
	/* Ours alone: locks and records of running sandboxes, and what can be made again. */
	char run_dir[HOST_PATH_SIZE];
};

#define HOST_CGROUPS "/sys/fs/cgroup"
#define HOST_KEEPERS "/cay-supervisor" /* below what was handed to us: our own group */

int host_init(struct host *ret, struct error *err);

/* The directory of the group that we are in, where v2 is the only hierarchy. */
bool host_own_v2(char ret[HOST_PATH_SIZE]);
/* A service manager has handed it on, and says so there. */
bool host_is_delegated(const char *dir);

const char *host_mask(unsigned i);            /* name beneath /proc; NULL at the end */
const char *host_part(enum cgroup_part part); /* "memory" */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step: what the steps of a plan do, and what they share while a plan is walked.
 *
 * Two directories matter inside. The WORK area is a tmpfs with the size that the sandbox may write;
 * its paths ("root/tmp", "upper/usr") are all our own making. The ROOT is the mount that becomes
 * "/"; with an image that we did not make, any path in it may hold hostile links, so a path in the
 * root is only ever resolved by the kernel as if the root were "/" already (openat2,
 * RESOLVE_IN_ROOT).
 */
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/plan.h"

#include <sys/types.h>

enum {
	STEP_RECURSIVE = 1, /* trees: with what is mounted below */
	STEP_READ_ONLY = 2,
	STEP_IS_DIR = 4,  /* masks */
	STEP_IN_ROOT = 8, /* dirs: the path is one in the root, and may be there already */
	STEP_LAYERED =
		16, /* overlay: what the layers of the spec have in `source` lies above the tree */
	STEP_ON_WORK = 32, /* root: the work area's "root" lies below all trees */
	STEP_ASKED = 64,   /* trees: a path that somebody asked for (hostpath.h), for an image */
	STEP_STAGED = 128, /* the same: for a layer to be */
	STEP_LENT = 256,   /* the same: for whatever the sandbox likes */
};

enum { BUILD_OWNERS_MAX = 4 }; /* of layers, whose namespaces are kept for the next one */

/* Grows as the steps go. The owner's copy and that of pid 1 part when pid 1 is cloned. */
struct build {
	const struct plan *plan;
	uint32_t uid_base; /* host id of the sandbox's uid 0, or of its only id */
	uint32_t slot;
	int slot_fd;
	int etc_fd; /* the lock on the copy of /etc */
	struct cgroup cgroup;
	char etc_path[HOST_PATH_SIZE + 64];
	int tree_fds[PLAN_TREES_MAX];
	uint32_t tree_owners[PLAN_TREES_MAX]; /* host uid of the tree's root */
	uint32_t tree_groups[PLAN_TREES_MAX];
	bool is_tree_dir[PLAN_TREES_MAX];
	/* they map the owner of an image's layers to these ids; -1: not made yet */
	int image_userns[BUILD_OWNERS_MAX];
	uint32_t image_uids[BUILD_OWNERS_MAX];
	pid_t init_pid;
	int work_fd, root_fd, proc_fd, dev_fd;
	int layer_fd; /* the work area, for who may take the upper layers; -1: nobody */
	int net_fd;   /* the namespace, where it is made */
	pid_t second_pid;
	int second_pidfd, second_sock;
};

void build_init(struct build *b, const struct plan *plan);
void build_fini(
	struct build *b); /* closes descriptors; the slot and the cgroups are the caller's */

/* Walks the steps of one stage; the first that fails ends it and is named in the error. */
int build_walk(struct build *b, enum step_stage stage, struct error *err);

const char *step_word(enum step_kind kind);
enum step_stage step_stage(enum step_kind kind);

#define STEP(name, word, stage, function) \
	int function(struct build *b, const struct step *s, struct error *err);
#include "sandbox/step.def"
#undef STEP

/*
 * What the members mean (others are zero, tree -1):
 *
 * idmap_slot       takes a free range of ids and the lock on it
 * cgroup_make      tree: enum cgroup_part; source: the host's directory; path: the group beneath it
 * cgroup_limit     tree: enum cgroup_part; path: the file; data: what is written
 * etc_find         finds or makes the curated copy of /etc
 * mounts_tree      tree: its number; source: a host path, NULL: the curated /etc; flags; data: the idmap
 * idmap_map        data: "range"; or uid: the agent's, with "single": the only id inside, or "pair": 0 as well
 * idmap_tree       tree; data: "range": ids as on the host; "owner", "image": who owns it there is `uid` inside
 * net_hostname     data
 * net_make         data: "loopback": with lo up; "proxy": and every address its own; "bridge", "pasta":
 *                  what leads out is attached when it is built (uplink.h)
 * net_join         waits for the second process to have made it
 * mounts_work      data: options of tmpfs
 * files_dir        path; mode: permissions; uid: owner inside, gid alike; flags
 * files_link       path; data: what it points to
 * files_write      path; data: content; mode
 * mounts_root      tree, count: lower layers of an overlay, the lowest first, or -1: the work area's "root";
 *                  source: name of the layers
 * mounts_layer     keeps hold of the work area, for who takes the upper layers
 * mounts_overlay   tree: lower; path: target in the root; source: name of the layers
 * mounts_bind      tree; path: target in the root
 * files_replace    path: a file of the root; data: content. What was there is unlinked, not followed
 * dev_open         makes /dev, which the next ones fill
 * dev_device       source: the host's; path: name beneath /dev
 * dev_pts          path: target in the root; data: options
 * proc_mask        path: beneath /proc; flags
 * proc_sysctl      path: beneath /proc/sys, with dots; data: the value
 * proc_lock        read-only from here on
 * mounts_pivot     the root becomes "/", the host's tree is let go
 */

/*
 * Targets in the root: a descriptor (O_PATH) of what is there, made with its parents if it is not.
 * The owner is an id inside; it and the mode are given only to what is made.
 */
int files_target_dir(const struct build *b, const char *path, uint32_t mode, uint32_t uid,
	int *ret_fd, struct error *err);
int files_target_file(const struct build *b, const char *path, int *ret_fd, struct error *err);

/* v2: makes the group "cay" in dir and lets it have the controllers. */
int cgroup_v2_hand_on(const char *dir, uint32_t parts, struct error *err);

/*
 * A new file system, not mounted anywhere yet. options: "name=value,name", attributes:
 * MOUNT_ATTR_*.
 */
int mounts_make(const char *type, const char *options, unsigned attributes, int *ret_fd,
	struct error *err);
/* Hangs a tree that hangs nowhere yet onto what target_fd stands for. */
int mounts_attach(int tree_fd, int target_fd, struct error *err);

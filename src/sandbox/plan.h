/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: everything that will be done to build a sandbox, as data.
 *
 * plan_make turns a checked spec and the facts of a host into a list of typed steps; it touches
 * nothing. A plan can be printed (`cay run --dry-run`, the golden tests) and is then walked by
 * launch_start: some steps by the owner before pid 1 exists, some by the owner for pid 1, most by
 * pid 1 itself. Every step is fatal. Nothing is left out in silence: what a host cannot give and
 * the spec asks for is refused here, before anything was done; what merely defaults is absent from
 * `enforced`.
 *
 *	struct plan plan;
 *	if (plan_make(&spec, &host, 0, &plan, err) < 0)
 *		return error_wrap(err, "plan");
 *	...
 *	plan_fini(&plan);
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "sandbox/hostpath.h"
#include "sandbox/spec.h"

enum { PLAN_STEPS_MAX = 384, PLAN_TREES_MAX = 96 };

/* Who walks a step: in this order, and within each in the order of the list. */
enum step_stage {
	STAGE_OWNER,  /* the owner, before pid 1 exists */
	STAGE_ATTACH, /* the owner, once pid 1 exists: id maps, idmapped trees */
	STAGE_EARLY,  /* pid 1, at the same time: what needs no id */
	STAGE_SECOND, /* the second process, while pid 1 builds (second.h) */
	STAGE_BESIDE, /* the owner, while pid 1 builds: what is needed only when it has built */
	STAGE_INSIDE, /* pid 1, with all capabilities over its own namespaces and none beyond */
	STAGE_LAST,   /* pid 1, after the owner has done what it does beside */
};

enum step_kind {
#define STEP(name, word, stage, function) STEP_##name,
#include "sandbox/step.def"
#undef STEP
	STEP_MAX,
};

struct step {
	enum step_kind kind;
	enum step_stage stage; /* that of its kind, unless the plan has reason for a later one */
	uint32_t flags; /* STEP_* of step.h, which says what the members mean for each kind */
	uint32_t mode;
	uint32_t uid;
	int32_t tree;   /* -1: none */
	uint32_t count; /* of trees, from `tree` on; 0: one */
	const char *path;
	const char *source;
	const char *data;
};

enum plan_ids {
	IDS_SINGLE, /* the only id inside is the agent's, and the user's on the host */
	IDS_PAIR,   /* 0 is the user's, the agent's is of the slot (subids.h) */
	IDS_RANGE,  /* all are of the slot */
};

enum {
	/* An executor keeps it; its owner will freeze it and ask for its cpu time. */
	PLAN_IS_KEPT = 1,
};

struct plan {
	struct arena arena;  /* every string of the steps */
	uint64_t namespaces; /* CLONE_NEW* */
	uint32_t parts;      /* 1 << PART_x: cgroups to be made */
	enum plan_ids ids;
	uint32_t n_trees;
	uint32_t n_steps;
	int32_t layers_tree; /* the first of the spec's layers, where it has any */
	struct spec spec;    /* defaults filled in; no mount behind the last */
	struct host host;
	const struct hostpaths *paths; /* where what was asked for may lie; NULL: anywhere */
	struct step steps[PLAN_STEPS_MAX];
	struct enforced enforced; /* without what the lock adds (lock.h) */
};

int plan_make(const struct spec *spec, const struct host *host, int flags, struct plan *ret,
	struct error *err);
void plan_fini(struct plan *plan);

/* One step per line, for people and for golden files. */
void plan_print(const struct plan *plan, struct buf *b);

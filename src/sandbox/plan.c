/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a plan comes about: one function per subject appends its steps, in the order of plan_make's
 * last lines. Nothing here looks at the machine: what a step finds when it is done is its own
 * business, what is known before is in struct host. The functions for the root file system are in
 * rootfs.c.
 */
#include "sandbox/plan.h"

#include "base/auto.h"
#include "base/bug.h"
#include "sandbox/probe.h"
#include "sandbox/rootfs.h"
#include "sandbox/step.h"

#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define BIT(control) (UINT64_C(1) << CONTROL_##control)

static const struct spec_limits standard_limits = {
	.memory_bytes = 1 << 30,
	.pids = 512,
	.cpu_milli = SPEC_UNLIMITED,
	.disk_bytes = 1 << 30,
	.disk_inodes = 262144,
};

/* Quotas of the user namespace: no namespace of its own for anybody inside. */
static const struct {
	const char *name, *value;
} sysctls[] = {
	{ "user.max_user_namespaces", "0" },
	{ "user.max_mnt_namespaces", "0" },
	{ "user.max_pid_namespaces", "0" },
	{ "user.max_net_namespaces", "0" },
	{ "user.max_ipc_namespaces", "0" },
	{ "user.max_uts_namespaces", "0" },
	{ "user.max_cgroup_namespaces",
		"2" }, /* those of pid 1 and of its second come after this */
	{ "user.max_time_namespaces", "0" },
	{ "user.max_fanotify_groups", "0" },
	{ "user.max_fanotify_marks", "0" },
};

struct step *plan_add(struct plan *plan, enum step_kind kind)
{
	BUG_IF(plan->n_steps == PLAN_STEPS_MAX, "a plan has more steps than there is room for");
	struct step *s = &plan->steps[plan->n_steps++];
	*s = (struct step){ .kind = kind, .stage = step_stage(kind), .tree = -1 };
	return s;
}

const char *plan_text(struct plan *plan, const char *fmt, ...)
{
	char text[2 * SPEC_PATH_SIZE];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	BUG_IF(n < 0 || (size_t)n >= sizeof(text), "a text of a plan is cut off");
	return arena_str(&plan->arena, str_from_len(text, (size_t)n));
}

uint32_t plan_agent(const struct plan *plan)
{
	return plan->spec.user == USER_ROOT ? 0 : AGENT_UID;
}

/* Whose, inside, is what is the caller's on the host. */
static uint32_t plan_owner(const struct plan *plan)
{
	const struct spec *spec = &plan->spec;
	return spec->user == USER_ROOT && spec->owner_uid ? spec->owner_uid : plan_agent(plan);
}

int32_t plan_add_tree(struct plan *plan, const char *source, const char *idmap, uint32_t flags)
{
	BUG_IF(plan->n_trees == PLAN_TREES_MAX, "a plan has more trees than there is room for");
	struct step *s = plan_add(plan, plan->host.is_root ? STEP_TREE : STEP_OWN_TREE);
	s->source = source ? plan_text(plan, "%s", source) : NULL;
	s->flags = flags;
	s->tree = (int32_t)plan->n_trees++;
	if (!plan->host.is_root || !idmap)
		return s->tree;
	/* Only who is root on the host may idmap, and only once the id maps are written. */
	struct step *map = plan_add(plan, STEP_IDMAP);
	map->tree = s->tree;
	map->data = idmap;
	map->flags = flags;
	map->uid = !strcmp(idmap, "owner") ? plan_owner(plan)
					   : 0; /* "image": whoever adds it says */
	return s->tree;
}

static void fill_limit(int64_t *limit, int64_t standard)
{
	if (*limit == 0)
		*limit = standard;
}

static void fill_spec(struct spec *spec)
{
	const struct spec_limits *d = &standard_limits;
	fill_limit(&spec->limits.memory_bytes, d->memory_bytes);
	fill_limit(&spec->limits.pids, d->pids);
	fill_limit(&spec->limits.cpu_milli, d->cpu_milli);
	fill_limit(&spec->limits.disk_bytes, d->disk_bytes);
	fill_limit(&spec->limits.disk_inodes, d->disk_inodes);
	if (!spec->hostname[0])
		snprintf(spec->hostname, sizeof(spec->hostname), "cay");
	if (!spec->workdir[0])
		snprintf(spec->workdir, sizeof(spec->workdir), "/workspace");
}

static void add_namespaces(struct plan *plan)
{
	plan->namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC |
		CLONE_NEWUTS | CLONE_NEWCGROUP;
	plan->enforced.controls |= BIT(USER_NS) | BIT(MOUNT_NS) | BIT(PID_NS) | BIT(IPC_NS) |
		BIT(UTS_NS) | BIT(CGROUP_NS) | BIT(OVERLAY) | BIT(PROC_READ_ONLY);
	if (plan->spec.network != NETWORK_HOST) {
		plan->namespaces |= CLONE_NEWNET;
		plan->enforced.controls |= BIT(NET_NS);
	}
	if (plan->host.has_time_ns) {
		plan->namespaces |= CLONE_NEWTIME;
		plan->enforced.controls |= BIT(TIME_NS);
	}
/*
 * A build for the escape tests leaves some out, to see its probes succeed. See
 * src/main/meson.build.
 */
#ifdef WEAKEN_NAMESPACES
	plan->namespaces &= ~(uint64_t)(WEAKEN_NAMESPACES);
#endif
}

/*
 * Files of a mount or of an image are the user's on the host and must be the agent's inside; who is
 * not root cannot show them as another's. And an agent that is root inside is to change the copy of
 * /etc, which is the user's.
 */
static enum plan_ids choose_ids(const struct plan *plan)
{
	if (plan->host.is_root)
		return IDS_RANGE;
	const struct spec *spec = &plan->spec;
	bool has_users_files = spec->n_mounts > 0 || spec->image != IMAGE_HOST ||
		spec->n_layers > 0 || spec->user == USER_ROOT;
	return plan->host.subids.count && !has_users_files ? IDS_PAIR : IDS_SINGLE;
}

static void add_ids(struct plan *plan)
{
	static const char *const words[] = {
		[IDS_SINGLE] = "single",
		[IDS_PAIR] = "pair",
		[IDS_RANGE] = "range",
	};
	uint32_t agent = plan_agent(plan);
	plan->ids = choose_ids(plan);
	if (plan->ids != IDS_SINGLE || plan->parts)
		plan_add(plan, STEP_SLOT);
	struct step *s = plan_add(plan, STEP_MAP);
	s->data = words[plan->ids];
	s->uid = plan->ids == IDS_RANGE ? 0 : agent;
	plan->enforced.uid = plan->host.is_root ? agent
						: plan->host.uid; /* launch adds the slot's */
	plan->enforced.gid = plan->host.is_root ? agent : plan->host.gid;
	if (plan->ids != IDS_SINGLE)
		plan->enforced.controls |= BIT(OWN_UID);
	if (plan->ids == IDS_RANGE)
		plan->enforced.controls |= BIT(UID_RANGE);
}

static bool has_part(const struct plan *plan, enum cgroup_part part)
{
	return plan->host.cgroup.parts & 1U << part;
}

static int refuse(const struct plan *plan, const char *what, enum control c, struct error *err)
{
	return error_set(err, ERROR_UNSUPPORTED, "%s%s and cannot be had here; to have it: %s",
		control_name(c), what, probe_remedy(&plan->host, c));
}

/* A limit that was asked for must be had; one that merely defaults is reported as it is. */
static int choose_parts(struct plan *plan, const struct spec_limits *asked, int flags,
	struct error *err)
{
	struct spec_limits *in_force = &plan->spec.limits;
	struct {
		enum cgroup_part part;
		enum control control;
		int64_t asked, *in_force;
	} rows[] = {
		{ PART_MEMORY, CONTROL_MEMORY, asked->memory_bytes, &in_force->memory_bytes },
		{ PART_PIDS, CONTROL_PIDS, asked->pids, &in_force->pids },
		{ PART_CPU, CONTROL_CPU, asked->cpu_milli, &in_force->cpu_milli },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (*rows[i].in_force == SPEC_UNLIMITED)
			continue;
		if (has_part(plan, rows[i].part)) {
			plan->parts |= 1U << rows[i].part;
			plan->enforced.controls |= UINT64_C(1) << rows[i].control;
		} else if (rows[i].part == PART_PIDS) {
			continue; /* RLIMIT_NPROC counts per user namespace: rlimits.c */
		} else if (rows[i].asked > 0) {
			return refuse(plan, " limit was asked for", rows[i].control, err);
		} else {
			*rows[i].in_force = SPEC_UNLIMITED;
		}
	}
	if (flags & PLAN_IS_KEPT)
		plan->parts |= plan->host.cgroup.parts &
			(1U << PART_CPUACCT | 1U << PART_FREEZER | 1U << PART_MEMORY |
				1U << PART_PIDS);
	if ((flags & PLAN_IS_KEPT) && (plan->parts & 1U << PART_CPU))
		plan->parts |= 1U << PART_KEEPER;
	if (plan->spec.limits.disk_bytes != SPEC_UNLIMITED)
		plan->enforced.controls |= BIT(DISK);
	return 0;
}

static void add_limit(struct plan *plan, enum cgroup_part part, const char *file, const char *value)
{
	struct step *s = plan_add(plan, STEP_LIMIT);
	s->tree = part;
	s->path = file;
	s->data = value;
}

/*
 * What TCP and UDP hold is counted by v1 only where it has a limit of its own, and not into the
 * other: a quarter on top. Without it a sandbox could fill what all of the host may have
 * (net.ipv4.tcp_mem), by its loopback alone.
 */
static void add_v1_memory(struct plan *plan, int64_t limit_bytes)
{
	const char *bytes = plan_text(plan, "%lld", (long long)limit_bytes);
	add_limit(plan, PART_MEMORY, "memory.limit_in_bytes", bytes);
	if (plan->host.cgroup.has_swap_limit)
		add_limit(plan, PART_MEMORY, "memory.memsw.limit_in_bytes", bytes);
	if (plan->host.cgroup.has_tcp_limit)
		add_limit(plan, PART_MEMORY, "memory.kmem.tcp.limit_in_bytes",
			plan_text(plan, "%lld", (long long)limit_bytes / 4));
}

static void add_v1_limits(struct plan *plan)
{
	const struct spec_limits *l = &plan->spec.limits;
	if (l->memory_bytes != SPEC_UNLIMITED)
		add_v1_memory(plan, l->memory_bytes);
	if (l->pids != SPEC_UNLIMITED && has_part(plan, PART_PIDS))
		add_limit(plan, PART_PIDS, "pids.max", plan_text(plan, "%lld", (long long)l->pids));
	if (l->cpu_milli != SPEC_UNLIMITED)
		add_limit(plan, PART_CPU, "cpu.cfs_quota_us",
			plan_text(plan, "%lld", (long long)l->cpu_milli * 100));
}

static void add_v2_limits(struct plan *plan)
{
	const struct spec_limits *l = &plan->spec.limits;
	if (l->memory_bytes != SPEC_UNLIMITED) {
		add_limit(plan, PART_MEMORY, "memory.max",
			plan_text(plan, "%lld", (long long)l->memory_bytes));
		add_limit(plan, PART_MEMORY, "memory.swap.max", "0");
	}
	if (l->pids != SPEC_UNLIMITED && has_part(plan, PART_PIDS))
		add_limit(plan, PART_PIDS, "pids.max", plan_text(plan, "%lld", (long long)l->pids));
	if (l->cpu_milli != SPEC_UNLIMITED)
		add_limit(plan, PART_CPU, "cpu.max",
			plan_text(plan, "%lld 100000", (long long)l->cpu_milli * 100));
	add_limit(plan, PART_PIDS, "cgroup.max.descendants", "0");
}

static void add_group(struct plan *plan, unsigned part, unsigned dir)
{
	struct step *s = plan_add(plan, STEP_CGROUP);
	s->tree = (int32_t)part;
	s->source = plan_text(plan, "%s", plan->host.cgroup.dirs[dir]);
	s->path = plan_text(plan, "cay/%s%s", plan->spec.id, part == PART_KEEPER ? ".keeper" : "");
}

/* Less than this is too little to serve anybody. */
static const char *quota(struct plan *plan, int64_t cpu_milli)
{
	enum { KEEPER_MILLI_MIN = 100 };
	return plan_text(plan, "%lld", (long long)MAX(cpu_milli, KEEPER_MILLI_MIN) * 100);
}

static void add_keeper(struct plan *plan, bool is_v2)
{
	int64_t cpu_milli = plan->spec.limits.cpu_milli;
	if (!(plan->parts & 1U << PART_KEEPER))
		return;
	add_group(plan, PART_KEEPER, is_v2 ? 0 : PART_CPU);
	if (is_v2)
		add_limit(plan, PART_KEEPER, "cpu.max",
			plan_text(plan, "%s 100000", quota(plan, cpu_milli)));
	else
		add_limit(plan, PART_KEEPER, "cpu.cfs_quota_us", quota(plan, cpu_milli));
}

/*
 * Nobody is born into a v1 group, so those can be made while pid 1 builds, and are entered when it
 * has.
 */
static void add_cgroups(struct plan *plan)
{
	if (!plan->parts)
		return;
	bool is_v2 = plan->host.cgroup.kind == CGROUP_V2;
	uint32_t first = plan->n_steps;
	if (is_v2) {
		add_group(plan, 0, 0);
		add_v2_limits(plan);
		add_keeper(plan, true);
		return;
	}
	for (unsigned i = 0; i < PART_MAX; i++)
		if (plan->parts & 1U << i)
			add_group(plan, i, i);
	add_v1_limits(plan);
	add_keeper(plan, false);
	for (uint32_t i = first; i < plan->n_steps; i++)
		plan->steps[i].stage = STAGE_BESIDE;
}

static void add_network(struct plan *plan)
{
	if (!(plan->namespaces & CLONE_NEWUTS))
		return;
	struct step *s = plan_add(plan, STEP_HOSTNAME);
	s->data = plan->spec.hostname;
	if (plan->spec.network == NETWORK_HOST)
		return;
	s = plan_add(plan, STEP_NETWORK);
	s->data = plan->spec.network == NETWORK_LOOPBACK ? "loopback"
		: plan->spec.network == NETWORK_PROXY    ? "proxy"
		: plan->spec.network == NETWORK_BRIDGE   ? "bridge"
		: plan->spec.network == NETWORK_PASTA    ? "pasta"
							 : NULL;
}

static void add_sysctl(struct plan *plan, const char *name, const char *value)
{
	struct step *s = plan_add(plan, STEP_SYSCTL);
	s->path = name;
	s->data = value;
}

static void add_proc(struct plan *plan)
{
	plan_add(plan, STEP_PROC);
	for (unsigned i = 0; host_mask(i); i++) {
		bool is_file = plan->host.masks & UINT64_C(1) << i;
		bool is_dir = plan->host.masks & UINT64_C(1) << (32 + i);
		if (!is_file && !is_dir)
			continue;
		struct step *s = plan_add(plan, STEP_MASK);
		s->path = host_mask(i);
		s->flags = is_dir ? STEP_IS_DIR : 0;
	}
}

/* After the last mount: even a mount that hangs nowhere yet counts as a namespace. */
/*
 * Whatever of inotify's is in a sandbox the kernel counts for whoever runs us as well, root's own
 * services among them: none has more than an eighth of that, as far as programs can live with it.
 */
static void add_share(struct plan *plan, const char *name, uint32_t all, uint32_t least,
	uint32_t most)
{
	uint32_t share = all ? MIN(MAX(all / 8, least), most) : most;
	add_sysctl(plan, name, plan_text(plan, "%u", share));
}

static void add_sysctls(struct plan *plan)
{
	const struct host *h = &plan->host;
	if (plan->namespaces & CLONE_NEWNET)
		plan_add(plan, STEP_JOIN_NETWORK);
	for (size_t i = 0; i < ARRAY_LEN(sysctls); i++)
		add_sysctl(plan, sysctls[i].name, sysctls[i].value);
	add_share(plan, "user.max_inotify_instances", h->inotify_instances, 16, 128);
	add_share(plan, "user.max_inotify_watches", h->inotify_watches, 8192, 65536);
	if (plan->namespaces & CLONE_NEWNET) /* every port is the sandbox's own */
		add_sysctl(plan, "net.ipv4.ip_unprivileged_port_start", "0");
	plan_add(plan, STEP_PROC_LOCK);
}

static int check_network(const struct plan *plan, struct error *err)
{
	if (plan->spec.network == NETWORK_BRIDGE && !plan->host.is_root)
		return error_set(err, ERROR_UNSUPPORTED,
			"--network bridge needs root: sudo cay serve; without root there is --network pasta");
	if (plan->spec.network == NETWORK_PASTA && plan->host.is_root)
		return error_set(err, ERROR_UNSUPPORTED,
			"--network pasta is for who is not root; with root there is --network bridge");
	return 0;
}

static int check_required(const struct plan *plan, struct error *err)
{
	if ((plan->spec.required & BIT(OWN_UID)) && plan->ids == IDS_SINGLE &&
		plan->host.subids.count)
		return error_set(err, ERROR_UNSUPPORTED,
			"own-uid is required, and an agent that is root inside, or has mounts or an image, has its user's "
			"uid: leave these out, or sudo cay serve");
	/* What the lock adds is checked by lock_make. */
	const uint64_t locks = BIT(SECCOMP) | BIT(NO_NEW_PRIVS) | BIT(CAPS) | BIT(LANDLOCK) |
		BIT(RLIMITS);
	uint64_t missing = plan->spec.required & ~plan->enforced.controls & ~locks;
	for (unsigned i = 0; i < CONTROL_MAX; i++)
		if (missing & UINT64_C(1) << i)
			return refuse(plan, " is required", (enum control)i, err);
	return 0;
}

/*
 * Before pid 1 does these it waits for the owner's work beside, which is done by then: the groups,
 * which the second process needs early, and the idmaps of the spec's mounts, each with a user
 * namespace of its own.
 */
static void finish_last(struct plan *plan, uint32_t first)
{
	for (uint32_t i = first; i < plan->n_steps; i++) {
		struct step *s = &plan->steps[i];
		if (s->stage == STAGE_INSIDE)
			s->stage = STAGE_LAST;
		if (s->stage == STAGE_ATTACH)
			s->stage = STAGE_BESIDE;
	}
}

static int make(const struct spec *spec, const struct host *host, int flags, struct plan *ret,
	struct error *err)
{
	/* Neither cleared nor copied as a whole: most of both is room that is never touched. */
	memset(ret, 0, offsetof(struct plan, spec));
	ret->arena = ARENA_INIT(1 << 20);
	ret->enforced = (struct enforced){ 0 };
	if (spec_check(spec, err) < 0)
		return -1;
	memcpy(&ret->spec, spec,
		offsetof(struct spec, mounts) + spec->n_mounts * sizeof(spec->mounts[0]));
	ret->host = *host;
	fill_spec(&ret->spec);
	add_namespaces(ret);
	if (choose_parts(ret, &spec->limits, flags, err) < 0)
		return -1;
	add_ids(ret);
	if (check_network(ret, err) < 0 || check_required(ret, err) < 0)
		return -1;
	add_cgroups(ret);
	plan_add(ret, STEP_PRIVATE);
	add_network(ret);
	rootfs_add(ret);
	uint32_t first = ret->n_steps;
	rootfs_add_dev(ret);
	add_proc(ret);
	rootfs_add_mounts(ret);
	add_sysctls(ret);
	plan_add(ret, STEP_PIVOT);
	plan_add(ret, STEP_ENTER);
	finish_last(ret, first);
	ret->enforced.limits = ret->spec.limits;
	return 0;
}

int plan_make(const struct spec *spec, const struct host *host, int flags, struct plan *ret,
	struct error *err)
{
	int r = make(spec, host, flags, ret, err);
	if (r < 0)
		plan_fini(ret);
	return r;
}

void plan_fini(struct plan *plan)
{
	arena_fini(&plan->arena);
}

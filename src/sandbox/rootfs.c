/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of a sandbox hangs on one tmpfs, the work area, so that one size covers all that is
 * written:
 *
 *	root      becomes "/" (host image); of a directory image it is an overlay
 *	upper/N   what changes in overlay N; work/N belongs to overlayfs
 *	lower/N   where its lower layer hangs while it is made
 *	dev       becomes /dev
 *	empty     covers directories of /proc
 *
 * Host image: an allow list and never the host's "/". /usr and /opt come as overlays; /usr is shown
 * with the host's owners (idmapped), for there are no secrets in it; /opt is not, so that what only
 * the host's root may read there stays so. /etc is an overlay over a curated copy (etc.c), and
 * /var/lib/dpkg one for who may install packages. The names are neutral, so that mountinfo tells
 * nothing about the host.
 */
#include "sandbox/rootfs.h"

#include "base/auto.h"
#include "sandbox/fence.h"
#include "sandbox/step.h"

struct entry {
	const char *path;
	uint32_t mode;
	bool is_agents;
};

static const struct entry host_dirs[] = {
	{ "dev", 0755, false },
	{ "etc", 0755, false },
	{ "home", 0755, false },
	{ "home/agent", 0755, true },
	{ "media", 0755, false },
	{ "mnt", 0755, false },
	{ "opt", 0755, false },
	{ "proc", 0555, false },
	{ "root", 0700, false },
	{ "run", 0755, false },
	{ "run/lock", 01777, false },
	{ "srv", 0755, false },
	{ "sys", 0555, false },
	{ "tmp", 01777, false },
	{ "usr", 0755, false },
	{ "var", 0755, false },
	{ "var/cache", 0755, false },
	{ "var/lib", 0755, false },
	{ "var/log", 0755, false },
	{ "var/tmp", 01777, false },
};

/* What an image must have; there already or not. */
static const struct entry image_dirs[] = {
	{ "dev", 0755, false },
	{ "etc", 0755, false },
	{ "home/agent", 0755, true },
	{ "proc", 0555, false },
	{ "run", 0755, false },
	{ "tmp", 01777, false },
	{ "var/tmp", 01777, false },
};

static const char *const device_names[] = { "null", "zero", "full", "random", "urandom", "tty" };

static const struct {
	const char *name, *target;
} device_links[] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

static struct step *add_dir(struct plan *plan, const char *path, uint32_t mode)
{
	struct step *s = plan_add(plan, STEP_DIR);
	s->path = path;
	s->mode = mode;
	return s;
}

static void add_link(struct plan *plan, const char *path, const char *target)
{
	struct step *s = plan_add(plan, STEP_LINK);
	s->path = path;
	s->data = target;
}

static void add_file(struct plan *plan, enum step_kind kind, const char *path, const char *content)
{
	struct step *s = plan_add(plan, kind);
	s->path = path;
	s->mode = 0644;
	s->data = content;
}

static struct step *add_overlay(struct plan *plan, int32_t tree, const char *target,
	const char *name)
{
	struct step *s = plan_add(plan, STEP_OVERLAY);
	s->tree = tree;
	s->path = target;
	s->source = name;
	return s;
}

/* A directory of the host's, with what the layers have in its place above it. */
static void add_host_overlay(struct plan *plan, int32_t tree, const char *name)
{
	struct step *s = add_overlay(plan, tree, plan_text(plan, "/%s", name), name);
	s->flags = plan->spec.n_layers ? STEP_LAYERED : 0;
}

static void add_work(struct plan *plan)
{
	const struct spec_limits *l = &plan->spec.limits;
	struct step *s = plan_add(plan, STEP_WORK);
	/* tmpfs takes 0 for "no limit"; a few inodes are for what is made here. */
	s->data = plan_text(plan, "size=%lld,nr_inodes=%lld,mode=0755",
		l->disk_bytes == SPEC_UNLIMITED ? 0LL : (long long)l->disk_bytes,
		l->disk_inodes == SPEC_UNLIMITED ? 0LL : (long long)l->disk_inodes + 128);
	add_dir(plan, "root", 0755);
	add_dir(plan, "upper", 0755);
	add_dir(plan, "work", 0755);
	add_dir(plan, "lower", 0755);
	add_dir(plan, "empty", 0555);
}

static const char *resolvers(struct plan *plan)
{
	auto_buf struct buf b = BUF_INIT(4096);
	if (plan->spec.network == NETWORK_PROXY)
		return "nameserver 127.0.0.1\n";
	if (plan->spec.network != NETWORK_BRIDGE && plan->spec.network != NETWORK_PASTA)
		return "# this sandbox has no name server\n";
	fence_put_resolvers(&plan->spec.net, &b);
	return plan_text(plan, "%s", b.ptr);
}

static void add_names(struct plan *plan, enum step_kind kind, const char *dir)
{
	const char *name = plan->spec.hostname;
	add_file(plan, kind, plan_text(plan, "%s/hostname", dir), plan_text(plan, "%s\n", name));
	add_file(plan, kind, plan_text(plan, "%s/hosts", dir),
		plan_text(plan, "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost\n", name));
	if (plan->spec.network != NETWORK_HOST)
		add_file(plan, kind, plan_text(plan, "%s/resolv.conf", dir), resolvers(plan));
}

static void add_host_links(struct plan *plan)
{
	for (uint32_t i = 0; i < plan->host.n_links; i++) {
		const struct host_link *l = &plan->host.links[i];
		const char *path = plan_text(plan, "root/%s", l->name);
		if (l->target[0])
			add_link(plan, path, plan_text(plan, "%s", l->target));
		else
			add_dir(plan, path, 0755);
	}
	add_link(plan, "root/var/run", "/run");
	add_link(plan, "root/var/lock", "/run/lock");
}

/*
 * Root of a sandbox may install packages, and has to know for that which ones there are. It costs
 * an overlay, so nobody else has it; but what an image brings is told of what it lies upon. Only
 * where ids are mapped can it be root's.
 */
static bool has_packages(const struct plan *plan)
{
	return plan->host.has_dpkg && plan->host.is_root &&
		(plan->spec.user == USER_ROOT || plan->spec.n_layers);
}

/* Without the host's exceptions of who owns what: they name users that are not in its own /etc. */
static void add_packages(struct plan *plan)
{
	add_dir(plan, "upper/var", 0755);
	add_dir(plan, "upper/var/lib", 0755);
	add_dir(plan, "upper/var/lib/dpkg", 0755);
	add_file(plan, STEP_FILE, "upper/var/lib/dpkg/statoverride", "");
	add_host_overlay(plan, plan_add_tree(plan, "/var/lib/dpkg", "range", 0), "var/lib/dpkg");
}

static void add_host_layers(struct plan *plan)
{
	add_host_overlay(plan, plan_add_tree(plan, "/usr", "range", 0), "usr");
	for (uint32_t i = 0; i < plan->host.n_links; i++) {
		const struct host_link *l = &plan->host.links[i];
		if (l->target[0])
			continue;
		const char *path = plan_text(plan, "/%s", l->name);
		add_host_overlay(plan, plan_add_tree(plan, path, "range", 0), path + 1);
	}
	if (plan->host.has_opt)
		add_host_overlay(plan, plan_add_tree(plan, "/opt", NULL, 0), "opt");
	if (has_packages(plan))
		add_packages(plan);
	struct step *s = plan_add(plan, STEP_ETC);
	s->path = plan->host.run_dir;
	add_dir(plan, "upper/etc", 0755);
	add_names(plan, STEP_FILE, "upper/etc");
	add_host_overlay(plan, plan_add_tree(plan, NULL, "range", 0), "etc");
}

/* Its name says whose it is. */
static void add_layer(struct plan *plan, const char *name)
{
	uint32_t uid = 0;
	plan_add_tree(plan, plan_text(plan, "%s/%s", plan->spec.layers_path, name), "image",
		STEP_ASKED);
	struct step *s = &plan->steps[plan->n_steps - 1];
	if (s->kind == STEP_IDMAP && spec_layer_parse(name, &uid))
		s->uid = uid;
}

static void add_layers(struct plan *plan)
{
	const struct spec *spec = &plan->spec;
	plan->layers_tree = (int32_t)plan->n_trees;
	for (uint32_t i = 0; i < spec->n_layers; i++)
		add_layer(plan, spec->layers[i]);
}

static void add_host_dirs(struct plan *plan)
{
	for (size_t i = 0; i < ARRAY_LEN(host_dirs); i++) {
		const struct entry *e = &host_dirs[i];
		struct step *s = add_dir(plan, plan_text(plan, "root/%s", e->path), e->mode);
		s->uid = e->is_agents ? plan_agent(plan) : 0;
	}
	add_host_links(plan);
}

/*
 * The work area's own "root" is written in. Where it has layers, or what is written shall become
 * one, it is the lowest of an overlay instead, and has to be complete before.
 */
static void add_host_root(struct plan *plan)
{
	const struct spec *spec = &plan->spec;
	if (spec->n_layers == 0 && spec->keeps_layer != LAYER_OF_IMAGE) {
		plan_add(plan, STEP_ROOT);
		add_host_dirs(plan);
	} else {
		add_host_dirs(plan);
		add_layers(plan);
		struct step *root = plan_add(plan, STEP_ROOT);
		root->tree = plan->layers_tree;
		root->count = spec->n_layers;
		root->flags = STEP_ON_WORK;
		root->source = "root";
	}
	add_host_layers(plan);
}

/* A directory keeps its owners; layers are all of one's. */
static void add_image_root(struct plan *plan)
{
	bool is_dir = plan->spec.image == IMAGE_DIR;
	int32_t tree = is_dir ? plan_add_tree(plan, plan->spec.image_path, "range", STEP_ASKED)
			      : (int32_t)plan->n_trees;
	add_layers(plan);
	struct step *root = plan_add(plan, STEP_ROOT);
	root->tree = tree;
	root->count = plan->spec.n_layers + is_dir;
	root->path = "/";
	root->source = "root";
	for (size_t i = 0; i < ARRAY_LEN(image_dirs); i++) {
		const struct entry *e = &image_dirs[i];
		if (plan->spec.keeps_layer == LAYER_OF_IMAGE && e->is_agents)
			continue; /* nobody asked for it */
		struct step *s = add_dir(plan, plan_text(plan, "/%s", e->path), e->mode);
		s->flags = STEP_IN_ROOT;
		s->uid = e->is_agents ? plan_agent(plan) : 0;
	}
	add_names(plan, STEP_REPLACE, "/etc");
}

void rootfs_add_dev(struct plan *plan)
{
	add_dir(plan, "dev", 0755);
	add_dir(plan, "dev/pts", 0755);
	add_dir(plan, "dev/shm", 01777);
	for (size_t i = 0; i < ARRAY_LEN(device_links); i++)
		add_link(plan, plan_text(plan, "dev/%s", device_links[i].name),
			device_links[i].target);
	plan_add(plan, STEP_DEV);
	for (size_t i = 0; i < ARRAY_LEN(device_names); i++) {
		struct step *s = plan_add(plan, STEP_DEVICE);
		s->source = plan_text(plan, "/dev/%s", device_names[i]);
		s->path = device_names[i];
	}
	struct step *pts = plan_add(plan, STEP_DEVPTS);
	pts->path = "/dev/pts";
	pts->data = plan->host.is_root ? "mode=0620,gid=5,ptmxmode=0666,max=64"
				       : "mode=0620,ptmxmode=0666,max=64";
}

void rootfs_add(struct plan *plan)
{
	plan_add(plan, STEP_IDENTITY);
	add_work(plan);
	if (plan->spec.image == IMAGE_HOST)
		add_host_root(plan);
	else
		add_image_root(plan);
	if (plan->spec.keeps_layer)
		plan_add(plan, STEP_LAYER);
}

void rootfs_add_mounts(struct plan *plan)
{
	for (uint32_t i = 0; i < plan->spec.n_mounts; i++) {
		const struct spec_mount *m = &plan->spec.mounts[i];
		const char *target = plan_text(plan, "%s", m->target);
		if (m->mode == MOUNT_COPY) {
			add_overlay(plan,
				plan_add_tree(plan, m->source, "owner", STEP_ASKED | STEP_LENT),
				target, plan_text(plan, "mount%u", i));
			continue;
		}
		uint32_t flags = STEP_ASKED | STEP_RECURSIVE |
			(m->mode == MOUNT_LAYER ? STEP_STAGED : STEP_LENT) |
			(m->mode == MOUNT_READ_ONLY ? STEP_READ_ONLY : 0);
		int32_t tree = plan_add_tree(plan, m->source, "owner", flags);
		struct step *s = plan_add(plan, STEP_BIND);
		s->tree = tree;
		s->path = target;
	}
	struct step *s = add_dir(plan, plan->spec.workdir, 0755);
	s->flags = STEP_IN_ROOT;
	s->uid = plan_agent(plan);
}

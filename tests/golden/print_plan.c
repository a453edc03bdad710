/* SPDX-License-Identifier: Apache-2.0 */
/* Plans for hosts that are made up here: what any machine would do, printed by any machine. */
#include "sandbox/plan.h"

#include "base/auto.h"

static const struct host root_v1 = {
	.is_root = true,
	.has_opt = true,
	.has_time_ns = true,
	.n_links = 2,
	.links = { { "bin", "usr/bin" }, { "lib64", "usr/lib64" } },
	.cgroup = {
		.kind = CGROUP_V1,
		.dirs = { "/sys/fs/cgroup/memory/ours", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/cpu",
			"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/freezer" },
		.parts = (1U << PART_MAX) - 1,
		.has_swap_limit = true,
		.has_tcp_limit = true,
	},
	.masks = 1U << 3 | UINT64_C(1) << 32,
	.run_dir = "/run/cay",
};

static const struct host root_v2 = {
	.is_root = true,
	.n_links = 1,
	.links = { { "lib", "" } }, /* from before /usr was merged */
	.cgroup = {
		.kind = CGROUP_V2,
		.dirs = { "/sys/fs/cgroup" },
		.parts = (1U << PART_MAX) - 1,
	},
	.run_dir = "/run/cay",
};

static const struct host user_bare = {
	.uid = 4711,
	.gid = 4712,
	.n_links = 1,
	.links = { { "bin", "usr/bin" } },
	.run_dir = "/run/user/4711/cay",
};

static const struct host user_with_ids = {
	.uid = 4711,
	.gid = 4712,
	.subids = { 200000, 300000, 8192 },
	.n_links = 1,
	.links = { { "bin", "usr/bin" } },
	.run_dir = "/run/user/4711/cay",
};

static const struct spec plain = { .id = "aaaaaaaaaaaaaaaaaaaaaaaaaa" };

static const struct spec rich = {
	.id = "bbbbbbbbbbbbbbbbbbbbbbbbbb",
	.hostname = "island",
	.workdir = "/src/deep",
	.network = NETWORK_HOST,
	.user = USER_ROOT,
	.limits = { .memory_bytes = 64 << 20,
		.pids = SPEC_UNLIMITED,
		.cpu_milli = 1500,
		.disk_bytes = SPEC_UNLIMITED,
		.disk_inodes = SPEC_UNLIMITED },
	.n_mounts = 3,
	.mounts = { { "/home/me/src", "/src", MOUNT_COPY },
		{ "/home/me/data", "/data", MOUNT_READ_ONLY },
		{ "/home/me/out", "/out", MOUNT_WRITABLE } },
};

static const struct spec image = {
	.id = "cccccccccccccccccccccccccc",
	.image = IMAGE_DIR,
	.image_path = "/srv/images/debian",
	.network = NETWORK_NONE,
};

static const struct spec demanding = {
	.limits = { .memory_bytes = 64 << 20 },
};

static const struct spec routed = {
	.network = NETWORK_BRIDGE,
	.net = { .n_allow = 4,
		.allow = { { 0, 443, 0, false }, { 0x0a010200, 5432, 24, true },
			{ 0x0a010203, 53, 32, true }, { 0x5db8d822, 0, 32, false } },
		.name = "team" },
};

static const struct spec requiring = {
	.required = UINT64_C(1) << CONTROL_UID_RANGE,
};

static const struct {
	const char *title;
	const struct spec *spec;
	const struct host *host;
	int flags;
} plans[] = {
	{ "root, cgroup v1, the default spec", &plain, &root_v1, 0 },
	{ "root, cgroup v1, to be frozen, mounts, root mode, the host's network", &rich, &root_v1,
		PLAN_IS_KEPT },
	{ "root, cgroup v2, a directory as image, no network", &image, &root_v2, 0 },
	{ "root, cgroup v2, /lib is no link", &plain, &root_v2, 0 },
	{ "an ordinary user without cgroups", &plain, &user_bare, 0 },
	{ "an ordinary user, mounts",
		&(const struct spec){ .n_mounts = 1,
			.mounts = { { "/home/me/src", "/workspace", MOUNT_WRITABLE } } },
		&user_bare, 0 },
	{ "root, a network behind a bridge", &routed, &root_v2, 0 },
	{ "an ordinary user who wants that", &routed, &user_bare, 0 },
	{ "an ordinary user, a network through pasta",
		&(const struct spec){ .network = NETWORK_PASTA }, &user_bare, 0 },
	{ "root who wants that", &(const struct spec){ .network = NETWORK_PASTA }, &root_v2, 0 },
	{ "an ordinary user who wants a memory limit", &demanding, &user_bare, 0 },
	{ "an ordinary user who requires ids of their own", &requiring, &user_bare, 0 },
	{ "an ordinary user with ids for agents", &plain, &user_with_ids, 0 },
	{ "an ordinary user with ids for agents, who requires one in root mode",
		&(const struct spec){ .user = USER_ROOT,
			.required = UINT64_C(1) << CONTROL_OWN_UID },
		&user_with_ids, 0 },
};

int main(void)
{
	static struct plan plan;
	auto_buf struct buf b = BUF_INIT(1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
		struct error err = { 0 };
		buf_printf(&b, "%s# %s\n", i ? "\n" : "", plans[i].title);
		if (plan_make(plans[i].spec, plans[i].host, plans[i].flags, &plan, &err) < 0) {
			buf_printf(&b, "refused (%s): %s\n", error_name(err.code), err.text);
			continue;
		}
		plan_print(&plan, &b);
		plan_fini(&plan);
	}
	return fwrite(b.ptr, 1, b.len, stdout) == b.len ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a wish for a sandbox leaves open, as the server's configuration has it. */
#include "base/auto.h"
#include "runtime/create.h"

enum { STANDARDS_ARENA_MAX = 4 * 1024 * 1024 };

static struct create standards; /* said: what is in force */
static bool are_set;
static struct arena standards_arena = ARENA_INIT(STANDARDS_ARENA_MAX);

int create_set_standards(const struct json *json, struct error *err)
{
	struct create *create = arena_new(&standards_arena, struct create);
	if (create_from_json(json, &standards_arena, create, err) < 0)
		return -1;
	standards = *create;
	are_set = true;
	/* They are for sandboxes that have that network, whatever the standard is. */
	if (create->n_swaps)
		create->spec.network = NETWORK_PROXY;
	return create_check(create, err);
}

static bool is_open(const struct create *create, uint32_t flag, bool is_zero)
{
	return (standards.said & flag) && !(create->said & flag) && is_zero;
}

static void fill_limit(int64_t *limit, int64_t standard)
{
	if (*limit == 0)
		*limit = standard;
}

static void fill_limits(struct spec_limits *limits, const struct spec_limits *standard)
{
	fill_limit(&limits->memory_bytes, standard->memory_bytes);
	fill_limit(&limits->pids, standard->pids);
	fill_limit(&limits->cpu_milli, standard->cpu_milli);
	fill_limit(&limits->disk_bytes, standard->disk_bytes);
	fill_limit(&limits->disk_inodes, standard->disk_inodes);
}

static void fill_spec(struct create *create, struct spec *spec, const struct spec *standard)
{
	if (is_open(create, CREATE_SAID_IMAGE, spec->image == IMAGE_HOST && !create->image.len)) {
		create->image = standards.image;
		spec->image = standard->image;
		memcpy(spec->image_path, standard->image_path, sizeof(spec->image_path));
	}
	bool is_usual = !spec->workdir[0] || !strcmp(spec->workdir, "/workspace");
	if (is_open(create, CREATE_SAID_WORKDIR, is_usual))
		memcpy(spec->workdir, standard->workdir, sizeof(spec->workdir));
	if (is_open(create, CREATE_SAID_USER, spec->user == USER_AGENT))
		spec->user = standard->user;
	if (is_open(create, CREATE_SAID_NETWORK,
		    spec->network == NETWORK_LOOPBACK && !create->networks.n)) {
		spec->network = standard->network;
		spec->net = standard->net;
	}
	if (is_open(create, CREATE_SAID_MOUNTS, spec->n_mounts == 0)) {
		spec->n_mounts = standard->n_mounts;
		memcpy(spec->mounts, standard->mounts, sizeof(spec->mounts));
	}
	fill_limits(&spec->limits, &standard->limits);
}

static bool has_key(const struct field_map *map, struct str key)
{
	for (size_t i = 0; i < map->n; i++)
		if (str_eq(map->keys[i], key))
			return true;
	return false;
}

static void fill_env(struct field_map *env, const struct field_map *standard, struct arena *arena)
{
	size_t n = env->n;
	struct str *keys = arena_new_n(arena, struct str, n + standard->n + 1),
		   *values = arena_new_n(arena, struct str, n + standard->n + 1);
	for (size_t i = 0; i < n; i++) {
		keys[i] = env->keys[i];
		values[i] = env->values[i];
	}
	for (size_t i = 0; i < standard->n; i++) {
		if (has_key(env, standard->keys[i]))
			continue;
		keys[n] = standard->keys[i];
		values[n++] = standard->values[i];
	}
	*env = (struct field_map){ keys, values, n };
}

struct str create_standard_env(struct str name)
{
	for (size_t i = 0; i < standards.env.n; i++)
		if (str_eq(standards.env.keys[i], name))
			return standards.env.values[i];
	return STR_NONE;
}

static bool has_swap(const struct create *create, struct str name)
{
	for (size_t i = 0; i < create->n_swaps; i++)
		if (str_eq(create->swaps[i].name, name))
			return true;
	return has_key(&create->env, name) || has_key(&create->secrets, name);
}

/* Each with a placeholder of its own. */
static void fill_swaps(struct create *create, struct arena *arena)
{
	size_t n = create->n_swaps;
	struct create_swap *swaps = arena_new_n(arena, struct create_swap,
		n + standards.n_swaps + 1);
	if (n)
		memcpy(swaps, create->swaps, n * sizeof(*swaps));
	for (size_t i = 0; i < standards.n_swaps; i++) {
		if (has_swap(create, standards.swaps[i].name))
			continue;
		swaps[n] = standards.swaps[i];
		create_new_placeholder(&swaps[n++]);
	}
	create->swaps = swaps;
	create->n_swaps = n;
}

void create_fill(struct create *create, struct arena *arena)
{
	if (!are_set)
		return;
	fill_spec(create, &create->spec, &standards.spec);
	if (standards.env.n)
		fill_env(&create->env, &standards.env, arena);
	bool is_loopback = create->spec.network == NETWORK_LOOPBACK &&
		!(create->said & CREATE_SAID_NETWORK);
	if (is_open(create, CREATE_SAID_NETWORKS, is_loopback && !create->networks.n))
		create->networks = standards.networks;
	if (is_open(create, CREATE_SAID_GPUS, !create->gpus.len))
		create->gpus = standards.gpus;
	if (standards.n_swaps && create->spec.network == NETWORK_PROXY)
		fill_swaps(create, arena);
	if (is_open(create, CREATE_SAID_TIMEOUT, create->timeout_ms == 0))
		create->timeout_ms = standards.timeout_ms;
	if (is_open(create, CREATE_SAID_IDLE, create->idle_timeout_ms == 0))
		create->idle_timeout_ms = standards.idle_timeout_ms;
}

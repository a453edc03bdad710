/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/wish.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/openhands/server.h"
#include "runtime/images.h"

enum {
	MEMORY_BYTES = 2 << 10, /* MiB, times the resource factor, as the two below */
	DISK_BYTES = 4 << 10,
	PIDS = 1024,
};

bool wish_has_root(const struct openhands *oh)
{
	return runtime_host(oh->rt)->controls & UINT64_C(1) << CONTROL_UID_RANGE;
}

struct pairs {
	struct str *keys, *values;
	size_t n, max;
};

static struct pairs pairs_new(struct arena *arena, size_t max)
{
	return (struct pairs){ arena_alloc(arena, max * sizeof(struct str)),
		arena_alloc(arena, max * sizeof(struct str)), 0, max };
}

/* The first value of a key counts. */
static void pairs_add(struct pairs *p, struct str key, struct str value)
{
	for (size_t i = 0; i < p->n; i++)
		if (str_eq(p->keys[i], key))
			return;
	BUG_IF(p->n == p->max, "more pairs than there is room for");
	p->keys[p->n] = key;
	p->values[p->n++] = value;
}

struct field_map wish_environment(const struct start *start, struct arena *arena)
{
	static const struct {
		const char *key, *value;
	} standard[] = {
		{ "GIT_PAGER", "cat" },
		{ "PIP_BREAK_SYSTEM_PACKAGES", "1" },
		{ "PYTHONUNBUFFERED", "1" },
	};
	struct pairs p = pairs_new(arena, start->environment.n + ARRAY_LEN(standard) + 2);
	/* What an agent server asks its clients for: ours, and the one that was chosen. */
	if (start->own_key && *start->own_key) {
		pairs_add(&p, STR("OH_SESSION_API_KEYS_0"), str_from(start->own_key));
		if (start->session_key.len)
			pairs_add(&p, STR("OH_SESSION_API_KEYS_1"), start->session_key);
	}
	for (size_t i = 0; i < start->environment.n; i++)
		pairs_add(&p, start->environment.keys[i], start->environment.values[i]);
	for (size_t i = 0; i < ARRAY_LEN(standard); i++)
		pairs_add(&p, str_from(standard[i].key), str_from(standard[i].value));
	return (struct field_map){ p.keys, p.values, p.n };
}

static void add_command(struct pairs *p, const struct start *start, struct arena *arena)
{
	auto_buf struct buf b = BUF_INIT(CREATE_LABEL_BYTES);
	struct jsonw w = JSONW(&b);
	jsonw_open_array(&w);
	for (size_t i = 0; i < start->command.n; i++)
		jsonw_str(&w, start->command.items[i]);
	jsonw_close_array(&w);
	if (start->command.n && !b.is_full)
		pairs_add(p, STR(LABEL_COMMAND), str_from(arena_str(arena, buf_str(&b))));
}

/* As the sandbox will have it. */
static struct str variable_of(const struct start *start, struct str name)
{
	for (size_t i = 0; i < start->environment.n; i++)
		if (str_eq(start->environment.keys[i], name))
			return start->environment.values[i];
	return create_standard_env(name);
}

struct field_map wish_labels(const struct start *start, struct arena *arena)
{
	struct pairs p = pairs_new(arena, 10);
	if (start->port)
		pairs_add(&p, STR(LABEL_SERVER),
			str_from(arena_printf(arena, "%d", (int)start->port)));
	if (start->session_id.len)
		pairs_add(&p, STR(LABEL_SESSION), start->session_id);
	if (start->image.len)
		pairs_add(&p, STR(LABEL_IMAGE), start->image);
	if (start->key_proof)
		pairs_add(&p, STR(LABEL_KEY), str_from(start->key_proof));
	add_command(&p, start, arena);
	pairs_add(&p, STR(LABEL_USERNAME), start->username);
	pairs_add(&p, STR(LABEL_PLUGINS), start->plugins);
	pairs_add(&p, STR(LABEL_BROWSER), start->has_browser ? STR("yes") : STR("no"));
	for (size_t i = 0; i < start->environment.n; i++) {
		struct str key = start->environment.keys[i], value = start->environment.values[i];
		if (str_is(key, LABEL_QUIET))
			pairs_add(&p, STR(LABEL_QUIET), value);
	}
	if (str_eq_nocase(variable_of(start, STR("ENABLE_AUTO_LINT")), STR("true")))
		pairs_add(&p, STR(LABEL_LINT), STR("yes"));
	return (struct field_map){ p.keys, p.values, p.n };
}

void wish_fill(struct spec *spec, const struct openhands *oh, const struct start *start)
{
	bool is_root = runtime_host(oh->rt)->controls || str_is(start->username, "root");
	spec->image = IMAGE_HOST;
	spec->network = start->network;
	spec->user = is_root ? USER_ROOT : USER_AGENT;
	if (wish_has_root(oh) && !str_is(start->username, "root"))
		spec->owner_uid = (uint32_t)start->uid;
	snprintf(spec->workdir, sizeof(spec->workdir), "%.*s", STR_ARG(start->workdir));
	/* What the host cannot limit is not asked for: that would be refused. */
	const struct {
		enum control control;
		int64_t value, *limit;
	} limits[] = {
		{ CONTROL_MEMORY, (int64_t)MEMORY_BYTES << 20, &spec->limits.memory_bytes },
		{ CONTROL_DISK, (int64_t)DISK_BYTES << 20, &spec->limits.disk_bytes },
		{ CONTROL_PIDS, PIDS, &spec->limits.pids },
	};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (runtime_host(oh->rt)->controls & UINT64_C(1) << limits[i].control)
			*limits[i].limit = start->resource_factor * limits[i].value;
}

struct str wish_image(const struct openhands *oh, struct str name)
{
	struct error err;
	if (runtime_has_other_images(oh->rt))
		return name;
	const struct image *image = name.len ? images_find(runtime_images(oh->rt), name, &err)
					     : NULL;
	return image && !image->is_host ? name : STR_NONE;
}

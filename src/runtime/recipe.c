/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Whoever asks is put on a list; if nothing is under way for those on it, the
 * search begins:
 *
 *	the base    looked up, and fetched by a backend that can
 *	the name    made of what the base is by now and of the settings, and looked up
 *	the build   if there is no image of that name, or it is not to count
 *
 * Whatever ends it, all who are on the list by then are told, and the next who asks begins anew: a
 * base that has changed, or a build that failed, is found out by that.
 */
#include "runtime/recipe.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/log.h"
#include "runtime/build_extend.h"
#include "runtime/internal.h"
#include "runtime/library.h"

enum { SETTINGS_ARENA_MAX = 1024 * 1024, PLAN_ARENA_MAX = 4 * 1024 * 1024, TAIL_MAX = 120 };

struct recipe_wait {
	struct list link; /* recipe::waits */
	struct recipe *recipe;
	const struct recipe_ops *ops;
	void *arg;
	bool was_told; /* that it is being built */
};

struct recipe {
	struct runtime *rt;
	struct arena arena; /* of the settings */
	struct str base, command;
	struct build_wish wish; /* what all builds have in common */
	bool is_forced;         /* and has not been built since */

	struct list waits;
	bool is_busy, is_building;
	struct arena plan_arena; /* of one search */
	struct build_wish plan;
	struct str name; /* of the image that is looked for */
	struct build *build;
	struct error error;      /* for settle */
	char tail[TAIL_MAX + 1]; /* the last that the build said */
};

/* ---- the settings ---- */

static struct str keep(struct recipe *r, const struct json *text)
{
	struct str s = json_str(text);
	return s.len ? (struct str){ arena_str(&r->arena, s), s.len } : STR_NONE;
}

static struct field_map keep_map(struct recipe *r, const struct json *json)
{
	size_t n = json_len(json);
	struct field_map map = { arena_new_n(&r->arena, struct str, n + 1),
		arena_new_n(&r->arena, struct str, n + 1), 0 };
	const struct json *value;
	struct str key;
	void *it = NULL;
	while ((value = json_next(json, &it, &key))) {
		map.keys[map.n] = (struct str){ arena_str(&r->arena, key), key.len };
		map.values[map.n++] = keep(r, value);
	}
	return map;
}

static struct field_strings keep_list(struct recipe *r, const struct json *json)
{
	struct field_strings list = { arena_new_n(&r->arena, struct str, json_len(json) + 1), 0 };
	for (size_t i = 0; i < json_len(json); i++)
		list.items[list.n++] = keep(r, json_at(json, i));
	return list;
}

static int take_network(struct recipe *r, struct str word, struct error *err)
{
	static const struct {
		const char *word;
		enum network_mode mode;
	} words[] = { { "none", NETWORK_NONE }, { "loopback", NETWORK_LOOPBACK },
		{ "host", NETWORK_HOST }, { "proxy", NETWORK_PROXY } };
	r->wish.network = NETWORK_NONE;
	for (size_t i = 0; word.len && i < ARRAY_LEN(words); i++) {
		if (!str_is(word, words[i].word))
			continue;
		r->wish.network = words[i].mode;
		return 0;
	}
	return word.len ? error_set(err, ERROR_INVALID, "image: network '%.*s'",
				  STR_ARG(str_first(word, 40)))
			: 0;
}

int recipe_new(struct runtime *rt, const struct json *settings, struct recipe **ret,
	struct error *err)
{
	struct recipe *r = mem_new(struct recipe);
	bool is_usual = json_bool(json_find(settings, "is_usual"));
	*ret = NULL;
	r->rt = rt;
	r->arena = ARENA_INIT(SETTINGS_ARENA_MAX);
	r->plan_arena = ARENA_INIT(PLAN_ARENA_MAX);
	list_init(&r->waits);
	r->base = keep(r, json_find(settings, "base"));
	if (is_usual && !runtime_has_other_images(rt))
		r->base = STR("host");
	r->command = keep(r, json_find(settings, "command"));
	r->wish.args = keep_map(r, json_find(settings, "args"));
	r->wish.labels = keep_map(r, json_find(settings, "labels"));
	r->wish.allow = keep_list(r, json_find(settings, "allow"));
	r->wish.limits.memory_bytes = json_int(json_find(settings, "memory_bytes"));
	r->wish.no_cache = r->is_forced = json_bool(json_find(settings, "is_forced"));
	if (take_network(r, json_str(json_find(settings, "network")), err) < 0) {
		recipe_free(r);
		return -1;
	}
	if (r->base.len && (r->command.len || !str_is(r->base, "host")))
		*ret = r;
	else
		recipe_free(r);
	return 0;
}

void recipe_free(struct recipe *r)
{
	if (!r)
		return;
	loop_undefer(r->rt->loop, r);
	build_cancel(r->build);
	while (!list_is_empty(&r->waits)) {
		struct recipe_wait *wait = list_get_first(&r->waits, struct recipe_wait, link);
		list_remove(&wait->link);
		free(wait);
	}
	arena_fini(&r->arena);
	arena_fini(&r->plan_arena);
	free(r);
}

/* ---- the end of a search ---- */

static void settle(void *arg)
{
	struct recipe *r = arg;
	struct list told;
	struct error err = r->error;
	auto_free char *name = str_dup(r->name);
	list_init(&told);
	while (!list_is_empty(&r->waits)) {
		struct recipe_wait *wait = list_get_first(&r->waits, struct recipe_wait, link);
		list_remove(&wait->link);
		list_append(&told, &wait->link);
	}
	r->is_busy = r->is_building = false;
	arena_fini(&r->plan_arena);
	/* What they do with it may end others of them, or ask anew. */
	while (!list_is_empty(&told)) {
		struct recipe_wait *wait = list_get_first(&told, struct recipe_wait, link);
		struct recipe_wait copy = *wait;
		list_remove(&wait->link);
		free(wait);
		copy.ops->done(copy.arg, str_from(name), err.code == ERROR_OK ? NULL : &err);
	}
}

/* When the loop turns: it may be that nobody has been let go yet who asked. */
static void end(struct recipe *r)
{
	loop_defer(r->rt->loop, settle, r);
}

static void fail(struct recipe *r, const struct error *err)
{
	r->error = *err;
	end(r);
}

static void tell_building(struct recipe *r)
{
	struct recipe_wait *wait, *next;
	r->is_building = true;
	list_for_each_safe(wait, next, &r->waits, link) {
		if (wait->was_told)
			continue;
		wait->was_told = true;
		wait->ops->building(wait->arg);
	}
}

/* ---- the build ---- */

static void on_said(void *arg, struct str text)
{
	struct recipe *r = arg;
	struct str line = str_trim(text);
	if (line.len > TAIL_MAX)
		line = str_skip(line, line.len - TAIL_MAX);
	if (!line.len)
		return;
	memcpy(r->tail, line.ptr, line.len);
	r->tail[line.len] = '\0';
	log_debug("image.build", "name=%.*s said=%s", STR_ARG(r->name), r->tail);
}

static void on_built(void *arg, const struct image *image)
{
	struct recipe *r = arg;
	r->build = NULL;
	r->is_forced = false;
	log_info("image.built", "name=%.*s base=%.*s", STR_ARG(r->name), STR_ARG(r->base));
	end(r);
}

static void on_failed(void *arg, const struct error *err)
{
	struct recipe *r = arg;
	struct error e = *err;
	r->build = NULL;
	if (r->tail[0] && !strstr(e.text, r->tail))
		error_set(&e, err->code, "%.120s; the last it said: %s", err->text, r->tail);
	error_wrap(&e, "the image of the configuration (sandbox.runtime_extra_deps)");
	log_warn("image.failed", "%s", e.text);
	fail(r, &e);
}

static void build(void *arg)
{
	static const struct build_ops ops = { NULL, on_said, on_built, on_failed };
	struct recipe *r = arg;
	if (list_is_empty(&r->waits)) { /* all have left meanwhile */
		r->is_busy = r->is_building = false;
		return;
	}
	r->tail[0] = '\0';
	tell_building(r);
	r->build = build_new(r->rt->images, &r->plan, &ops, r);
}

/* ---- the base, and the name ---- */

/* What an image says of itself is put into a line of a Dockerfile. */
static bool is_user(struct str user)
{
	for (size_t i = 0; i < user.len; i++)
		if (user.ptr[i] <= ' ' || user.ptr[i] > '~' || strchr("\"'\\$#", user.ptr[i]))
			return false;
	return user.len > 0;
}

static int make_plan(struct recipe *r, const struct extend_base *found, struct error *err)
{
	struct field_strings commands = { &r->command, 1 };
	struct extend_base base = *found;
	if (!is_user(base.user))
		base.user = STR_NONE;
	r->plan = r->wish;
	if (extend_plan(&base, &commands, &r->plan_arena, &r->plan, err) < 0)
		return -1;
	r->name = r->plan.tags.items[0];
	return 0;
}

static void on_found(void *arg, struct str json, const struct error *err)
{
	struct recipe *r = arg;
	if (err && err->code != ERROR_NOT_FOUND)
		fail(r, err);
	else if (err || r->is_forced)
		build(r);
	else
		end(r);
}

static void on_base(void *arg, struct str json, const struct error *err)
{
	struct recipe *r = arg;
	auto_json struct json *image = NULL;
	struct error own;
	if (err && err->code == ERROR_NOT_FOUND && !r->is_building) {
		const struct library_question fetch = { .what = LIBRARY_FETCH, .name = r->base };
		tell_building(r);
		library_ask(r->rt, &fetch, on_base, r);
		return;
	}
	if (err) {
		own = *err;
		error_wrap(&own, "sandbox.base_container_image: %.*s",
			STR_ARG(str_first(r->base, 100)));
		fail(r, &own);
		return;
	}
	struct extend_base base = { .name = r->base, .from = r->base };
	if (json_parse(json, &image, &own) < 0) {
		fail(r, &own);
		return;
	}
	base.id = json_str(json_find(image, "id"));
	base.user = json_str(json_find(json_find(image, "config"), "User"));
	if (make_plan(r, &base, &own) < 0) {
		fail(r, &own);
		return;
	}
	const struct library_question question = { .what = LIBRARY_INSPECT, .name = r->name };
	library_ask(r->rt, &question, on_found, r);
}

/* Of the server's own images: at once. */
static int find_own(struct recipe *r, struct error *err)
{
	struct extend_base base = { .name = r->base, .from = r->base, .id = r->base };
	if (str_starts(r->base, STR("/"))) {
		r->name = r->base;
		return r->command.len ? make_plan(r, &base, err) : 0;
	}
	const struct image *image = images_find(r->rt->images, r->base, NULL);
	if (!image)
		return error_set(err, ERROR_NOT_FOUND,
			"sandbox.base_container_image: this server has no image '%.*s', and asks no registry: `cay image import ARCHIVE NAME` "
			"takes what `docker save` or `docker export` wrote, `cay image tag host NAME` lets this machine's tools stand in",
			STR_ARG(str_first(r->base, 80)));
	base.id = str_from(image->id);
	base.user = json_str(json_find(image->config, "User"));
	r->name = r->base;
	return r->command.len ? make_plan(r, &base, err) : 0;
}

static void search(struct recipe *r)
{
	bool is_far = runtime_has_other_images(r->rt);
	r->is_busy = true;
	r->error = (struct error){ 0 };
	r->name = r->base;
	if (is_far && r->command.len) {
		const struct library_question question = { .what = LIBRARY_INSPECT,
			.name = r->base };
		library_ask(r->rt, &question, on_base, r);
		return;
	}
	bool is_bad = !is_far && find_own(r, &r->error) < 0;
	if (is_bad || !r->command.len ||
		(!r->is_forced && images_find(r->rt->images, r->name, NULL)))
		end(r);
	else
		loop_defer(r->rt->loop, build, r);
}

/* ---- who waits ---- */

static void on_join(void *arg)
{
	struct recipe *r = arg;
	if (r->is_building)
		tell_building(r);
}

struct recipe_wait *recipe_ask(struct recipe *r, const struct recipe_ops *ops, void *arg)
{
	struct recipe_wait *wait = mem_new(struct recipe_wait);
	*wait = (struct recipe_wait){ .recipe = r, .ops = ops, .arg = arg };
	list_append(&r->waits, &wait->link);
	if (!r->is_busy)
		search(r);
	else
		loop_defer(r->rt->loop, on_join, r);
	return wait;
}

void *recipe_leave(struct recipe_wait *wait)
{
	struct recipe *r = wait->recipe;
	void *arg = wait->arg;
	list_remove(&wait->link);
	free(wait);
	if (list_is_empty(&r->waits) && r->build) {
		build_cancel(take_ptr(r->build));
		r->is_busy = r->is_building = false;
		arena_fini(&r->plan_arena);
	}
	return arg;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A sandbox is born in three hops, each after the commit that records the one
 * before: its record → the backend makes it → its executor is configured → it is ready, and only
 * then is its caller told. So whatever dies in between, the record tells a restarted server what
 * was promised: nothing, until it says "ready".
 */
#include "runtime/images.h"
#include "runtime/internal.h"
#include "runtime/plugin.h"
#include "runtime/recipe.h"

#include "action/executor_actions.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/secrets.h"
#include "wire/frame.h"

enum { GUARD_SETTINGS_MAX = 16384, FILL_ARENA_MAX = 16 * 1024 * 1024 };

/* ---- what is wished ---- */

static int check_room(struct runtime *rt, const struct create *create, struct error *err)
{
	if (create_check(create, err) < 0)
		return -1;
	if (rt->n_living >= (size_t)rt->sandboxes_max)
		return error_set(err, ERROR_LIMIT,
			"create: %d sandboxes are alive; that is the limit", rt->sandboxes_max);
	if (create->n_swaps && !rt->backend->ops->boundary)
		return error_set(err, ERROR_UNSUPPORTED,
			"create: secrets with hosts cannot be had on the backend %s",
			rt->backend->ops->name);
	if (create->gpus.len && !rt->backend->ops->has_gpus)
		return error_set(err, ERROR_UNSUPPORTED,
			"create: the backend %s hands out no GPU; docker does",
			rt->backend->ops->name);
	if (create->networks.n && !rt->backend->ops->has_networks)
		return error_set(err, ERROR_UNSUPPORTED,
			"create: the backend %s has no networks with names of an engine's; docker has (and native, for one: network bridge with network_name)",
			rt->backend->ops->name);
	struct sandbox *other = map_find(&rt->by_name, create->name);
	if (create->name.len && other && sandbox_is_alive(other))
		return error_set(err, ERROR_EXISTS, "create: a sandbox named '%.*s' is alive: %s",
			STR_ARG(create->name), other->id);
	return 0;
}

static void put_map(struct jsonw *w, const struct field_map *map)
{
	for (size_t i = 0; i < map->n; i++) {
		jsonw_key_dyn(w, map->keys[i]);
		jsonw_str(w, map->values[i]);
	}
}

static char *configure_json(const struct create *create)
{
	if (!create->env.n && !create->secrets.n && !create->n_swaps)
		return NULL;
	struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "env");
	jsonw_open(&w);
	put_map(&w, &create->env);
	put_map(&w, &create->secrets);
	for (size_t i = 0; i < create->n_swaps; i++) {
		jsonw_key_dyn(&w, create->swaps[i].name);
		jsonw_str(&w, str_from(create->swaps[i].placeholder));
	}
	jsonw_close(&w);
	jsonw_key(&w, "secrets");
	jsonw_open_array(&w);
	for (size_t i = 0; i < create->secrets.n; i++)
		jsonw_str(&w, create->secrets.keys[i]);
	jsonw_close_array(&w);
	jsonw_close(&w);
	return buf_take(&b);
}

static char *plugins_json(const struct create *create)
{
	struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	if (json_len(create->plugins) == 0)
		return NULL;
	json_write(create->plugins, &b);
	return buf_take(&b);
}

static int guard_settings(struct runtime *rt, const struct create *create, struct buf *ret,
	struct error *err)
{
	bool has_wish = json_kind(create->guard) != JSON_KIND_NULL;
	if (!rt->gate)
		return has_wish
			? error_set(err, ERROR_UNSUPPORTED, "create: this server has no guard")
			: 0;
	if (rt->gate->settings(rt->gate, create->guard, ret, err) < 0)
		return error_wrap(err, "create: guard");
	return 0;
}

/* ---- the hops ---- */

static void on_plugins(void *arg, const struct error *err)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	if (!s || s->state != SANDBOX_STARTING)
		return;
	if (!err) {
		life_apply(s, LIFE_CONFIGURED);
		return;
	}
	s->failure = *err;
	life_set_reason(s, "%s", err->text);
	life_apply(s, LIFE_FAIL);
}

/* Its plugins start in an environment that is set; it is ready when they are. */
static void go_on_with_plugins(struct sandbox *s)
{
	auto_free char *text = take_ptr(s->plugins_json);
	auto_json struct json *wish = NULL;
	if (text && json_parse(str_from(text), &wish, NULL) == 0)
		plugins_load(s, wish, on_plugins, step_new(s->runtime, s, NULL));
	else
		life_apply(s, LIFE_CONFIGURED);
}

static void on_configured(void *arg, struct str result)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	if (s)
		go_on_with_plugins(s);
}

static void on_not_configured(void *arg, const struct error *err)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	if (!s || s->state != SANDBOX_STARTING)
		return;
	life_set_reason(s, "configure: %s", err->text);
	life_apply(s, LIFE_FAIL);
}

static void configure(struct sandbox *s)
{
	static const struct call_sink sink = { .result = on_configured,
		.error = on_not_configured };
	if (!s->configure_json) {
		go_on_with_plugins(s);
		return;
	}
	call_perform_quietly(s, &configure_action, str_from(s->configure_json), &sink,
		step_new(s->runtime, s, NULL));
	free(s->configure_json);
	s->configure_json = NULL;
}

/*
 * The boundary has the secrets: the sandbox gets what it has to believe, beside the placeholders.
 */
static void on_secrets(void *arg, struct str certificate, const struct error *err)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	step_free(step);
	if (!s || s->state != SANDBOX_STARTING)
		return;
	if (err) {
		s->failure = *err;
		life_set_reason(s, "%s", err->text);
		life_apply(s, LIFE_FAIL);
		return;
	}
	if (certificate.len) {
		struct str said = str_from(s->configure_json);
		buf_put(&b, str_first(said, said.len - 1)); /* without its brace */
		w.needs_comma = true;
		jsonw_key_str(&w, "trust", certificate);
		jsonw_close(&w);
		free(s->configure_json);
		s->configure_json = buf_take(&b);
	}
	configure(s);
}

void birth_configure(struct sandbox *s)
{
	if (s->secrets)
		secrets_open(s, on_secrets, step_new(s->runtime, s, NULL));
	else
		configure(s);
}

static void on_created(void *arg, const struct backend_reply *reply)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	step_free(step);
	BUG_IF(!s, "a sandbox was forgotten while the backend was making it");
	if (reply->error.code != ERROR_OK) {
		s->failure = reply->error;
		life_set_reason(s, "%s", reply->error.text);
		life_apply(s, LIFE_FAIL);
		return;
	}
	sandbox_set_backend_id(s, reply->id);
	s->is_there = true;
	s->enforced = reply->enforced;
	s->init_pid = reply->init_pid;
	if (reply->workdir)
		sandbox_set_spec(s, "workdir", str_from(reply->workdir));
	life_apply(s, LIFE_STARTED);
}

static void make(struct step *step, struct sandbox *s)
{
	struct backend *b = step->rt->backend;
	life_tell(s, STATUS_STARTING_RUNTIME, "");
	b->ops->create(b, s, step->spec, on_created, step);
}

static void give_up(struct step *step, struct sandbox *s, const struct error *err)
{
	if (err) {
		s->failure = *err;
		life_set_reason(s, "%s", err->text);
	}
	step_free(step);
	life_apply(s, LIFE_FAIL);
}

/* ---- an image that was not named ---- */

static void on_image_building(void *arg)
{
	struct sandbox *s = step_sandbox(arg);
	if (s)
		life_apply(s, LIFE_BUILD);
}

/* Its variables in front of those that were asked for, which replace them. */
static void configure_image(struct sandbox *s, const struct image *image)
{
	auto_arena struct arena arena = ARENA_INIT(FILL_ARENA_MAX);
	auto_json struct json *said = NULL;
	struct create *create = arena_new(&arena, struct create);
	const struct json *value;
	void *it = NULL;
	struct str key;
	struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	if (s->configure_json)
		json_parse(str_from(s->configure_json), &said, NULL);
	const struct json *env = json_find(said, "env");
	create->env = (struct field_map){ arena_new_n(&arena, struct str, json_len(env) + 1),
		arena_new_n(&arena, struct str, json_len(env) + 1), 0 };
	while ((value = json_next(env, &it, &key))) {
		create->env.keys[create->env.n] = key;
		create->env.values[create->env.n++] = json_str(value);
	}
	image_put_env(image, create, &arena);
	jsonw_open(&w);
	jsonw_key(&w, "env");
	jsonw_open(&w);
	put_map(&w, &create->env);
	jsonw_close(&w);
	jsonw_key(&w, "secrets");
	if (!said)
		jsonw_raw(&w, STR("[]"));
	else
		json_write(json_find(said, "secrets"), &b);
	jsonw_close(&w);
	free(s->configure_json);
	s->configure_json = buf_take(&b);
}

/* Of the server's own images. An engine is told its name with all else. */
static int take_image(struct step *step, struct sandbox *s, struct str name, struct error *err)
{
	struct runtime *rt = step->rt;
	struct spec *spec = step->spec;
	sandbox_set_spec(s, "image", name);
	if (runtime_has_other_images(rt))
		return 0;
	if (str_starts(name, STR("/"))) {
		spec->image = IMAGE_DIR;
		snprintf(spec->image_path, sizeof(spec->image_path), "%.*s", STR_ARG(name));
		return 0;
	}
	const struct image *image = images_find(rt->images, name, err);
	if (!image)
		return -1;
	struct str dir = image_workdir(image);
	image_put_spec(rt->images, image, spec);
	sandbox_set_spec(s, "image_id", str_from(image->id));
	configure_image(s, image);
	if (step->flag && dir.len) {
		snprintf(spec->workdir, sizeof(spec->workdir), "%.*s", STR_ARG(dir));
		sandbox_set_spec(s, "workdir", dir);
	}
	return 0;
}

static void on_image(void *arg, struct str name, const struct error *err)
{
	struct step *step = arg;
	struct sandbox *s = step_sandbox(step);
	struct error own;
	BUG_IF(!s, "a sandbox was forgotten while its image was being made");
	s->image_wait = NULL;
	if (!err && take_image(step, s, name, &own) < 0)
		err = &own;
	if (err) {
		give_up(step, s, err);
		return;
	}
	store_put(step->rt->store, s);
	make(step, s);
}

void birth_leave(struct sandbox *s)
{
	if (!s->image_wait)
		return;
	step_free(recipe_leave(take_ptr(s->image_wait)));
	life_apply(s, LIFE_FAIL);
}

/* The record is on disk: the backend may begin. */
static void on_recorded(struct step *step, const struct error *err)
{
	static const struct recipe_ops ops = { on_image_building, on_image };
	struct sandbox *s = step_sandbox(step);
	BUG_IF(!s, "a sandbox was forgotten before it was made");
	if (err || s->state != SANDBOX_CREATING)
		give_up(step, s, err);
	else if (step->wants_recipe)
		s->image_wait = recipe_ask(step->rt->recipe, &ops, step);
	else
		make(step, s);
}

/* ---- create ---- */

static void tell_made(struct step *step, const struct error *err)
{
	struct sandbox *s = step_sandbox(step);
	struct error gone;
	if (!err && (!s || !sandbox_is_alive(s))) {
		error_set(&gone, ERROR_GONE, "sandbox %s ended before it was handed out", step->id);
		err = &gone;
	} else if (err && s && sandbox_is_alive(s)) {
		/* Made, but not stored: what nobody is told of must not live. */
		life_set_reason(s, "it could not be recorded: %s", err->text);
		s->is_unwanted = true;
		life_apply(s, LIFE_END);
	}
	step->made(step->arg, err ? NULL : s, err);
	step_free(step);
}

static void refuse(struct runtime *rt, const struct error *err, runtime_sandbox_fn *done, void *arg)
{
	struct step *step = step_new(rt, NULL, life_tell_refused);
	step->made = done;
	step->arg = arg;
	step->error = *err;
	step_defer(step);
}

static bool names_no_image(const struct create *create)
{
	return !(create->said & CREATE_SAID_IMAGE) && !create->image.len &&
		create->spec.image == IMAGE_HOST;
}

static void create_filled(struct runtime *rt, const struct create *create, runtime_sandbox_fn *done,
	void *arg)
{
	struct error err;
	auto_buf struct buf guard = BUF_INIT(GUARD_SETTINGS_MAX);
	if (check_room(rt, create, &err) < 0 || guard_settings(rt, create, &guard, &err) < 0) {
		refuse(rt, &err, done, arg);
		return;
	}
	struct sandbox *s = sandbox_new(create, buf_str(&guard));
	s->configure_json = configure_json(create);
	s->secrets = secrets_new(s, create);
	for (size_t i = 0; i < create->secrets.n; i++)
		mask_add(&s->mask, create->secrets.values[i]);
	for (size_t i = 0; i < create->n_swaps; i++)
		mask_add(&s->mask, create->swaps[i].value);
	s->plugins_json = plugins_json(create);
	runtime_enlist(rt, s);
	store_put(rt->store, s);
	life_add_event(s, true);

	struct step *waiter = step_new(rt, s, tell_made);
	waiter->made = done;
	waiter->arg = arg;
	list_append(&s->waiters, &waiter->wait_link);

	struct step *step = step_new(rt, s, on_recorded);
	step->spec = mem_new(struct spec);
	*step->spec = create->spec;
	step->wants_recipe = rt->recipe && names_no_image(create);
	step->flag = !create->spec.workdir[0] || !(create->said & CREATE_SAID_WORKDIR);
	memcpy(step->spec->id, s->id, sizeof(s->id));
	if (!step->spec->keeps_layer)
		step->spec->keeps_layer = LAYER_OF_SNAPSHOT;
	step_after_commit(step);
}

void runtime_create(struct runtime *rt, const struct create *create, runtime_sandbox_fn *done,
	void *arg)
{
	auto_arena struct arena arena = ARENA_INIT(FILL_ARENA_MAX);
	struct create *filled = arena_new(&arena, struct create);
	struct error err;
	*filled = *create;
	create_fill(filled, &arena);
	create_allow_hosts(filled, &arena);
	bool is_backends = rt->backend->ops->library != NULL;
	if (filled->image.len && !is_backends && images_apply(rt->images, filled, &arena, &err) < 0)
		refuse(rt, &err, done, arg);
	else
		create_filled(rt, filled, done, arg);
}

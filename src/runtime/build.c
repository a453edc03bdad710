/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A build is a chain of calls into sandboxes, each of which goes on with the
 * next:
 *
 *	context    the archive is unpacked into /image/context of a staging (runtime/staging.h)
 *	ignore     .dockerignore is read, then the Dockerfile
 *	steps      one instruction after the other (build_steps.c). What changes files has a sandbox of its own, whose
 *	           layer goes through here, where it is hashed, into /image/layer-N (build_layer.c)
 *	end        the record of the image is written, its names set
 *
 * Everything that waits for something is one of b->to, b->from, b->haul and b->is_making, so that
 * all of it can be dropped at any time. A sandbox that is being made is waited for by what is left
 * of the build.
 */
#include "runtime/build_internal.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/disk.h"

#include <stdio.h>

enum { EARLY_MAX = 1024 * 1024, IGNORE_MAX = 1024 * 1024 };

static int n_builds; /* under way */

/* ---- the end ---- */

static void release(struct build *b)
{
	haul_cancel(take_ptr(b->haul));
	layer_free(b);
	library_cancel(take_ptr(b->far));
	if (b->to)
		runtime_call_cancel(take_ptr(b->to));
	if (b->from)
		runtime_call_cancel(take_ptr(b->from));
	staging_close(take_ptr(b->staging));
	loop_undefer(images_runtime(b->images)->loop, b);
	timer_free(b->deadline);
	b->deadline = NULL;
	if (b->is_counted)
		n_builds--;
	b->is_counted = false;
	b->is_gone = true;
	if (b->is_making)
		return; /* on_made comes back */
	for (size_t i = 0; i < b->n_stages; i++)
		stage_fini(&b->stages[i]);
	stage_fini(&b->source);
	buf_fini(&b->early);
	arena_fini(&b->arena);
	arena_fini(&b->step_arena);
	free(b);
}

void build_cancel(struct build *b)
{
	if (b)
		release(b);
}

void build_fail(struct build *b, const struct error *err)
{
	const struct build_ops *ops = b->ops;
	void *arg = b->arg;
	struct error copy = *err;
	ops->failed(arg, &copy);
	release(b);
}

void build_fail_step(struct build *b, const struct error *err)
{
	struct error copy = *err;
	if (!str_starts(str_from(copy.text), STR("line ")))
		error_wrap(&copy, "line %d", build_step(b)->line);
	build_fail(b, &copy);
}

int build_exit_code(const struct build *b)
{
	return b->exit_code;
}

int build_count(void)
{
	return n_builds;
}

static int add_image(struct build *b, struct stage *stage, struct image **ret, struct error *err)
{
	auto_buf struct buf config = BUF_INIT(IMAGE_JSON_MAX), history = BUF_INIT(IMAGE_JSON_MAX);
	struct jsonw w = JSONW(&config);
	char id[SHA256_HEX_SIZE];
	struct sha256 h = { 0 };
	struct image like = { .base = stage->base,
		.base_path = (char *)(uintptr_t)stage->base_path,
		.created_ms = clock_wall_ms(),
		.size_bytes = stage->size_bytes,
		.n_layers = stage->n_layers,
		.architecture = (char *)(uintptr_t)images_architecture() };
	stage_put_config(b, stage, &w);
	sha256_init(&h);
	sha256_add(&h, stage->base == IMAGE_DIR ? str_from(stage->base_path) : STR("image"));
	sha256_add(&h, str_from(stage->base == IMAGE_HOST ? "host" : ""));
	for (uint32_t i = 0; i < stage->n_layers; i++) {
		memcpy(like.layers[i], stage->layers[i], SPEC_LAYER_SIZE);
		sha256_add(&h, str_from(stage->layers[i]));
	}
	sha256_add(&h, buf_str(&config));
	sha256_end(&h, id);
	buf_printf(&history, "[%s]", stage->steps.ptr);
	auto_json struct json *parsed = NULL;
	json_parse(buf_str(&history), &parsed, NULL);
	like.history = parsed;
	if (config.is_full)
		return error_set(err, ERROR_TOO_LARGE, "a configuration of over %d bytes",
			IMAGE_JSON_MAX);
	return images_add(b->images, id, &like, buf_str(&config), b->wish.tags.items,
		b->wish.tags.n, ret, err);
}

void build_finish(struct build *b, struct stage *stage)
{
	struct image *image;
	struct error err;
	if (add_image(b, stage, &image, &err) < 0) {
		build_fail(b, &err);
		return;
	}
	build_say(b, "Successfully built %.12s\n", image->id);
	for (size_t i = 0; i < b->wish.tags.n; i++) {
		struct str tag = b->wish.tags.items[i];
		bool has_tag = str_find_char(tag, ':') >= 0;
		build_say(b, "Successfully tagged %.*s%s\n", STR_ARG(tag),
			has_tag ? "" : ":latest");
	}
	b->ops->done(b->arg, image);
	release(b);
}

/* ---- what all steps use ---- */

struct str build_keep(struct build *b, struct str s)
{
	return s.ptr ? str_from_len(arena_str(&b->arena, s), s.len) : s;
}

void build_say(struct build *b, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(BUILD_TEXT_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (b->ops->said)
		b->ops->said(b->arg, buf_str(&text));
}

struct sandbox *build_sandbox(struct build *b, const char *id)
{
	struct error err;
	struct sandbox *s = runtime_find(images_runtime(b->images), str_from(id), &err);
	if (!s)
		build_fail(b, &err);
	return s;
}

static void on_answer(void *arg, struct str text)
{
	struct build *b = arg;
	auto_json struct json *result = NULL;
	b->to = NULL;
	json_parse(text, &result, NULL);
	b->may_be_missing = false;
	b->then(b, result);
}

static void on_no_answer(void *arg, const struct error *err)
{
	struct build *b = arg;
	b->to = NULL;
	if (err->code == ERROR_NOT_FOUND && b->may_be_missing) {
		b->may_be_missing = false;
		b->then(b, NULL);
	} else if (b->at > 0) {
		build_fail_step(b, err);
	} else { /* the context, which lies in the staging */
		struct error copy = *err;
		disk_blame(&copy);
		build_fail(b, &copy);
	}
}

void build_ask(struct build *b, struct sandbox *s, const struct action *action, struct str params,
	void (*then)(struct build *b, const struct json *result))
{
	static const struct call_sink sink = { .result = on_answer, .error = on_no_answer };
	b->then = then;
	b->to = call_perform_quietly(s, action, params, &sink, b);
}

void build_ask_staging(struct build *b, const struct action *action, struct str params,
	void (*then)(struct build *b, const struct json *result))
{
	struct error err;
	struct sandbox *s = staging_sandbox(b->staging, &err);
	if (s)
		build_ask(b, s, action, params, then);
	else
		build_fail(b, &err);
}

/* ---- Dockerfile ---- */

static void begin(struct build *b, struct str text)
{
	struct error err;
	if (dockerfile_parse(text, &b->arena, &b->file, &err) < 0) {
		build_fail(b, &err);
		return;
	}
	build_next(b);
}

static bool is_inside(struct str path)
{
	struct str rest = path, piece;
	while (str_split(&rest, '/', &piece))
		if (str_is(piece, ".."))
			return false;
	return path.len > 0 && path.len < SPEC_PATH_SIZE;
}

static void ask_to_read(struct build *b, struct str path, int max_bytes,
	void (*then)(struct build *b, const struct json *result))
{
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX),
			    full = BUF_INIT(2 * SPEC_PATH_SIZE);
	struct jsonw w = JSONW(&params);
	buf_printf(&full, STAGING_DIR "/context/%.*s", STR_ARG(path));
	jsonw_open(&w);
	jsonw_key_str(&w, "path", buf_str(&full));
	jsonw_key_int(&w, "max_bytes", max_bytes);
	jsonw_close(&w);
	b->may_be_missing = true;
	build_ask_staging(b, &read_action, buf_str(&params), then);
}

static void on_dockerfile(struct build *b, const struct json *result)
{
	struct error err;
	struct str text = json_str(json_find(result, "content"));
	if (!result || json_bool(json_find(result, "truncated"))) {
		error_set(&err, result ? ERROR_TOO_LARGE : ERROR_INVALID,
			result ? "%.*s is over %d bytes"
			       : "the context has no %.*s (Cannot locate specified Dockerfile)",
			STR_ARG(b->wish.dockerfile), DOCKERFILE_MAX);
		build_fail(b, &err);
		return;
	}
	begin(b, build_keep(b, text));
}

static void on_ignore(struct build *b, const struct json *result)
{
	struct error err;
	if (json_bool(json_find(result, "truncated"))) {
		error_set(&err, ERROR_TOO_LARGE, ".dockerignore is over %d bytes", IGNORE_MAX);
		build_fail(b, &err);
		return;
	}
	b->ignore = build_keep(b, json_str(json_find(result, "content")));
	if (b->wish.text.ptr) {
		begin(b, b->wish.text);
	} else if (!is_inside(b->wish.dockerfile)) {
		error_set(&err, ERROR_INVALID, "the Dockerfile is outside of the context: %.*s",
			STR_ARG(str_first(b->wish.dockerfile, 100)));
		build_fail(b, &err);
	} else {
		ask_to_read(b, b->wish.dockerfile, DOCKERFILE_MAX, on_dockerfile);
	}
}

/* ---- context ---- */

static void on_context(struct build *b, const struct json *result)
{
	ask_to_read(b, STR(".dockerignore"), IGNORE_MAX, on_ignore);
}

static void on_taken(void *arg)
{
	struct build *b = arg;
	if (b->ops->drain)
		b->ops->drain(b->arg);
}

static void start_context(struct build *b, struct sandbox *s)
{
	static const struct call_sink sink = {
		.drain = on_taken,
		.result = on_answer,
		.error = on_no_answer,
	};
	auto_buf struct buf params = BUF_INIT(1024);
	buf_printf(&params,
		"{\"path\":\"" STAGING_DIR
		"/context\",\"kind\":\"tar\",\"create_parents\":true,\"max_bytes\":%lld}",
		(long long)b->wish.max_bytes);
	b->then = on_context;
	b->to = call_perform_quietly(s, &upload_action, buf_str(&params), &sink, b);
	runtime_call_send(b->to, 0, buf_str(&b->early));
	buf_fini(&b->early);
	if (b->has_eof)
		runtime_call_eof(b->to, 0);
	else if (!runtime_call_is_full(b->to))
		on_taken(b);
}

static void on_open(void *arg, const struct error *failure)
{
	struct build *b = arg;
	struct error err;
	struct sandbox *s = failure ? NULL : staging_sandbox(b->staging, &err);
	if (!s)
		build_fail(b, failure ? failure : &err);
	else if (b->wish.has_context)
		start_context(b, s);
	else
		build_ask(b, s, &mkdir_action, STR("{\"path\":\"" STAGING_DIR "/context\"}"),
			on_context);
}

/* Only while the context is awaited is b->to its upload. */
void build_send(struct build *b, struct str bytes)
{
	if (b->is_far && b->far)
		library_send(b->far, bytes);
	if (b->at > 0 || b->has_eof || b->is_far)
		return;
	if (b->to)
		runtime_call_send(b->to, 0, bytes);
	else
		buf_put(&b->early, bytes);
}

void build_eof(struct build *b)
{
	b->has_eof = true;
	if (b->far)
		library_eof(b->far);
	if (b->to)
		runtime_call_eof(b->to, 0);
}

bool build_is_full(const struct build *b)
{
	if (b->is_far)
		return b->far && library_is_full(b->far);
	return b->to ? runtime_call_is_full(b->to) : b->early.len > EARLY_MAX / 4;
}

void build_pause(struct build *b, bool is_paused)
{
	b->is_paused = is_paused;
	if (b->from && b->change.argv)
		runtime_call_pause(b->from, is_paused);
}

/* ---- the beginning ---- */

static void on_deadline(void *arg)
{
	struct build *b = arg;
	struct error err;
	error_set(&err, ERROR_TIMEOUT, "the build took longer than %lld s",
		(long long)b->wish.timeout_ms / 1000);
	build_fail(b, &err);
}

static void on_refused(void *arg)
{
	struct build *b = arg;
	build_fail(b, &b->error);
}

int build_map_from_json(struct str text, const char *what, struct arena *arena,
	struct field_map *ret, struct error *err)
{
	auto_json struct json *object = NULL;
	const struct json *value;
	struct str key;
	void *it = NULL;
	*ret = (struct field_map){ 0 };
	if (!text.len)
		return 0;
	if (json_parse(text, &object, err) < 0)
		return error_wrap(err, "%s", what);
	size_t n = json_len(object);
	if (json_kind(object) != JSON_KIND_OBJECT && json_kind(object) != JSON_KIND_NULL)
		return error_set(err, ERROR_INVALID, "%s: an object is wanted", what);
	ret->keys = arena_new_n(arena, struct str, n + 1);
	ret->values = arena_new_n(arena, struct str, n + 1);
	while ((value = json_next(object, &it, &key))) {
		struct str s = json_str(value);
		if (json_kind(value) == JSON_KIND_NULL)
			continue;
		if (json_kind(value) != JSON_KIND_STR || str_has_nul(s) || str_has_nul(key))
			return error_set(err, ERROR_INVALID, "%s: %.*s is no string", what,
				STR_ARG(str_first(key, 60)));
		ret->keys[ret->n] = (struct str){ arena_str(arena, key), key.len };
		ret->values[ret->n++] = (struct str){ arena_str(arena, s), s.len };
	}
	return 0;
}

static struct field_map keep_map(struct build *b, const struct field_map *map)
{
	struct field_map copy = { arena_new_n(&b->arena, struct str, map->n + 1),
		arena_new_n(&b->arena, struct str, map->n + 1), map->n };
	for (size_t i = 0; i < map->n; i++) {
		copy.keys[i] = build_keep(b, map->keys[i]);
		copy.values[i] = build_keep(b, map->values[i]);
	}
	return copy;
}

static struct field_strings keep_strings(struct build *b, const struct field_strings *list)
{
	struct field_strings copy = { arena_new_n(&b->arena, struct str, list->n + 1), list->n };
	for (size_t i = 0; i < list->n; i++)
		copy.items[i] = build_keep(b, list->items[i]);
	return copy;
}

static void keep_wish(struct build *b, const struct build_wish *wish)
{
	struct build_wish *w = &b->wish;
	*w = *wish;
	w->dockerfile = wish->dockerfile.len ? build_keep(b, wish->dockerfile) : STR("Dockerfile");
	w->text = build_keep(b, wish->text);
	w->target = build_keep(b, wish->target);
	w->platform = build_keep(b, wish->platform);
	w->tags = keep_strings(b, &wish->tags);
	w->allow = keep_strings(b, &wish->allow);
	w->args = keep_map(b, &wish->args);
	w->labels = keep_map(b, &wish->labels);
	w->timeout_ms = wish->timeout_ms ? wish->timeout_ms : BUILD_STANDARD_MS;
	w->max_bytes = wish->max_bytes ? wish->max_bytes : BUILD_CONTEXT_BYTES;
}

static size_t size_of(const struct build_wish *wish)
{
	size_t n = wish->text.len;
	for (size_t i = 0; i < wish->args.n; i++)
		n += wish->args.keys[i].len + wish->args.values[i].len;
	for (size_t i = 0; i < wish->labels.n; i++)
		n += wish->labels.keys[i].len + wish->labels.values[i].len;
	return n;
}

static int check_wish(const struct build_wish *wish, struct error *err)
{
	auto_free char *own = mem_printf("linux/%s", images_architecture());
	if (n_builds >= BUILD_AT_ONCE)
		return error_set(err, ERROR_LIMIT, "%d images are being built: wait for one",
			n_builds);
	if (wish->tags.n > BUILD_TAGS_MAX || wish->args.n > BUILD_ARGS_MAX ||
		wish->labels.n > BUILD_WORDS_MAX || size_of(wish) > DOCKERFILE_MAX)
		return error_set(err, ERROR_LIMIT,
			"over %d names, %d arguments, %d labels or %d bytes of them",
			BUILD_TAGS_MAX, BUILD_ARGS_MAX, BUILD_WORDS_MAX, DOCKERFILE_MAX);
	if (wish->platform.len && !str_is(wish->platform, own) && !str_is(wish->platform, "linux"))
		return error_set(err, ERROR_UNSUPPORTED, "platform %.*s: only %s can be built here",
			STR_ARG(str_first(wish->platform, 60)), own);
	for (size_t i = 0; i < wish->tags.n; i++)
		if (images_check_name(wish->tags.items[i], err) < 0)
			return -1;
	return 0;
}

struct build *build_new(struct images *images, const struct build_wish *wish,
	const struct build_ops *ops, void *arg)
{
	struct build *b = mem_new(struct build);
	struct loop *loop = images_runtime(images)->loop;
	b->images = images;
	b->ops = ops;
	b->arg = arg;
	b->arena = ARENA_INIT(BUILD_ARENA_MAX);
	b->step_arena = ARENA_INIT(BUILD_ARENA_MAX);
	buf_init(&b->early, EARLY_MAX);
	if (check_wish(wish, &b->error) < 0) {
		loop_defer(loop, on_refused, b);
		return b;
	}
	keep_wish(b, wish);
	n_builds++;
	b->is_counted = true;
	b->deadline_ms = clock_mono_ms() + b->wish.timeout_ms;
	b->deadline = timer_new(loop, on_deadline, b);
	timer_set(b->deadline, b->wish.timeout_ms);
	b->is_far = runtime_has_other_images(images_runtime(b->images));
	if (b->is_far) {
		far_begin(b);
		return b;
	}
	b->staging = staging_open(images, "image build", b->wish.timeout_ms, on_open, b);
	return b;
}

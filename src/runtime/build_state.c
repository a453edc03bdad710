/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image will say of itself: the instructions that change no file, and what variables stand
 * for.
 */
#include "runtime/build_internal.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdio.h>

/* ---- pairs ---- */

static void pairs_init(struct build *b, struct pairs *p)
{
	p->keys = arena_new_n(&b->arena, struct str, BUILD_ENV_MAX);
	p->values = arena_new_n(&b->arena, struct str, BUILD_ENV_MAX);
	p->n = 0;
}

struct str pairs_find(const struct pairs *p, struct str key)
{
	for (size_t i = 0; i < p->n; i++)
		if (str_eq(p->keys[i], key))
			return p->values[i];
	return STR_NONE;
}

int pairs_set(struct pairs *p, struct str key, struct str value, size_t max, struct error *err)
{
	size_t i = 0;
	while (i < p->n && !str_eq(p->keys[i], key))
		i++;
	if (i == max)
		return error_set(err, ERROR_LIMIT, "over %zu variables or labels", max);
	p->keys[i] = key;
	p->values[i] = value;
	p->n += i == p->n;
	return 0;
}

static void pairs_copy(struct pairs *p, const struct pairs *from)
{
	memcpy(p->keys, from->keys, from->n * sizeof(*p->keys));
	memcpy(p->values, from->values, from->n * sizeof(*p->values));
	p->n = from->n;
}

static int words_add(struct words *words, struct str word, struct error *err)
{
	for (size_t i = 0; i < words->n; i++)
		if (str_eq(words->items[i], word))
			return 0;
	if (words->n == BUILD_WORDS_MAX)
		return error_set(err, ERROR_LIMIT, "over %d words", BUILD_WORDS_MAX);
	words->items[words->n++] = word;
	return 0;
}

/* ---- variables ---- */

/* Of the platform: each counts once ARG has named it. */
static struct str predefined(struct str name)
{
	static const char *const platforms[] = { "TARGETPLATFORM", "BUILDPLATFORM" };
	static const char *const systems[] = { "TARGETOS", "BUILDOS" };
	static const char *const architectures[] = { "TARGETARCH", "BUILDARCH" };
	for (size_t i = 0; i < 2; i++) {
		if (str_is(name, platforms[i]))
			return str_is(str_from(images_architecture()), "amd64")
				? STR("linux/amd64")
				: STR("linux/arm64");
		if (str_is(name, systems[i]))
			return STR("linux");
		if (str_is(name, architectures[i]))
			return str_from(images_architecture());
	}
	return STR_NONE;
}

struct str stage_lookup(void *arg, struct str name)
{
	struct build *b = arg;
	const struct stage *stage = b->n_stages ? build_stage(b) : NULL;
	struct str value = stage ? pairs_find(&stage->env, name) : STR_NONE;
	if (value.ptr)
		return value;
	return stage ? pairs_find(&stage->args, name) : pairs_find(&b->args, name);
}

static struct str global_lookup(void *arg, struct str name)
{
	struct build *b = arg;
	struct str value = pairs_find(&b->args, name);
	return value.ptr ? value : predefined(name);
}

int stage_word(struct build *b, struct str word, struct str *ret, struct error *err)
{
	bool is_from = build_step(b)->kind == DOCKERFILE_FROM;
	return dockerfile_expand(word, b->file.escape, false,
		is_from ? global_lookup : stage_lookup, b, &b->arena, ret, err);
}

/* What was asked for with the build counts for more than what the Dockerfile says. */
static struct str wished_arg(struct build *b, struct str name)
{
	for (size_t i = 0; i < b->wish.args.n; i++)
		if (str_eq(b->wish.args.keys[i], name)) {
			b->is_used[i] = true;
			return b->wish.args.values[i];
		}
	return STR_NONE;
}

int stage_take_arg(struct build *b, struct pairs *args, const struct dockerfile_step *step,
	struct error *err)
{
	if (!args->keys)
		pairs_init(b, args);
	for (size_t i = 0; i < step->n_words; i++) {
		struct str word = step->words[i], value = STR_NONE, name;
		ptrdiff_t sign = str_find_char(word, '=');
		if (stage_word(b, sign < 0 ? word : str_first(word, (size_t)sign), &name, err) < 0)
			return -1;
		if (sign >= 0 && stage_word(b, str_skip(word, (size_t)sign + 1), &value, err) < 0)
			return -1;
		struct str wished = wished_arg(b, name);
		if (!wished.ptr && !value.ptr)
			wished = global_lookup(b, name);
		value = wished.ptr ? wished : value;
		if (!name.len)
			return error_set(err, ERROR_INVALID, "ARG without a name");
		if (value.ptr && pairs_set(args, name, value, BUILD_ENV_MAX, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- a stage ---- */

void stage_init(struct build *b, struct stage *stage)
{
	*stage = (struct stage){ 0 };
	pairs_init(b, &stage->env);
	pairs_init(b, &stage->args);
	pairs_init(b, &stage->labels);
	buf_init(&stage->steps, IMAGE_JSON_MAX / 2);
}

void stage_fini(struct stage *stage)
{
	if (stage->steps.ptr)
		buf_fini(&stage->steps);
}

static void take_key(struct stage *stage, const char *what, struct str text)
{
	struct sha256 h;
	sha256_init(&h);
	sha256_add(&h, str_from(what));
	sha256_add(&h, text);
	sha256_end(&h, stage->key);
}

static struct str keep_json(struct build *b, const struct json *value)
{
	auto_buf struct buf text = BUF_INIT(IMAGE_JSON_MAX);
	if (json_kind(value) != JSON_KIND_ARRAY || json_write(value, &text) < 0 || text.is_full)
		return STR_NONE;
	return build_keep(b, buf_str(&text));
}

static int take_keys(struct build *b, const struct json *object, struct words *words,
	struct error *err)
{
	struct str key;
	void *it = NULL;
	while (json_next(object, &it, &key))
		if (words_add(words, build_keep(b, key), err) < 0)
			return -1;
	return 0;
}

static int take_config(struct build *b, struct stage *stage, const struct json *config,
	struct error *err)
{
	const struct json *env = json_find(config, "Env"), *labels = json_find(config, "Labels"),
			  *shell = json_find(config, "Shell"), *value;
	struct str key;
	void *it = NULL;
	for (size_t i = 0; i < json_len(env); i++) {
		struct str pair = build_keep(b, json_str(json_at(env, i)));
		ptrdiff_t sign = str_find_char(pair, '=');
		if (sign > 0 &&
			pairs_set(&stage->env, str_first(pair, (size_t)sign),
				str_skip(pair, (size_t)sign + 1), BUILD_ENV_MAX, err) < 0)
			return -1;
	}
	while ((value = json_next(labels, &it, &key)))
		if (pairs_set(&stage->labels, build_keep(b, key), build_keep(b, json_str(value)),
			    BUILD_WORDS_MAX, err) < 0)
			return -1;
	for (size_t i = 0; i < json_len(shell) && i < BUILD_WORDS_MAX; i++)
		stage->shell.items[stage->shell.n++] = build_keep(b, json_str(json_at(shell, i)));
	stage->workdir = build_keep(b, json_str(json_find(config, "WorkingDir")));
	stage->user = build_keep(b, json_str(json_find(config, "User")));
	stage->stop_signal = build_keep(b, json_str(json_find(config, "StopSignal")));
	stage->cmd_json = keep_json(b, json_find(config, "Cmd"));
	stage->entrypoint_json = keep_json(b, json_find(config, "Entrypoint"));
	return take_keys(b, json_find(config, "ExposedPorts"), &stage->ports, err) < 0
		? -1
		: take_keys(b, json_find(config, "Volumes"), &stage->volumes, err);
}

static void take_history(struct stage *stage, const struct json *history)
{
	for (size_t i = 0; i < json_len(history); i++) {
		if (stage->steps.len)
			buf_putc(&stage->steps, ',');
		json_write(json_at(history, i), &stage->steps);
	}
}

static int begin_in_dir(struct build *b, struct stage *stage, struct str name, struct error *err)
{
	if (name.len >= SPEC_PATH_SIZE)
		return error_set(err, ERROR_TOO_LARGE, "a path of %zu bytes", name.len);
	stage->base = IMAGE_DIR;
	stage->base_path = build_keep(b, name).ptr;
	take_key(stage, "dir:", name);
	return 0;
}

int stage_begin(struct build *b, struct stage *stage, struct str name, struct error *err)
{
	if (str_is(name, "scratch")) {
		stage->base = IMAGE_LAYERS;
		take_key(stage, "scratch", STR(""));
		return 0;
	}
	if (str_starts(name, STR("/")))
		return begin_in_dir(b, stage, name, err);
	const struct image *image = images_find(b->images, name, err);
	if (!image)
		return error_wrap(err,
			"pull access denied for %.*s, repository does not exist (import it, or let "
			"another stand in: cay image tag host NAME)",
			STR_ARG(str_first(name, 80)));
	stage->base = image->base;
	stage->base_path = image->base_path ? build_keep(b, str_from(image->base_path)).ptr : NULL;
	stage->base_id = build_keep(b, str_from(image->id));
	stage->size_bytes = image->size_bytes;
	stage->n_layers = image->n_layers;
	memcpy(stage->layers, image->layers, sizeof(stage->layers));
	take_key(stage, "image:", str_from(image->id));
	take_history(stage, image->history);
	return take_config(b, stage, image->config, err);
}

void stage_copy(struct build *b, struct stage *stage, const struct stage *from)
{
	struct pairs env = stage->env, args = stage->args, labels = stage->labels;
	struct str name = stage->name;
	struct buf steps = stage->steps;
	*stage = *from;
	stage->env = env;
	stage->args = args;
	stage->labels = labels;
	stage->name = name;
	stage->steps = steps;
	stage->has_own_cmd = false;
	pairs_copy(&stage->env, &from->env);
	pairs_copy(&stage->labels, &from->labels);
	buf_put(&stage->steps, buf_str(&from->steps));
}

/* ---- instructions ---- */

/* NAME=VALUE …, or, as it once was, NAME and all the rest. */
static int take_pairs(struct build *b, struct pairs *p, size_t max,
	const struct dockerfile_step *step, struct error *err)
{
	struct str name, value;
	if (str_find_char(step->words[0], '=') < 0) {
		struct str rest = str_trim(str_skip(step->text, step->words[0].len));
		if (step->n_words < 2)
			return error_set(err, ERROR_INVALID, "%s takes NAME=VALUE",
				dockerfile_word(step->kind));
		return stage_word(b, step->words[0], &name, err) < 0 ||
				stage_word(b, rest, &value, err) < 0
			? -1
			: pairs_set(p, name, value, max, err);
	}
	for (size_t i = 0; i < step->n_words; i++) {
		ptrdiff_t sign = str_find_char(step->words[i], '=');
		if (sign <= 0)
			return error_set(err, ERROR_INVALID, "%s takes NAME=VALUE, not %.*s",
				dockerfile_word(step->kind),
				STR_ARG(str_first(step->words[i], 60)));
		if (stage_word(b, str_first(step->words[i], (size_t)sign), &name, err) < 0 ||
			stage_word(b, str_skip(step->words[i], (size_t)sign + 1), &value, err) <
				0 ||
			pairs_set(p, name, value, max, err) < 0)
			return -1;
	}
	return 0;
}

static void put_words(struct jsonw *w, const struct str *words, size_t n)
{
	jsonw_open_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, words[i]);
	jsonw_close_array(w);
}

static struct str command_json(struct build *b, const struct stage *stage,
	const struct dockerfile_step *step)
{
	static const struct str usual[] = { { "/bin/sh", 7 }, { "-c", 2 } };
	auto_buf struct buf text = BUF_INIT(IMAGE_JSON_MAX);
	struct jsonw w = JSONW(&text);
	if (step->is_json) {
		put_words(&w, step->words, step->n_words);
		return build_keep(b, buf_str(&text));
	}
	jsonw_open_array(&w);
	const struct str *shell = stage->shell.n ? stage->shell.items : usual;
	for (size_t i = 0; i < (stage->shell.n ? stage->shell.n : ARRAY_LEN(usual)); i++)
		jsonw_str(&w, shell[i]);
	jsonw_str(&w, step->text);
	jsonw_close_array(&w);
	return build_keep(b, buf_str(&text));
}

static int take_list(struct build *b, struct words *words, const struct dockerfile_step *step,
	struct error *err)
{
	for (size_t i = 0; i < step->n_words; i++) {
		struct str word;
		if (stage_word(b, step->words[i], &word, err) < 0)
			return -1;
		if (step->kind == DOCKERFILE_EXPOSE && str_find_char(word, '/') < 0)
			word = str_from(arena_printf(&b->arena, "%.*s/tcp", STR_ARG(word)));
		if (word.len && words_add(words, word, err) < 0)
			return -1;
	}
	return 0;
}

static int take_workdir(struct build *b, struct stage *stage, const struct dockerfile_step *step,
	struct error *err)
{
	struct str dir;
	if (stage_word(b, step->text, &dir, err) < 0 ||
		path_clean(b, stage->workdir, &dir, err) < 0)
		return -1;
	stage->workdir = dir;
	return dir.len > 1 ? words_add(&stage->dirs, dir, err) : 0;
}

int path_clean(struct build *b, struct str from, struct str *path, struct error *err)
{
	auto_buf struct buf out = BUF_INIT(SPEC_PATH_SIZE - 1);
	struct str parts[] = { path->len && path->ptr[0] == '/' ? STR("") : from, *path }, piece;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		while (parts[i].len && str_split(&parts[i], '/', &piece)) {
			if (piece.len == 0 || str_is(piece, "."))
				continue;
			if (!str_is(piece, "..")) {
				buf_printf(&out, "/%.*s", STR_ARG(piece));
				continue;
			}
			while (out.len && out.ptr[out.len - 1] != '/')
				buf_cut(&out, out.len - 1);
			buf_cut(&out, out.len ? out.len - 1 : 0);
		}
	if (out.is_full || str_has_nul(*path))
		return error_set(err, ERROR_TOO_LARGE, "a path of over %d bytes", SPEC_PATH_SIZE);
	*path = out.len ? build_keep(b, buf_str(&out)) : STR("/");
	return 0;
}

int stage_take(struct build *b, const struct dockerfile_step *step, struct error *err)
{
	struct stage *stage = build_stage(b);
	switch (step->kind) {
	case DOCKERFILE_ARG:
		return stage_take_arg(b, &stage->args, step, err);
	case DOCKERFILE_ENV:
		return take_pairs(b, &stage->env, BUILD_ENV_MAX, step, err);
	case DOCKERFILE_LABEL:
		return take_pairs(b, &stage->labels, BUILD_WORDS_MAX, step, err);
	case DOCKERFILE_CMD:
		stage->cmd_json = command_json(b, stage, step);
		stage->has_own_cmd = true;
		return 0;
	case DOCKERFILE_ENTRYPOINT:
		stage->entrypoint_json = command_json(b, stage, step);
		if (!stage->has_own_cmd)
			stage->cmd_json = STR_NONE;
		return 0;
	case DOCKERFILE_EXPOSE:
		return take_list(b, &stage->ports, step, err);
	case DOCKERFILE_VOLUME:
		return take_list(b, &stage->volumes, step, err);
	case DOCKERFILE_WORKDIR:
		return take_workdir(b, stage, step, err);
	case DOCKERFILE_USER:
		return stage_word(b, step->text, &stage->user, err);
	case DOCKERFILE_STOPSIGNAL:
		return stage_word(b, step->text, &stage->stop_signal, err);
	case DOCKERFILE_SHELL:
		stage->shell.n = 0;
		for (size_t i = 0; i < step->n_words && i < BUILD_WORDS_MAX; i++)
			stage->shell.items[stage->shell.n++] = step->words[i];
		return 0;
	default: /* MAINTAINER */
		return pairs_set(&stage->labels, STR("maintainer"), step->text, BUILD_WORDS_MAX,
			err);
	}
}

/* ---- the configuration ---- */

static void put_raw(struct jsonw *w, const char *key, struct str json)
{
	if (!json.ptr)
		return;
	jsonw_key(w, key);
	jsonw_raw(w, json);
}

static void put_set(struct jsonw *w, const char *key, const struct words *words)
{
	if (!words->n)
		return;
	jsonw_key(w, key);
	jsonw_open(w);
	for (size_t i = 0; i < words->n; i++) {
		jsonw_key_dyn(w, words->items[i]);
		jsonw_raw(w, STR("{}"));
	}
	jsonw_close(w);
}

void stage_put_config(struct build *b, struct stage *stage, struct jsonw *w)
{
	for (size_t i = 0; i < b->wish.labels.n; i++)
		pairs_set(&stage->labels, b->wish.labels.keys[i], b->wish.labels.values[i],
			BUILD_ENV_MAX, NULL);
	jsonw_open(w);
	jsonw_key(w, "Env");
	jsonw_open_array(w);
	for (size_t i = 0; i < stage->env.n; i++) {
		auto_buf struct buf pair = BUF_INIT(2 * DOCKERFILE_EXPANDED_MAX + 1);
		buf_put(&pair, stage->env.keys[i]);
		buf_putc(&pair, '=');
		buf_put(&pair, stage->env.values[i]);
		jsonw_str(w, buf_str(&pair));
	}
	jsonw_close_array(w);
	put_raw(w, "Cmd", stage->cmd_json);
	put_raw(w, "Entrypoint", stage->entrypoint_json);
	jsonw_key_str(w, "WorkingDir", stage->workdir);
	jsonw_key_str(w, "User", stage->user);
	if (stage->stop_signal.len)
		jsonw_key_str(w, "StopSignal", stage->stop_signal);
	jsonw_key(w, "Labels");
	jsonw_open(w);
	for (size_t i = 0; i < stage->labels.n; i++) {
		jsonw_key_dyn(w, stage->labels.keys[i]);
		jsonw_str(w, stage->labels.values[i]);
	}
	jsonw_close(w);
	put_set(w, "ExposedPorts", &stage->ports);
	put_set(w, "Volumes", &stage->volumes);
	if (stage->shell.n) {
		jsonw_key(w, "Shell");
		put_words(w, stage->shell.items, stage->shell.n);
	}
	jsonw_close(w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instruction after the other. Those that change no file are done here and now; the others
 * become a struct change with a key. If the cache knows the key, the layer is there; else
 * build_layer.c makes it and comes back to build_next.
 *
 * WORKDIR makes its directory together with the next change, or at the end of its stage.
 */
#include "runtime/build_internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "runtime/image_cache.h"

#include <stdio.h>

enum { CREATED_BY_MAX = 1000, SHOWN_MAX = 4000 };

struct stage *build_stage(struct build *b)
{
	return &b->stages[b->n_stages - 1];
}

const struct dockerfile_step *build_step(const struct build *b)
{
	return &b->file.steps[b->at ? b->at - 1 : 0];
}

/* ---- what is known of a step afterwards ---- */

static void add_history(struct build *b, int64_t size_bytes, bool has_layer)
{
	const struct dockerfile_step *step = build_step(b);
	struct stage *stage = build_stage(b);
	auto_buf struct buf text = BUF_INIT(CREATED_BY_MAX + 64);
	struct jsonw w = JSONW(&stage->steps);
	if (stage->steps.len)
		buf_putc(&stage->steps, ',');
	buf_printf(&text, "%s %.*s", dockerfile_word(step->kind),
		STR_ARG(str_first(step->text, CREATED_BY_MAX)));
	jsonw_open(&w);
	jsonw_key_str(&w, "created_by", buf_str(&text));
	jsonw_key_int(&w, "size_bytes", size_bytes);
	jsonw_key_bool(&w, "layer", has_layer);
	jsonw_close(&w);
}

static int push_layer(struct build *b, const char *layer, int64_t size_bytes, struct error *err)
{
	struct stage *stage = build_stage(b);
	if (layers_push(stage->layers, &stage->n_layers, layer, err) < 0)
		return -1;
	memcpy(stage->key, b->change.key, sizeof(stage->key));
	stage->size_bytes += size_bytes;
	stage->dirs.n = 0;
	add_history(b, size_bytes, true);
	build_say(b, " ---> %.12s\n", stage->key);
	return 0;
}

void layer_made(struct build *b, const char *layer, int64_t size_bytes)
{
	struct error err;
	image_cache_put(images_cache(b->images), b->change.key, layer, size_bytes);
	if (push_layer(b, layer, size_bytes, &err) < 0)
		build_fail_step(b, &err);
	else
		build_next(b);
}

/* 1: it was done before, and its layer is there; 0: not. */
static int find_cached(struct build *b, struct error *err)
{
	struct image_cache *cache = images_cache(b->images);
	char layer[SHA256_HEX_SIZE];
	int64_t bytes;
	const char *found = b->wish.no_cache ? NULL
					     : image_cache_find(cache, b->change.key, &bytes);
	if (!found)
		return 0;
	snprintf(layer, sizeof(layer), "%s", found);
	if (!images_has_layer(b->images, layer)) {
		image_cache_drop(cache, b->change.key);
		return 0;
	}
	build_say(b, " ---> Using cache\n");
	return push_layer(b, layer, bytes, err) < 0 ? -1 : 1;
}

/* ---- keys ---- */

static void key_add(struct sha256 *h, struct str s)
{
	char size[24];
	snprintf(size, sizeof(size), "%zu:", s.len);
	sha256_add(h, str_from(size));
	sha256_add(h, s);
}

static void key_begin(struct build *b, struct sha256 *h, const char *what)
{
	const struct stage *stage = build_stage(b);
	sha256_init(h);
	key_add(h, str_from(what));
	key_add(h, str_from(stage->key));
	for (size_t i = 0; i < stage->dirs.n; i++)
		key_add(h, stage->dirs.items[i]);
	key_add(h, STR(""));
}

static void key_of_run(struct build *b)
{
	const struct stage *stage = build_stage(b);
	const struct change *c = &b->change;
	char network[16];
	struct sha256 h;
	key_begin(b, &h, "run");
	snprintf(network, sizeof(network), "%u", c->network);
	key_add(&h, str_from(network));
	key_add(&h, stage->workdir);
	key_add(&h, stage->user);
	for (size_t i = 0; i < c->n_argv; i++)
		key_add(&h, c->argv[i]);
	key_add(&h, STR("env"));
	for (size_t i = 0; i < stage->env.n; i++) {
		key_add(&h, stage->env.keys[i]);
		key_add(&h, stage->env.values[i]);
	}
	key_add(&h, STR("args"));
	for (size_t i = 0; i < stage->args.n; i++) {
		key_add(&h, stage->args.keys[i]);
		key_add(&h, stage->args.values[i]);
	}
	sha256_end(&h, b->change.key);
}

static void key_of_files(struct build *b, struct str digest)
{
	const struct change *c = &b->change;
	struct sha256 h;
	key_begin(b, &h, c->unpacks ? "add" : "copy");
	key_add(&h, c->dest);
	key_add(&h, c->is_dest_dir ? STR("/") : STR(""));
	key_add(&h, c->mode);
	key_add(&h, digest);
	for (size_t i = 0; i < b->n_found; i++)
		key_add(&h, b->found[i]);
	for (size_t i = 0; i < c->n_docs; i++) {
		key_add(&h, c->docs[i].name);
		key_add(&h, c->docs[i].text);
	}
	sha256_end(&h, b->change.key);
}

/* ---- changes ---- */

/* 0: go on; 1: its layer is being made, and the build comes back. */
static int make_change(struct build *b, struct error *err)
{
	int r = find_cached(b, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	layer_make(b);
	return 1;
}

static int choose_network(struct build *b, const struct dockerfile_step *step, uint32_t *ret,
	struct error *err)
{
	struct str flag = dockerfile_flag(step, "network");
	*ret = b->wish.network;
	if (!flag.ptr || str_is(flag, "default"))
		return 0;
	if (str_is(flag, "none")) {
		*ret = NETWORK_NONE;
		return 0;
	}
	if (str_is(flag, "host") && b->wish.network == NETWORK_HOST)
		return 0;
	return error_set(err, ERROR_FORBIDDEN, "--network=%.*s was not allowed for this build",
		STR_ARG(str_first(flag, 40)));
}

/*
 * A here-document that is all there is is the script; else the shell gets to see it as it stands.
 */
static int run_text(struct build *b, const struct dockerfile_step *step, struct str *ret,
	struct error *err)
{
	auto_buf struct buf text = BUF_INIT(2 * DOCKERFILE_MAX);
	struct str rest = step->text, piece;
	*ret = step->text;
	if (!step->n_docs)
		return 0;
	dockerfile_next(&rest, b->file.escape, &piece);
	if (step->n_docs == 1 && str_starts(piece, STR("<<")) && !str_trim(rest).len) {
		*ret = step->docs[0].text;
		return str_starts(*ret, STR("#!"))
			? error_set(err, ERROR_UNSUPPORTED,
				  "a script with an interpreter of its own is not offered")
			: 0;
	}
	buf_printf(&text, "%.*s\n", STR_ARG(step->text));
	for (size_t i = 0; i < step->n_docs; i++)
		buf_printf(&text, "%.*s%.*s\n", STR_ARG(step->docs[i].text),
			STR_ARG(step->docs[i].name));
	*ret = build_keep(b, buf_str(&text));
	return 0;
}

static int take_run(struct build *b, const struct dockerfile_step *step, struct error *err)
{
	static const struct str usual[] = { { "/bin/sh", 7 }, { "-c", 2 } };
	const struct stage *stage = build_stage(b);
	struct change *c = &b->change;
	if (choose_network(b, step, &c->network, err) < 0)
		return -1;
	if (step->is_json) {
		c->argv = step->words;
		c->n_argv = step->n_words;
		if (!c->n_argv)
			return error_set(err, ERROR_INVALID, "RUN requires at least one argument");
	} else {
		size_t n = stage->shell.n ? stage->shell.n : ARRAY_LEN(usual);
		c->argv = arena_new_n(&b->arena, struct str, n + 1);
		memcpy(c->argv, stage->shell.n ? stage->shell.items : usual, n * sizeof(*c->argv));
		c->n_argv = n + 1;
		if (run_text(b, step, &c->argv[n], err) < 0)
			return -1;
	}
	key_of_run(b);
	return make_change(b, err);
}

/* As what RUN gives away: told, and root's in the image. */
static void tell_owner(struct build *b, const struct dockerfile_step *step)
{
	struct str owner = dockerfile_flag(step, "chown");
	if (owner.ptr && !str_is(owner, "root") && !str_is(owner, "0") &&
		!str_is(owner, "root:root") && !str_is(owner, "0:0"))
		build_say(b, " ---> [Warning] --chown=%.*s: in the image they are root's\n",
			STR_ARG(str_first(owner, 60)));
}

static int check_mode(struct str mode, struct error *err)
{
	for (size_t i = 0; i < mode.len; i++)
		if (mode.ptr[i] < '0' || mode.ptr[i] > '7' || mode.len > 4)
			return error_set(err, ERROR_INVALID, "--chmod takes octal digits, not %.*s",
				STR_ARG(str_first(mode, 40)));
	return 0;
}

/* --from: a stage by its name or number, an image of the server. */
static int take_from(struct build *b, struct str name, struct error *err)
{
	struct change *c = &b->change;
	int64_t number;
	c->from_path = STR("/");
	for (size_t i = 0; i + 1 < b->n_stages; i++)
		if (b->stages[i].name.len && str_eq_nocase(b->stages[i].name, name)) {
			c->from = &b->stages[i];
			return 0;
		}
	if (num_parse_i64(name, 0, BUILD_STAGES_MAX, &number, NULL) == 0) {
		if ((size_t)number + 1 >= b->n_stages)
			return error_set(err, ERROR_INVALID, "there is no stage %lld before this",
				(long long)number);
		c->from = &b->stages[number];
		return 0;
	}
	stage_fini(&b->source);
	stage_init(b, &b->source);
	c->from = &b->source;
	return stage_begin(b, &b->source, name, err);
}

static int take_docs(struct build *b, const struct dockerfile_step *step, struct error *err)
{
	struct dockerfile_doc *docs = arena_new_n(&b->arena, struct dockerfile_doc,
		step->n_docs + 1);
	for (size_t i = 0; i < step->n_docs; i++) {
		docs[i] = step->docs[i];
		if (!docs[i].is_literal &&
			dockerfile_expand(docs[i].text, b->file.escape, true, stage_lookup, b,
				&b->arena, &docs[i].text, err) < 0)
			return -1;
	}
	b->change.docs = docs;
	b->change.n_docs = step->n_docs;
	return 0;
}

static int take_source(struct build *b, struct str word, struct error *err)
{
	struct change *c = &b->change;
	if (str_starts(word, STR("<<")) && c->n_docs)
		return 0;
	if (b->change.unpacks &&
		(str_starts(word, STR("http://")) || str_starts(word, STR("https://")) ||
			str_starts(word, STR("git@"))))
		return error_set(err, ERROR_UNSUPPORTED,
			"ADD of %.*s: only files of the context are offered",
			STR_ARG(str_first(word, 100)));
	c->sources[c->n_sources++] = word;
	return 0;
}

static int take_dest(struct build *b, struct str dest, struct error *err)
{
	struct change *c = &b->change;
	c->is_dest_dir = str_ends(dest, STR("/")) || str_is(dest, ".") || str_is(dest, "..") ||
		str_ends(dest, STR("/.")) || str_ends(dest, STR("/.."));
	if (path_clean(b, build_stage(b)->workdir, &dest, err) < 0)
		return -1;
	c->dest = dest;
	c->is_dest_dir |= dest.len == 1;
	if (c->n_sources + c->n_docs > 1 && !c->is_dest_dir)
		return error_set(err, ERROR_INVALID,
			"with more than one source file the destination must be a directory and end with a /");
	return 0;
}

static int take_files(struct build *b, const struct dockerfile_step *step, struct error *err)
{
	struct change *c = &b->change;
	struct str from = dockerfile_flag(step, "from"), word;
	if (step->n_words < 2)
		return error_set(err, ERROR_INVALID, "%s requires at least two arguments",
			dockerfile_word(step->kind));
	c->unpacks = step->kind == DOCKERFILE_ADD;
	c->from_path = STR(STAGING_DIR "/context");
	c->mode = dockerfile_flag(step, "chmod");
	c->sources = arena_new_n(&b->arena, struct str, step->n_words);
	tell_owner(b, step);
	if (check_mode(c->mode, err) < 0 || take_docs(b, step, err) < 0)
		return -1;
	if (from.ptr && (stage_word(b, from, &from, err) < 0 || take_from(b, from, err) < 0))
		return -1;
	for (size_t i = 0; i + 1 < step->n_words; i++)
		if ((step->is_json ? (word = step->words[i], 0)
				   : stage_word(b, step->words[i], &word, err)) < 0 ||
			take_source(b, word, err) < 0)
			return -1;
	word = step->words[step->n_words - 1];
	if ((!step->is_json && stage_word(b, word, &word, err) < 0) || take_dest(b, word, err) < 0)
		return -1;
	if (c->n_sources) {
		layer_look(b);
		return 1;
	}
	key_of_files(b, STR(""));
	return make_change(b, err);
}

void steps_have_files(struct build *b, struct str digest)
{
	struct change *c = &b->change;
	struct error err;
	int r = 0;
	if (b->n_found > 1 && !c->is_dest_dir)
		r = error_set(&err, ERROR_INVALID,
			"with more than one source file the destination must be a directory and end with a /");
	if (r == 0) {
		key_of_files(b, digest);
		r = make_change(b, &err);
	}
	if (r < 0) {
		build_fail_step(b, &err);
	} else if (r == 0) {
		layer_free(b); /* the sandbox of --from */
		build_next(b);
	}
}

/* ---- FROM ---- */

/* FROM IMAGE [AS NAME] */
static int check_from(const struct dockerfile_step *step, struct error *err)
{
	bool is_good = step->n_words == 1 ||
		(step->n_words == 3 && str_eq_nocase(step->words[1], STR("AS")));
	return is_good
		? 0
		: error_set(err, ERROR_INVALID,
			  "FROM requires either one argument, or three: FROM <source> [AS <name>]");
}

static int check_platform(struct build *b, const struct dockerfile_step *step, struct error *err)
{
	struct str platform = dockerfile_flag(step, "platform");
	auto_free char *own = mem_printf("linux/%s", images_architecture());
	if (platform.ptr && (stage_word(b, platform, &platform, err) < 0))
		return -1;
	if (!platform.len || str_is(platform, own))
		return 0;
	return error_set(err, ERROR_UNSUPPORTED, "platform %.*s: only %s can be built here",
		STR_ARG(str_first(platform, 60)), own);
}

static int begin_stage(struct build *b, const struct dockerfile_step *step, struct error *err)
{
	struct str base;
	if (check_from(step, err) < 0 || check_platform(b, step, err) < 0 ||
		stage_word(b, step->words[0], &base, err) < 0)
		return -1;
	if (b->n_stages == BUILD_STAGES_MAX)
		return error_set(err, ERROR_LIMIT, "over %d stages", BUILD_STAGES_MAX);
	if (!base.len)
		return error_set(err, ERROR_INVALID, "base name (%.*s) should not be blank",
			STR_ARG(str_first(step->words[0], 60)));
	struct stage *stage = &b->stages[b->n_stages++];
	stage_init(b, stage);
	if (step->n_words == 3)
		stage->name = step->words[2];
	for (size_t i = 0; i + 1 < b->n_stages; i++)
		if (b->stages[i].name.len && str_eq_nocase(b->stages[i].name, base)) {
			stage_copy(b, stage, &b->stages[i]);
			return 0;
		}
	if (stage_begin(b, stage, base, err) < 0)
		return -1;
	if (!str_is(base, "scratch"))
		return 0;
	layer_make_empty(b);
	return 1;
}

/* ---- all of them ---- */

/* Directories that no change has made yet. */
static int make_dirs(struct build *b, struct error *err)
{
	struct sha256 h;
	key_begin(b, &h, "dirs");
	sha256_end(&h, b->change.key);
	return make_change(b, err);
}

static bool is_target(const struct build *b, const struct stage *stage)
{
	return b->wish.target.len && str_eq_nocase(stage->name, b->wish.target);
}

static int take_step(struct build *b, const struct dockerfile_step *step, struct error *err)
{
	if (step->kind == DOCKERFILE_FROM)
		return begin_stage(b, step, err);
	if (!b->n_stages)
		return step->kind == DOCKERFILE_ARG
			? stage_take_arg(b, &b->args, step, err)
			: error_set(err, ERROR_INVALID, "no build stage in current context");
	if (step->kind == DOCKERFILE_RUN)
		return take_run(b, step, err);
	if (step->kind == DOCKERFILE_ADD || step->kind == DOCKERFILE_COPY)
		return take_files(b, step, err);
	if (stage_take(b, step, err) < 0)
		return -1;
	add_history(b, 0, false);
	return 0;
}

static void finish(struct build *b)
{
	struct error err;
	if (b->wish.target.len && (!b->n_stages || !is_target(b, build_stage(b)))) {
		error_set(&err, ERROR_INVALID, "failed to reach build target %.*s in Dockerfile",
			STR_ARG(str_first(b->wish.target, 100)));
		build_fail(b, &err);
		return;
	}
	if (!b->n_stages) {
		error_set(&err, ERROR_INVALID, "no build stage in current context");
		build_fail(b, &err);
		return;
	}
	for (size_t i = 0; i < b->wish.args.n; i++)
		if (!b->is_used[i])
			build_say(b, "[Warning] One or more build-args [%.*s] were not consumed\n",
				STR_ARG(b->wish.args.keys[i]));
	build_finish(b, build_stage(b));
}

static void announce(struct build *b, const struct dockerfile_step *step)
{
	bool is_cut = step->text.len > SHOWN_MAX;
	build_say(b, "Step %zu/%zu : %s %.*s%s\n", b->at, b->file.n, dockerfile_word(step->kind),
		STR_ARG(str_first(step->text, SHOWN_MAX)), is_cut ? "…" : "");
}

/* 0: go on with the next; 1: the build comes back; 2: it has ended; -1. */
static int do_next(struct build *b, struct error *err)
{
	bool at_end = b->at == b->file.n || b->file.steps[b->at].kind == DOCKERFILE_FROM;
	arena_fini(&b->step_arena);
	b->change = (struct change){ 0 };
	b->n_found = 0;
	if (at_end && b->n_stages && build_stage(b)->dirs.n)
		return make_dirs(b, err);
	if (b->at == b->file.n || (at_end && b->n_stages && is_target(b, build_stage(b)))) {
		finish(b);
		return 2;
	}
	if (!arena_has_room(&b->arena, BUILD_ARENA_STEP))
		return error_set(err, ERROR_TOO_LARGE, "the Dockerfile takes too much memory");
	const struct dockerfile_step *step = &b->file.steps[b->at++];
	announce(b, step);
	return take_step(b, step, err);
}

void build_next(struct build *b)
{
	struct error err;
	int r;
	do
		r = do_next(b, &err);
	while (r == 0);
	if (r < 0)
		build_fail_step(b, &err);
}

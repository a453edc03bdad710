/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change, one layer. A change has a sandbox of its own, made of all that is below:
 *
 *	directories   those of WORKDIR
 *	RUN           is executed, its output told; what it left running is killed
 *	COPY, ADD     build_copy.c
 *	layer         what changed goes out of the sandbox as an archive, is hashed here, and comes to lie in the
 *	              staging, whose directory gets the digest as its name
 */
#include "runtime/build_internal.h"

#include "action/file_actions.h"
#include "action/image_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <stdio.h>

static const struct spec_limits build_limits = {
	.memory_bytes = (int64_t)4 << 30,
	.pids = 2048,
	.disk_bytes = (int64_t)8 << 30,
	.disk_inodes = 1024 * 1024,
};

/* ---- sandboxes ---- */

static void on_destroyed(void *arg, const struct error *err)
{
}

static void drop_sandbox(struct build *b, char id[ID_SIZE])
{
	struct error err;
	struct sandbox *s = id[0] ? runtime_find(images_runtime(b->images), str_from(id), &err)
				  : NULL;
	id[0] = '\0';
	if (s)
		runtime_destroy(s, on_destroyed, NULL);
}

void layer_free(struct build *b)
{
	drop_sandbox(b, b->sandbox_id);
	drop_sandbox(b, b->source_id);
}

static int64_t left_ms(const struct build *b)
{
	return MAX(b->deadline_ms - clock_mono_ms(), 1);
}

/*
 * Our own, not asked for by anybody: where they cannot be had (an ordinary user's server), a step
 * goes without.
 */
static struct spec_limits own_limits(const struct build *b)
{
	uint64_t there = runtime_host(images_runtime(b->images))->controls;
	struct spec_limits limits = build_limits;
	limits.memory_bytes = there & 1ull << CONTROL_MEMORY ? limits.memory_bytes : 0;
	limits.pids = there & 1ull << CONTROL_PIDS ? limits.pids : 0;
	return limits;
}

void layer_fill_create(struct build *b, const struct stage *stage, struct create *create)
{
	static struct str keys[] = { { STAGING_LABEL, sizeof(STAGING_LABEL) - 1 } },
			  values[] = { { "image build", 11 } };
	struct spec *spec = &create->spec;
	create->said = UINT32_MAX; /* whatever is standard for others */
	create->labels = (struct field_map){ keys, values, 1 };
	create->timeout_ms = left_ms(b);
	if (stage->base_id.len)
		snprintf(create->image_id, sizeof(create->image_id), "%.*s",
			STR_ARG(stage->base_id));
	spec->image = stage->base;
	if (stage->base == IMAGE_DIR)
		snprintf(spec->image_path, sizeof(spec->image_path), "%s", stage->base_path);
	snprintf(spec->layers_path, sizeof(spec->layers_path), "%s", images_layers_dir(b->images));
	spec->n_layers = stage->n_layers;
	memcpy(spec->layers, stage->layers, sizeof(spec->layers));
	snprintf(spec->workdir, sizeof(spec->workdir),
		"/tmp"); /* no directory that nobody asked for */
	spec->user = USER_ROOT;
	spec->network = NETWORK_NONE;
	spec->limits = own_limits(b);
}

static void fill_limits(const struct build *b, struct spec_limits *l)
{
	const struct spec_limits *wished = &b->wish.limits;
	l->memory_bytes = wished->memory_bytes ? wished->memory_bytes : l->memory_bytes;
	l->pids = wished->pids ? wished->pids : l->pids;
	l->cpu_milli = wished->cpu_milli ? wished->cpu_milli : l->cpu_milli;
	l->disk_bytes = wished->disk_bytes ? wished->disk_bytes : l->disk_bytes;
	l->disk_inodes = wished->disk_inodes ? wished->disk_inodes : l->disk_inodes;
}

/* Where a sandbox that was asked for goes: its id, and what comes then. */
int layer_take_made(struct build *b, struct sandbox *s, const struct error *err, char id[ID_SIZE])
{
	b->is_making = false;
	if (b->is_gone) {
		if (s)
			runtime_destroy(s, on_destroyed, NULL);
		build_cancel(b);
		return -1;
	}
	if (err) {
		build_fail_step(b, err);
		return -1;
	}
	memcpy(id, s->id, ID_SIZE);
	return 0;
}

/* ---- the layer goes out ---- */

/* Of the two calls that a step has at once one is over; the other is cancelled with the build. */
void layer_from_failed(void *arg, const struct error *err)
{
	struct build *b = arg;
	b->from = NULL;
	build_fail_step(b, err);
}

void layer_to_failed(void *arg, const struct error *err)
{
	struct build *b = arg;
	b->to = NULL;
	build_fail_step(b, err);
}

static void on_layer_laid(void *arg, const struct haul_result *result)
{
	struct build *b = arg;
	char dir[32];
	struct error err;
	b->haul = NULL;
	if (result->foreign)
		build_say(b,
			" ---> [Warning] %lld files were given to others than root: in the image they are root's\n",
			(long long)result->foreign);
	snprintf(dir, sizeof(dir), "layer-%d", b->n_layers_made);
	if (staging_keep(b->staging, dir, result->digest, &err) < 0) {
		build_fail_step(b, &err);
		return;
	}
	layer_free(b);
	layer_made(b, result->digest, result->written_bytes);
}

static void on_haul_failed(void *arg, const struct error *err)
{
	struct build *b = arg;
	b->haul = NULL;
	build_fail_step(b, err);
}

void layer_drain(void *arg)
{
	struct build *b = arg;
	if (b->from)
		runtime_call_pause(b->from, false);
}

static void put_excluded(struct jsonw *w)
{
	static const char *const names[] = { "dev", "proc", "sys", "etc/hostname", "etc/hosts",
		"etc/resolv.conf", "var/lib/dpkg/statoverride" };
	jsonw_key(w, "exclude");
	jsonw_open_array(w);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		jsonw_str(w, str_from(names[i]));
	jsonw_close_array(w);
}

void layer_put_upload(struct build *b, const char *path, struct buf *params)
{
	struct jsonw w = JSONW(params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_str(&w, "kind", STR("tar"));
	jsonw_key_int(&w, "max_bytes", b->wish.max_bytes);
	jsonw_close(&w);
}

void layer_take(struct build *b, const struct json *ignored)
{
	static const struct haul_ops ops = { NULL, on_layer_laid, on_haul_failed };
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct error err;
	char path[64];
	struct sandbox *s = build_sandbox(b, b->sandbox_id);
	if (!s)
		return;
	struct sandbox *store = staging_sandbox(b->staging, &err);
	if (!store) {
		build_fail(b, &err);
		return;
	}
	snprintf(path, sizeof(path), STAGING_DIR "/layer-%d", ++b->n_layers_made);
	jsonw_open(&w);
	put_excluded(&w);
	jsonw_close(&w);
	const struct haul_wish wish = { .from = s,
		.to = store,
		.layer_json = buf_str(&params),
		.path = path,
		.max_bytes = b->wish.max_bytes,
		.is_hashed = true };
	b->haul = haul_new(&wish, &ops, b, &err);
	if (!b->haul)
		build_fail_step(b, &err);
}

/* ---- FROM scratch: an archive that holds nothing ---- */

static void on_empty(struct build *b, const struct json *result)
{
	static const char zeros[1024]; /* an empty tar archive */
	char digest[SHA256_HEX_SIZE], dir[32];
	struct stage *stage = build_stage(b);
	struct sha256 h;
	struct error err;
	sha256_init(&h);
	sha256_add(&h, str_from_len(zeros, sizeof(zeros)));
	sha256_end(&h, digest);
	snprintf(dir, sizeof(dir), "layer-%d", b->n_layers_made);
	if (staging_keep(b->staging, dir, digest, &err) < 0) {
		build_fail_step(b, &err);
		return;
	}
	snprintf(stage->layers[stage->n_layers++], SPEC_LAYER_SIZE, "%s", digest);
	build_next(b);
}

void layer_make_empty(struct build *b)
{
	auto_buf struct buf params = BUF_INIT(256);
	buf_printf(&params, "{\"path\":\"" STAGING_DIR "/layer-%d\"}", ++b->n_layers_made);
	build_ask_staging(b, &mkdir_action, buf_str(&params), on_empty);
}

/* ---- RUN ---- */

static void on_output(void *arg, uint8_t channel, struct str bytes)
{
	struct build *b = arg;
	if (b->ops->said)
		b->ops->said(b->arg, bytes);
}

static void put_command(const struct change *c, struct buf *text)
{
	for (size_t i = 0; i < c->n_argv; i++)
		buf_printf(text, "%s%.*s", i ? " " : "", STR_ARG(str_first(c->argv[i], 1000)));
}

static void on_ran(void *arg, struct str text)
{
	struct build *b = arg;
	auto_json struct json *result = NULL;
	auto_buf struct buf command = BUF_INIT(BUILD_TEXT_MAX);
	struct error err;
	b->from = NULL;
	json_parse(text, &result, NULL);
	const struct json *code = json_find(result, "exit_code");
	struct str signal = json_str(json_find(result, "signal"));
	put_command(&b->change, &command);
	if (json_bool(json_find(result, "timed_out"))) {
		error_set(&err, ERROR_TIMEOUT, "the command '%.120s' took too long", command.ptr);
	} else if (json_kind(code) != JSON_KIND_INT) {
		b->exit_code = 137;
		error_set(&err, ERROR_BUILD, "the command '%.120s' was ended by SIG%.*s",
			command.ptr, STR_ARG(signal));
	} else if (json_int(code) != 0) {
		b->exit_code = (int)json_int(code);
		error_set(&err, ERROR_BUILD, "The command '%.120s' returned a non-zero code: %d",
			command.ptr, b->exit_code);
	} else {
		struct sandbox *s = build_sandbox(b, b->sandbox_id);
		if (s)
			build_ask(b, s, &process_kill_all_action, STR("{}"), layer_take);
		return;
	}
	build_fail_step(b, &err);
}

static void put_variables(struct build *b, struct jsonw *w)
{
	const struct stage *stage = build_stage(b);
	jsonw_key(w, "env");
	jsonw_open(w);
	for (size_t i = 0; i < stage->args.n; i++)
		if (!pairs_find(&stage->env, stage->args.keys[i]).ptr) {
			jsonw_key_dyn(w, stage->args.keys[i]);
			jsonw_str(w, stage->args.values[i]);
		}
	for (size_t i = 0; i < stage->env.n; i++) {
		jsonw_key_dyn(w, stage->env.keys[i]);
		jsonw_str(w, stage->env.values[i]);
	}
	jsonw_close(w);
}

static void start_run(struct build *b)
{
	static const struct call_sink sink = {
		.data = on_output,
		.result = on_ran,
		.error = layer_from_failed,
	};
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX);
	const struct stage *stage = build_stage(b);
	const struct change *c = &b->change;
	struct jsonw w = JSONW(&params);
	struct sandbox *s = build_sandbox(b, b->sandbox_id);
	if (!s)
		return;
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	for (size_t i = 0; i < c->n_argv; i++)
		jsonw_str(&w, c->argv[i]);
	jsonw_close_array(&w);
	put_variables(b, &w);
	jsonw_key_str(&w, "cwd", stage->workdir.len ? stage->workdir : STR("/"));
	if (stage->user.len)
		jsonw_key_str(&w, "user", stage->user);
	jsonw_key_int(&w, "timeout_ms", MIN(left_ms(b), BUILD_MAX_MS));
	jsonw_key_int(&w, "log_bytes", 1024);
	jsonw_close(&w);
	build_say(b, " ---> Running in %.12s\n", b->sandbox_id);
	b->from = runtime_perform(s, &exec_action, buf_str(&params), &sink, b);
	if (b->is_paused)
		runtime_call_pause(b->from, true);
}

/* ---- the sandbox of a change ---- */

/* One directory of WORKDIR after the other, then what the change is. */
static void give_dirs(struct build *b, const struct json *result)
{
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX);
	struct stage *stage = build_stage(b);
	struct jsonw w = JSONW(&params);
	bool has_workdir = b->change.argv && stage->workdir.len > 1;
	if (b->at_dir < stage->dirs.n + has_workdir) {
		struct sandbox *s = build_sandbox(b, b->sandbox_id);
		if (!s)
			return;
		jsonw_open(&w);
		jsonw_key_str(&w, "path",
			b->at_dir < stage->dirs.n ? stage->dirs.items[b->at_dir] : stage->workdir);
		jsonw_close(&w);
		b->at_dir++;
		build_ask(b, s, &mkdir_action, buf_str(&params), give_dirs);
	} else if (b->change.argv) {
		start_run(b);
	} else if (b->n_found) {
		layer_give_files(b);
	} else {
		layer_give_docs(b);
	}
}

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct build *b = arg;
	if (layer_take_made(b, s, err, b->sandbox_id) == 0)
		give_dirs(b, NULL);
}

void layer_make(struct build *b)
{
	auto_free struct create *create = mem_new(struct create);
	layer_fill_create(b, build_stage(b), create);
	fill_limits(b, &create->spec.limits);
	create->spec.keeps_layer = LAYER_OF_IMAGE;
	if (b->change.argv) {
		create->spec.network = b->change.network;
		if (b->change.network == NETWORK_PROXY)
			create->allow = b->wish.allow;
	}
	b->at_dir = b->at_found = b->at_doc = 0;
	b->is_making = true;
	runtime_create(images_runtime(b->images), create, on_made, b);
}

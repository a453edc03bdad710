/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change, one layer. A change has a sandbox of its own, made of all that is below:
 *
 *	directories   those of WORKDIR
 *	RUN           is executed, its output told; what it left running is killed
 *	COPY, ADD     what the sources are was found out before (layer_look), in the context or in a sandbox of the
 *	              image named by --from. They go from there into the new sandbox: files as one archive, archives that
 *	              ADD unpacks one by one, here-documents as what they are
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

static void give_dirs(struct build *b, const struct json *result);

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

/* Our own, not asked for by anybody: where they cannot be had (an ordinary user's server), a step goes without. */
static struct spec_limits own_limits(const struct build *b)
{
	uint64_t there = runtime_host(images_runtime(b->images))->controls;
	struct spec_limits limits = build_limits;
	limits.memory_bytes = there & 1ull << CONTROL_MEMORY ? limits.memory_bytes : 0;
	limits.pids = there & 1ull << CONTROL_PIDS ? limits.pids : 0;
	return limits;
}

static void fill_create(struct build *b, const struct stage *stage, struct create *create)
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
static int take_made(struct build *b, struct sandbox *s, const struct error *err, char id[ID_SIZE])
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
static void on_from_error(void *arg, const struct error *err)
{
	struct build *b = arg;
	b->from = NULL;
	build_fail_step(b, err);
}

static void on_to_error(void *arg, const struct error *err)
{
	struct build *b = arg;
	b->to = NULL;
	build_fail_step(b, err);
}

static void on_layer_kept(void *arg, struct str text)
{
	struct build *b = arg;
	auto_json struct json *result = NULL;
	char digest[SHA256_HEX_SIZE], dir[32];
	struct error err;
	b->to = NULL;
	json_parse(text, &result, NULL);
	sha256_end(&b->hash, digest);
	snprintf(dir, sizeof(dir), "layer-%d", b->n_layers_made);
	if (staging_keep(b->staging, dir, digest, &err) < 0) {
		build_fail_step(b, &err);
		return;
	}
	layer_free(b);
	layer_made(b, digest, json_int(json_find(result, "written_bytes")));
}

static void on_layer_bytes(void *arg, uint8_t channel, struct str bytes)
{
	struct build *b = arg;
	sha256_add(&b->hash, bytes);
	if (!b->to)
		return;
	runtime_call_send(b->to, 0, bytes);
	if (runtime_call_is_full(b->to))
		runtime_call_pause(b->from, true);
}

static void on_drain(void *arg)
{
	struct build *b = arg;
	if (b->from)
		runtime_call_pause(b->from, false);
}

static void on_layer_given(void *arg, struct str text)
{
	struct build *b = arg;
	auto_json struct json *result = NULL;
	b->from = NULL;
	json_parse(text, &result, NULL);
	int64_t foreign = json_int(json_find(result, "foreign"));
	if (foreign)
		build_say(b,
			" ---> [Warning] %lld files were given to others than root: in the image they are root's\n",
			(long long)foreign);
	runtime_call_eof(b->to, 0);
}

static void put_excluded(struct jsonw *w)
{
	static const char *const names[] = { "dev", "proc", "sys", "etc/hostname", "etc/hosts",
		"etc/resolv.conf" };
	jsonw_key(w, "exclude");
	jsonw_open_array(w);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		jsonw_str(w, str_from(names[i]));
	jsonw_close_array(w);
}

static void put_upload(struct build *b, const char *path, bool is_layer, struct buf *params)
{
	struct jsonw w = JSONW(params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(path));
	jsonw_key_str(&w, "kind", STR("tar"));
	if (is_layer)
		jsonw_key_bool(&w, "layer", true);
	jsonw_key_int(&w, "max_bytes", b->wish.max_bytes);
	jsonw_close(&w);
}

static void take_layer(struct build *b, const struct json *ignored)
{
	static const struct call_sink to_sink = {
		.drain = on_drain,
		.result = on_layer_kept,
		.error = on_to_error,
	};
	static const struct call_sink from_sink = {
		.data = on_layer_bytes,
		.result = on_layer_given,
		.error = on_from_error,
	};
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX);
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
	put_upload(b, path, true, &params);
	sha256_init(&b->hash);
	b->to = call_perform_quietly(store, &upload_action, buf_str(&params), &to_sink, b);
	buf_reset(&params);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	put_excluded(&w);
	jsonw_close(&w);
	b->from = call_perform_quietly(s, &layer_action, buf_str(&params), &from_sink, b);
}

/* ---- FROM scratch: an archive that holds nothing ---- */

static void on_empty(struct build *b, const struct json *result)
{
	static const char zeros[1024]; /* an empty tar archive */
	char digest[SHA256_HEX_SIZE], dir[32];
	struct stage *stage = build_stage(b);
	struct error err;
	sha256_init(&b->hash);
	sha256_add(&b->hash, str_from_len(zeros, sizeof(zeros)));
	sha256_end(&b->hash, digest);
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
			build_ask(b, s, &process_kill_all_action, STR("{}"), take_layer);
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
		.error = on_from_error,
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

/* ---- COPY and ADD ---- */

static void give_files(struct build *b);
static void give_archive(struct build *b);
static void give_doc(struct build *b);

static struct sandbox *source_sandbox(struct build *b)
{
	struct error err;
	struct sandbox *s = b->change.from
		? runtime_find(images_runtime(b->images), str_from(b->source_id), &err)
		: staging_sandbox(b->staging, &err);
	if (!s)
		build_fail(b, &err);
	return s;
}

static void on_given(void *arg, struct str text)
{
	struct build *b = arg;
	b->from = NULL;
	if (b->to)
		runtime_call_eof(b->to, 0);
}

static void on_bytes(void *arg, uint8_t channel, struct str bytes)
{
	struct build *b = arg;
	if (!b->to)
		return;
	runtime_call_send(b->to, 0, bytes);
	if (runtime_call_is_full(b->to))
		runtime_call_pause(b->from, true);
}

static void on_files_taken(void *arg, struct str text)
{
	struct build *b = arg;
	b->to = NULL;
	give_archive(b);
}

static void on_archive_taken(void *arg, struct str text)
{
	struct build *b = arg;
	b->to = NULL;
	b->at_found++;
	give_archive(b);
}

static void put_gather(struct build *b, bool is_digest, const struct str *sources, size_t n,
	const char *name, struct buf *params)
{
	const struct change *c = &b->change;
	struct jsonw w = JSONW(params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", c->from_path);
	jsonw_key(&w, "sources");
	jsonw_open_array(&w);
	for (size_t i = 0; i < n; i++)
		if (is_digest || !c->unpacks || !b->is_archive[i])
			jsonw_str(&w, sources[i]);
	jsonw_close_array(&w);
	if (!c->from)
		jsonw_key_str(&w, "ignore", b->ignore);
	if (c->mode.len)
		jsonw_key_str(&w, "mode", c->mode);
	if (name)
		jsonw_key_str(&w, "name", str_from(name));
	jsonw_key_bool(&w, is_digest ? "digest" : "literal", true);
	jsonw_close(&w);
}

/* From the source's sandbox into the change's. */
static void carry(struct build *b, const struct action *action, struct str params,
	void (*taken)(void *arg, struct str text))
{
	static const struct call_sink from_sink = { .data = on_bytes,
		.result = on_given,
		.error = on_from_error };
	static const struct call_sink file_sink = { .drain = on_drain,
		.result = on_files_taken,
		.error = on_to_error };
	static const struct call_sink archive_sink = { .drain = on_drain,
		.result = on_archive_taken,
		.error = on_to_error };
	auto_buf struct buf upload = BUF_INIT(BUILD_PARAMS_MAX);
	struct sandbox *from = source_sandbox(b);
	struct sandbox *to = from ? build_sandbox(b, b->sandbox_id) : NULL;
	if (!to)
		return;
	put_upload(b, b->upload_to, false, &upload);
	b->to = call_perform_quietly(to, &upload_action, buf_str(&upload),
		taken == on_files_taken ? &file_sink : &archive_sink, b);
	b->from = call_perform_quietly(from, action, params, &from_sink, b);
}

/* "/a/b" is the file b in /a, unless /a/b is a directory or has to be one. */
static const char *split_dest(struct build *b, bool is_dir)
{
	const struct change *c = &b->change;
	snprintf(b->upload_to, sizeof(b->upload_to), "%.*s", STR_ARG(c->dest));
	if (is_dir)
		return NULL;
	char *slash = strrchr(b->upload_to, '/');
	const char *name = arena_str(&b->step_arena, str_from(slash + 1));
	slash[slash == b->upload_to] = '\0';
	return name;
}

static void on_dest(struct build *b, const struct json *result)
{
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX);
	bool is_dir = b->change.is_dest_dir ||
		str_is(json_str(json_find(result, "type")), "directory");
	b->change.is_dest_dir |= is_dir;
	const char *name = split_dest(b, is_dir || !b->has_one_file);
	put_gather(b, false, b->found, b->n_found, name, &params);
	size_t n_archives = 0;
	for (size_t i = 0; i < b->n_found; i++)
		n_archives += b->change.unpacks && b->is_archive[i];
	if (n_archives == b->n_found)
		give_archive(b);
	else
		carry(b, &gather_action, buf_str(&params), on_files_taken);
}

static void give_files(struct build *b)
{
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	struct sandbox *s = build_sandbox(b, b->sandbox_id);
	if (!s)
		return;
	jsonw_open(&w);
	jsonw_key_str(&w, "path", b->change.dest);
	jsonw_close(&w);
	b->may_be_missing = true;
	build_ask(b, s, &stat_action, buf_str(&params), on_dest);
}

static void give_archive(struct build *b)
{
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX),
			    path = BUF_INIT(2 * SPEC_PATH_SIZE);
	struct jsonw w = JSONW(&params);
	while (b->at_found < b->n_found && !(b->change.unpacks && b->is_archive[b->at_found]))
		b->at_found++;
	if (b->at_found == b->n_found) {
		give_doc(b);
		return;
	}
	split_dest(b, true);
	buf_printf(&path, "%.*s/%.*s", STR_ARG(b->change.from_path),
		STR_ARG(b->found[b->at_found]));
	jsonw_open(&w);
	jsonw_key_str(&w, "path", buf_str(&path));
	jsonw_close(&w);
	carry(b, &download_action, buf_str(&params), on_archive_taken);
}

static void on_doc_taken(void *arg, struct str text)
{
	struct build *b = arg;
	b->to = NULL;
	b->at_doc++;
	give_doc(b);
}

static void give_doc(struct build *b)
{
	static const struct call_sink sink = { .result = on_doc_taken, .error = on_to_error };
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX),
			    path = BUF_INIT(2 * SPEC_PATH_SIZE);
	const struct change *c = &b->change;
	if (b->at_doc == c->n_docs) {
		take_layer(b, NULL);
		return;
	}
	const struct dockerfile_doc *doc = &c->docs[b->at_doc];
	struct jsonw w = JSONW(&params);
	struct sandbox *s = build_sandbox(b, b->sandbox_id);
	if (!s)
		return;
	buf_printf(&path, "%.*s%s%.*s", STR_ARG(c->dest), c->is_dest_dir ? "/" : "",
		STR_ARG(c->is_dest_dir ? doc->name : STR("")));
	jsonw_open(&w);
	jsonw_key_str(&w, "path", buf_str(&path));
	jsonw_key_str(&w, "mode", c->mode.len ? c->mode : STR("0644"));
	jsonw_close(&w);
	b->to = call_perform_quietly(s, &upload_action, buf_str(&params), &sink, b);
	runtime_call_send(b->to, 0, doc->text);
	runtime_call_eof(b->to, 0);
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
		give_files(b);
	} else {
		give_doc(b);
	}
}

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct build *b = arg;
	if (take_made(b, s, err, b->sandbox_id) == 0)
		give_dirs(b, NULL);
}

void layer_make(struct build *b)
{
	auto_free struct create *create = mem_new(struct create);
	fill_create(b, build_stage(b), create);
	fill_limits(b, &create->spec.limits);
	create->spec.keeps_layer = 1;
	if (b->change.argv) {
		create->spec.network = b->change.network;
		if (b->change.network == NETWORK_PROXY)
			create->allow = b->wish.allow;
	}
	b->at_dir = b->at_found = b->at_doc = 0;
	b->is_making = true;
	runtime_create(images_runtime(b->images), create, on_made, b);
}

/* ---- what the sources are ---- */

static void on_looked(struct build *b, const struct json *result)
{
	const struct json *items = json_find(result, "items");
	size_t n = json_len(items);
	b->found = arena_new_n(&b->step_arena, struct str, n + 1);
	b->is_archive = arena_new_n(&b->step_arena, bool, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct str path = json_str(json_find(json_at(items, i), "path"));
		struct str kind = json_str(json_find(json_at(items, i), "kind"));
		b->found[i] = str_from_len(arena_str(&b->step_arena, path), path.len);
		b->is_archive[i] = str_is(kind, "archive");
		b->has_one_file = n == 1 && !str_is(kind, "directory");
	}
	b->n_found = n;
	steps_have_files(b, json_str(json_find(result, "digest")));
}

static void ask_what(struct build *b)
{
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX);
	struct sandbox *s = source_sandbox(b);
	if (!s)
		return;
	put_gather(b, true, b->change.sources, b->change.n_sources, NULL, &params);
	build_ask(b, s, &gather_action, buf_str(&params), on_looked);
}

static void on_source_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct build *b = arg;
	if (take_made(b, s, err, b->source_id) == 0)
		ask_what(b);
}

void layer_look(struct build *b)
{
	if (!b->change.from) {
		ask_what(b);
		return;
	}
	auto_free struct create *create = mem_new(struct create);
	fill_create(b, b->change.from, create);
	b->is_making = true;
	runtime_create(images_runtime(b->images), create, on_source_made, b);
}

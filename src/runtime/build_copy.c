/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COPY and ADD. What the sources are is found out first (layer_look), in the context or in a
 * sandbox of the image named by --from. They go from there into the new sandbox: files as one
 * archive, archives that ADD unpacks one by one, here-documents as what they are.
 */
#include "runtime/build_internal.h"

#include "action/file_actions.h"
#include "action/image_actions.h"
#include "base/auto.h"
#include "base/bug.h"

static void give_archive(struct build *b);

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
		.error = layer_from_failed };
	static const struct call_sink file_sink = { .drain = layer_drain,
		.result = on_files_taken,
		.error = layer_to_failed };
	static const struct call_sink archive_sink = { .drain = layer_drain,
		.result = on_archive_taken,
		.error = layer_to_failed };
	auto_buf struct buf upload = BUF_INIT(BUILD_PARAMS_MAX);
	struct sandbox *from = source_sandbox(b);
	struct sandbox *to = from ? build_sandbox(b, b->sandbox_id) : NULL;
	if (!to)
		return;
	layer_put_upload(b, b->upload_to, &upload);
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

void layer_give_files(struct build *b)
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
		layer_give_docs(b);
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
	layer_give_docs(b);
}

void layer_give_docs(struct build *b)
{
	static const struct call_sink sink = { .result = on_doc_taken, .error = layer_to_failed };
	auto_buf struct buf params = BUF_INIT(BUILD_PARAMS_MAX),
			    path = BUF_INIT(2 * SPEC_PATH_SIZE);
	const struct change *c = &b->change;
	if (b->at_doc == c->n_docs) {
		layer_take(b, NULL);
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
	if (layer_take_made(b, s, err, b->source_id) == 0)
		ask_what(b);
}

void layer_look(struct build *b)
{
	if (!b->change.from) {
		ask_what(b);
		return;
	}
	auto_free struct create *create = mem_new(struct create);
	layer_fill_create(b, b->change.from, create);
	b->is_making = true;
	runtime_create(images_runtime(b->images), create, on_source_made, b);
}

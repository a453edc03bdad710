/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. One step after the other, each a call into the import's own sandbox, which
 * sees its staging directory (layers/new-ID) as /image:
 *
 *	upload    the archive is unpacked into /image/tree, and hashed: a root file system is done then
 *	manifest  /image/tree/manifest.json (docker save), else index.json (OCI), whose blobs are followed
 *	config    of the next image
 *	layer     /image/tree/BLOB is unpacked to /image/layer-N (import_layer.h); its directory gets the digest
 *	          as its name
 *
 * The staging directory is the server's, so that renaming out of it is too; what is left of it is
 * removed behind the import, or by the next server. The sandbox has a deadline of its own.
 */
#include "runtime/import.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/disk.h"
#include "runtime/import_layer.h"
#include "runtime/internal.h"
#include "runtime/manifest.h"
#include "runtime/staging.h"

#include <stdio.h>

enum { EARLY_MAX = 1024 * 1024, IMPORT_MS = 3600 * 1000, DEPTH_MAX = 4 };

struct import {
	struct images *images;
	struct import_wish wish;
	char *name, *config_json;
	const struct import_ops *ops;
	void *arg;
	struct staging *staging;
	struct runtime_call *upload; /* of the archive; NULL: not yet, or over */
	struct buf early;            /* came before that */
	bool has_eof;
	struct sha256 hash; /* of the archive */
	struct runtime_call *reading;
	struct import_layer *layer; /* under way */
	struct entry entries[IMPORT_RESULTS_MAX];
	size_t n_entries, at_entry, at_layer;
	struct image image; /* the one being taken in */
	struct buf config;
	int depth; /* of indexes in indexes */
	int64_t written_bytes;
	char *ids[IMPORT_RESULTS_MAX];
	size_t n_ids;
	void (*then)(struct import *in, struct str text);
};

static void next_layer(struct import *in);
static void next_entry(struct import *in);

/* ---- the end ---- */

static void release(struct import *in)
{
	if (in->upload)
		runtime_call_cancel(in->upload);
	if (in->reading)
		runtime_call_cancel(in->reading);
	import_layer_cancel(in->layer);
	staging_close(in->staging);
	for (size_t i = 0; i < in->n_entries; i++)
		entry_fini(&in->entries[i]);
	for (size_t i = 0; i < in->n_ids; i++)
		free(in->ids[i]);
	free(in->image.architecture);
	buf_fini(&in->early);
	buf_fini(&in->config);
	free(in->name);
	free(in->config_json);
	free(in);
}

void import_cancel(struct import *in)
{
	if (in)
		release(in);
}

static void fail(struct import *in, const struct error *err)
{
	const struct import_ops *ops = in->ops;
	void *arg = in->arg;
	struct error copy = *err;
	release(in);
	ops->failed(arg, &copy);
}

static void fail_text(struct import *in, enum error_code code, const char *text)
{
	struct error err;
	error_set(&err, code, "%s", text);
	fail(in, &err);
}

static void succeed(struct import *in)
{
	char *ids[IMPORT_RESULTS_MAX];
	size_t n = in->n_ids;
	const struct import_ops *ops = in->ops;
	void *arg = in->arg;
	memcpy(ids, in->ids, sizeof(ids));
	in->n_ids = 0;
	release(in);
	ops->done(arg, (const char *const *)ids, n);
	for (size_t i = 0; i < n; i++)
		free(ids[i]);
}

static struct sandbox *sandbox_of(struct import *in)
{
	struct error err;
	struct sandbox *s = staging_sandbox(in->staging, &err);
	if (!s)
		fail(in, &err);
	return s;
}

/* ---- an image is complete ---- */

/* The one that was asked for, else those in the archive. */
static size_t put_names(const struct import *in, const struct entry *entry,
	struct str ret[MANIFEST_NAMES_MAX])
{
	size_t n = 0;
	if (in->name && in->at_entry == 0)
		ret[n++] = str_from(in->name);
	for (size_t i = 0; entry && !in->name && i < entry->n_names; i++)
		ret[n++] = str_from(entry->names[i]);
	return n;
}

/* id: NULL: that of config_json. */
static int add_image(struct import *in, const char *id, struct str config_json,
	const struct entry *entry, struct error *err)
{
	struct image *image;
	char own_id[SHA256_HEX_SIZE];
	in->image.size_bytes = in->written_bytes;
	if (!in->image.created_ms)
		in->image.created_ms = clock_wall_ms();
	if (!in->image.architecture)
		in->image.architecture = str_dup(STR(""));
	if (!id) {
		struct sha256 h;
		sha256_init(&h);
		for (uint32_t i = 0; i < in->image.n_layers; i++)
			sha256_add(&h, str_from(in->image.layers[i]));
		sha256_add(&h, config_json);
		sha256_end(&h, own_id);
		id = own_id;
	}
	struct str names[MANIFEST_NAMES_MAX];
	size_t n = put_names(in, entry, names);
	if (images_add(in->images, id, &in->image, config_json, names, n, &image, err) < 0)
		return -1;
	in->ids[in->n_ids++] = str_dup(str_from(image->id));
	return 0;
}

static int push_layer(struct import *in, const char *digest, struct error *err)
{
	return layers_push(in->image.layers, &in->image.n_layers, digest, err);
}

/* ---- a root file system ---- */

static void finish_tree(struct import *in)
{
	char digest[SHA256_HEX_SIZE];
	struct error err;
	sha256_end(&in->hash, digest);
	struct str config = in->config_json ? str_from(in->config_json) : STR("{}");
	if (staging_keep(in->staging, "tree", digest, &err) < 0 ||
		push_layer(in, digest, &err) < 0 || add_image(in, NULL, config, NULL, &err) < 0)
		fail(in, &err);
	else
		succeed(in);
}

/* ---- reading JSON of the archive ---- */

static void on_read(void *arg, struct str text)
{
	struct import *in = arg;
	auto_json struct json *result = NULL;
	in->reading = NULL;
	json_parse(text, &result, NULL);
	if (json_bool(json_find(result, "truncated"))) {
		fail_text(in, ERROR_TOO_LARGE,
			"a manifest or configuration of the archive is too large");
		return;
	}
	in->then(in, json_str(json_find(result, "content")));
}

/* Missing is what it is to find out whether the archive is an image at all. */
static void on_not_read(void *arg, const struct error *err)
{
	struct import *in = arg;
	in->reading = NULL;
	if (err->code == ERROR_NOT_FOUND)
		in->then(in, STR_NONE);
	else
		fail(in, err);
}

static void read_file(struct import *in, const char *path,
	void (*then)(struct import *in, struct str text))
{
	static const struct call_sink sink = { .result = on_read, .error = on_not_read };
	auto_buf struct buf params = BUF_INIT(8192);
	struct sandbox *s = sandbox_of(in);
	if (!s)
		return;
	struct jsonw w = JSONW(&params);
	auto_free char *full = mem_printf("/image/tree/%s", path);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", str_from(full));
	jsonw_key_int(&w, "max_bytes", IMAGE_JSON_MAX);
	jsonw_close(&w);
	in->then = then;
	in->reading = runtime_perform(s, &read_action, buf_str(&params), &sink, in);
}

/* ---- docker save ---- */

static void on_manifest(struct import *in, const struct json *manifest)
{
	struct error err;
	size_t n = json_len(manifest);
	if (json_kind(manifest) != JSON_KIND_ARRAY || n < 1 || n > IMPORT_RESULTS_MAX) {
		fail_text(in, ERROR_INVALID, "manifest.json lists no images, or too many");
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (entry_from_docker(&in->entries[in->n_entries++], json_at(manifest, i), &err) <
			0) {
			fail(in, &err);
			return;
		}
	next_entry(in);
}

/* ---- OCI layout ---- */

static void on_oci_blob(struct import *in, struct str text);

static void follow_index(struct import *in, const struct json *index)
{
	struct entry *e = &in->entries[0];
	struct str name;
	struct blob blob;
	struct error err;
	if (++in->depth > DEPTH_MAX) {
		fail_text(in, ERROR_INVALID, "indexes in indexes");
		return;
	}
	if (index_follow(index, images_architecture(), &blob, &name, &err) < 0) {
		error_wrap(&err, "index.json");
		fail(in, &err);
		return;
	}
	if (name.len && e->n_names == 0) {
		e->names = mem_new(char *);
		e->names[e->n_names++] = str_dup(name);
	}
	read_file(in, blob.path, on_oci_blob);
}

static void on_oci_blob(struct import *in, struct str text)
{
	auto_json struct json *blob = NULL;
	struct error err;
	if (!text.ptr || json_parse(text, &blob, &err) < 0) {
		fail_text(in, ERROR_INVALID, "a manifest of the archive is missing, or is no JSON");
		return;
	}
	if (json_find(blob, "manifests"))
		follow_index(in, blob);
	else if (entry_from_oci(&in->entries[0], blob, &err) < 0)
		fail(in, &err);
	else
		next_entry(in);
}

static void on_index_text(struct import *in, struct str text)
{
	auto_json struct json *index = NULL;
	if (!text.ptr && in->wish.kind == IMPORT_ANY) {
		finish_tree(in);
		return;
	}
	if (!text.ptr || json_parse(text, &index, NULL) < 0) {
		fail_text(in, ERROR_INVALID,
			"the archive holds no image: neither manifest.json nor index.json is in it");
		return;
	}
	in->n_entries = 1;
	follow_index(in, index);
}

static void on_manifest_text(struct import *in, struct str text)
{
	auto_json struct json *manifest = NULL;
	if (!text.ptr) {
		read_file(in, "index.json", on_index_text);
		return;
	}
	if (json_parse(text, &manifest, NULL) < 0 || json_kind(manifest) != JSON_KIND_ARRAY) {
		if (in->wish.kind == IMPORT_ANY)
			finish_tree(in); /* a file of that name in somebody's root */
		else
			fail_text(in, ERROR_INVALID,
				"manifest.json is not what docker save writes");
		return;
	}
	on_manifest(in, manifest);
}

/* ---- one image ---- */

/* What our records keep of a configuration: the part named "config". */
static void finish_entry(struct import *in)
{
	struct entry *e = &in->entries[in->at_entry];
	auto_json struct json *all = NULL;
	auto_buf struct buf own = BUF_INIT(IMAGE_JSON_MAX);
	char id[SHA256_HEX_SIZE];
	struct sha256 h;
	struct error err;
	sha256_init(&h);
	sha256_add(&h, buf_str(&in->config));
	sha256_end(&h, id);
	json_parse(buf_str(&in->config), &all, NULL);
	const struct json *config = json_find(all, "config");
	if (json_kind(config) == JSON_KIND_OBJECT)
		json_write(config, &own);
	else
		buf_puts(&own, "{}");
	in->image.architecture = str_dup(json_str(json_find(all, "architecture")));
	if (add_image(in, id, buf_str(&own), e, &err) < 0) {
		fail(in, &err);
		return;
	}
	in->at_entry++;
	next_entry(in);
}

static int check_config(struct import *in, struct str text, struct error *err)
{
	struct entry *e = &in->entries[in->at_entry];
	auto_json struct json *config = NULL;
	char digest[SHA256_HEX_SIZE];
	struct sha256 h;
	if (!text.ptr || json_parse(text, &config, err) < 0)
		return error_set(err, ERROR_INVALID,
			"the configuration %.100s is missing, or no JSON", e->config.path);
	sha256_init(&h);
	sha256_add(&h, text);
	sha256_end(&h, digest);
	if (e->config.digest[0] && strcmp(e->config.digest, digest) != 0)
		return error_set(err, ERROR_INVALID,
			"the configuration does not have the digest %.12s…", e->config.digest);
	buf_reset(&in->config);
	buf_put(&in->config, text);
	return entry_check_config(e, config, err);
}

static void on_config_text(struct import *in, struct str text)
{
	struct error err;
	if (check_config(in, text, &err) < 0) {
		fail(in, &err);
		return;
	}
	in->at_layer = 0;
	next_layer(in);
}

static void next_entry(struct import *in)
{
	if (in->at_entry == in->n_entries) {
		succeed(in);
		return;
	}
	free(in->image.architecture);
	in->image = (struct image){ .base = IMAGE_LAYERS };
	read_file(in, in->entries[in->at_entry].config.path, on_config_text);
}

/* ---- one layer ---- */

static int take_layer(struct import *in, const char *digest, struct error *err)
{
	const struct blob *blob = &in->entries[in->at_entry].layers[in->at_layer];
	char dir[32];
	snprintf(dir, sizeof(dir), "layer-%zu-%zu", in->at_entry, in->at_layer);
	if (blob->digest[0] && strcmp(blob->digest, digest) != 0)
		return error_set(err, ERROR_INVALID,
			"layer %zu does not have the digest %.12s… it claims", in->at_layer + 1,
			blob->digest);
	if (staging_keep(in->staging, dir, digest, err) < 0 || push_layer(in, digest, err) < 0)
		return -1;
	in->at_layer++;
	return 0;
}

static void on_layer_made(void *arg, const char *digest, int64_t written_bytes)
{
	struct import *in = arg;
	struct error err;
	in->layer = NULL;
	in->written_bytes += written_bytes;
	if (take_layer(in, digest, &err) < 0)
		fail(in, &err);
	else
		next_layer(in);
}

static void on_layer_failed(void *arg, const struct error *err)
{
	struct import *in = arg;
	struct error copy = *err;
	in->layer = NULL;
	disk_blame(&copy);
	fail(in, &copy);
}

static void start_layer(struct import *in, struct sandbox *s, const struct blob *blob)
{
	static const struct import_layer_ops ops = { on_layer_made, on_layer_failed };
	auto_free char *from = mem_printf("/image/tree/%s", blob->path);
	auto_free char *to = mem_printf("/image/layer-%zu-%zu", in->at_entry, in->at_layer);
	int64_t max_bytes = MAX(in->wish.max_bytes - in->written_bytes, 1);
	in->layer = import_layer_new(s, from, to, max_bytes, &ops, in);
}

static void next_layer(struct import *in)
{
	struct entry *e = &in->entries[in->at_entry];
	struct error err;
	if (in->at_layer == e->n_layers) {
		finish_entry(in);
		return;
	}
	const struct blob *blob = &e->layers[in->at_layer];
	/* What bears this digest had it when it was made: there is no need to look again. */
	if (blob->digest[0] && images_has_layer(in->images, blob->digest)) {
		if (push_layer(in, blob->digest, &err) < 0) {
			fail(in, &err);
			return;
		}
		in->at_layer++;
		next_layer(in);
		return;
	}
	struct sandbox *s = sandbox_of(in);
	if (s)
		start_layer(in, s, blob);
}

/* ---- the archive itself ---- */

static void on_unpacked(void *arg, struct str text)
{
	struct import *in = arg;
	auto_json struct json *result = NULL;
	in->upload = NULL;
	json_parse(text, &result, NULL);
	in->written_bytes = json_int(json_find(result, "written_bytes"));
	if (json_int(json_find(result, "entries")) == 0)
		fail_text(in, ERROR_INVALID, "the archive is empty");
	else if (in->wish.kind == IMPORT_TREE)
		finish_tree(in);
	else
		read_file(in, "manifest.json", on_manifest_text);
}

static void on_not_unpacked(void *arg, const struct error *err)
{
	struct import *in = arg;
	struct error copy = *err;
	in->upload = NULL;
	disk_blame(&copy);
	fail(in, &copy);
}

static void on_taken(void *arg)
{
	struct import *in = arg;
	in->ops->drain(in->arg);
}

static void start_upload(struct import *in, struct sandbox *s)
{
	static const struct call_sink sink = {
		.drain = on_taken,
		.result = on_unpacked,
		.error = on_not_unpacked,
	};
	auto_buf struct buf params = BUF_INIT(1024);
	buf_printf(&params,
		"{\"path\":\"/image/tree\",\"kind\":\"tar\",\"layer\":true,\"max_bytes\":%lld}",
		(long long)in->wish.max_bytes);
	in->upload = runtime_perform(s, &upload_action, buf_str(&params), &sink, in);
	runtime_call_send(in->upload, 0, buf_str(&in->early));
	buf_fini(&in->early);
	if (in->has_eof)
		runtime_call_eof(in->upload, 0);
	else if (!runtime_call_is_full(in->upload))
		in->ops->drain(in->arg);
}

static void on_open(void *arg, const struct error *err)
{
	struct import *in = arg;
	if (err) {
		fail(in, err);
		return;
	}
	struct sandbox *s = sandbox_of(in);
	if (s)
		start_upload(in, s);
}

void import_send(struct import *in, struct str bytes)
{
	sha256_add(&in->hash, bytes);
	if (in->upload)
		runtime_call_send(in->upload, 0, bytes);
	else
		buf_put(&in->early, bytes);
}

void import_eof(struct import *in)
{
	in->has_eof = true;
	if (in->upload)
		runtime_call_eof(in->upload, 0);
}

bool import_is_full(const struct import *in)
{
	return in->upload ? runtime_call_is_full(in->upload) : in->early.len > EARLY_MAX / 4;
}

struct import *import_new(struct images *images, const struct import_wish *wish,
	const struct import_ops *ops, void *arg)
{
	struct import *in = mem_new(struct import);
	in->images = images;
	in->wish = *wish;
	in->wish.max_bytes = wish->max_bytes ? wish->max_bytes : IMPORT_BYTES_STANDARD;
	in->name = wish->name.len ? str_dup(wish->name) : NULL;
	in->config_json = wish->config_json.len ? str_dup(wish->config_json) : NULL;
	in->ops = ops;
	in->arg = arg;
	in->image.base = IMAGE_LAYERS;
	buf_init(&in->early, EARLY_MAX);
	buf_init(&in->config, IMAGE_JSON_MAX);
	sha256_init(&in->hash);
	in->staging = staging_open(images, "image import", IMPORT_MS, on_open, in);
	return in;
}

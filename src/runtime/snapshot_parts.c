/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part goes out of the sandbox and into the staging, at the pace of the slower one; the lowest
 * first. When the last has been read, the processes go on. A layer's name is drawn by lot: what its
 * digest would say was of use once, to a snapshot of a sandbox in which nothing had changed since
 * the one before, and hashing took as long as copying.
 */
#include "runtime/snapshot_internal.h"

#include "action/file_actions.h"
#include "action/image_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

/* ---- the image ---- */

static void put_id(const struct snapshot *n, struct str config, char id[SHA256_HEX_SIZE])
{
	char own[ID_SIZE];
	struct sha256 h;
	id_make(own); /* two of the same sandbox are two, even if nothing was changed between them */
	sha256_init(&h);
	sha256_add(&h, STR("snapshot"));
	sha256_add(&h, str_from(own));
	for (uint32_t i = 0; i < n->image.n_layers; i++)
		sha256_add(&h, str_from(n->image.layers[i]));
	sha256_add(&h, config);
	sha256_end(&h, id);
}

/* That of its own image, with the directory that it started in. */
static void put_config(struct snapshot *n, const struct json *spec, struct buf *b)
{
	auto_free char *ref = mem_printf("sha256:%.*s",
		STR_ARG(json_str(json_find(spec, "image_id"))));
	const struct image *base = images_find(n->images, str_from(ref), NULL);
	struct jsonw w = JSONW(b);
	const struct json *value;
	struct str key;
	void *it = NULL;
	jsonw_open(&w);
	while (base && (value = json_next(base->config, &it, &key))) {
		auto_buf struct buf kept = BUF_INIT(IMAGE_JSON_MAX);
		if (str_is(key, "WorkingDir") || json_write(value, &kept) < 0)
			continue;
		jsonw_key_dyn(&w, key);
		jsonw_raw(&w, buf_str(&kept));
	}
	jsonw_key_str(&w, "WorkingDir", json_str(json_find(spec, "workdir")));
	jsonw_close(&w);
}

static int make_image(struct snapshot *n, const struct sandbox *s, struct image **ret,
	struct error *err)
{
	auto_buf struct buf config = BUF_INIT(IMAGE_JSON_MAX), history = BUF_INIT(IMAGE_JSON_MAX);
	auto_json struct json *spec = NULL;
	char id[SHA256_HEX_SIZE];
	json_parse(str_from(s->spec_json), &spec, NULL);
	if (n->config_json)
		buf_puts(&config, n->config_json);
	else
		put_config(n, spec, &config);
	put_id(n, buf_str(&config), id);
	buf_printf(&history, "[%s]", n->history.ptr ? n->history.ptr : "");
	json_free(take_ptr(n->image.history));
	json_parse(buf_str(&history), &n->image.history, NULL);
	n->image.snapshot_of = n->sandbox_id;
	n->image.is_fleeting = n->wish.is_fleeting;
	n->image.created_ms = clock_wall_ms();
	const struct str name = n->name ? str_from(n->name) : STR_NONE;
	return images_add(n->images, id, &n->image, buf_str(&config), &name, n->name != NULL, ret,
		err);
}

static void record(struct snapshot *n)
{
	struct image *image = NULL;
	struct error err;
	struct sandbox *s = snapshot_sandbox(n);
	if (!s)
		return;
	if (make_image(n, s, &image, &err) == 0) {
		log_info("snapshot.taken", "id=%s image=%.12s bytes=%lld", s->id, image->id,
			(long long)image->size_bytes);
		snapshot_finish(n, image);
		return;
	}
	snapshot_fail(n, &err);
}

/* ---- parts ---- */

static void add_history(struct snapshot *n, int64_t size_bytes)
{
	struct jsonw w = JSONW(&n->history);
	auto_free char *text = mem_printf("snapshot of sandbox %s", n->sandbox_id);
	if (n->history.len)
		buf_putc(&n->history, ',');
	jsonw_open(&w);
	jsonw_key_str(&w, "created_by", str_from(text));
	jsonw_key_int(&w, "size_bytes", size_bytes);
	jsonw_key_bool(&w, "layer", true);
	jsonw_close(&w);
}

static void make_name(const struct snapshot_part *part, char ret[SPEC_LAYER_SIZE])
{
	char id[ID_SIZE], digest[SHA256_HEX_SIZE];
	struct sha256 h;
	id_make(id);
	sha256_init(&h);
	sha256_add(&h, STR("layer of a snapshot"));
	sha256_add(&h, str_from(id));
	sha256_end(&h, digest);
	if (part->owner)
		snprintf(ret, SPEC_LAYER_SIZE, "%s-%lld", digest, (long long)part->owner);
	else
		snprintf(ret, SPEC_LAYER_SIZE, "%s", digest);
}

static int keep_layer(struct snapshot *n, int64_t size_bytes, struct error *err)
{
	char name[SPEC_LAYER_SIZE], dir[32];
	snprintf(dir, sizeof(dir), "layer-%d", n->at);
	make_name(&n->parts[n->at], name);
	if (staging_keep(n->staging, dir, name, err) < 0 ||
		layers_push(n->image.layers, &n->image.n_layers, name, err) < 0)
		return -1;
	n->image.size_bytes += size_bytes;
	add_history(n, size_bytes);
	return 0;
}

/* Where nothing of a part was changed, it is no layer: a chain of forks would gather them. */
static void on_hauled(void *arg, const struct haul_result *result)
{
	struct snapshot *n = arg;
	struct error err;
	n->haul = NULL;
	if (result->entries > 0 && keep_layer(n, result->written_bytes, &err) < 0)
		snapshot_fail(n, &err);
	else
		snapshot_next_part(n);
}

static void on_haul_failed(void *arg, const struct error *err)
{
	struct snapshot *n = arg;
	n->haul = NULL;
	snapshot_fail(n, err);
}

/* The last of it has been read: what it was read from may be changed again. */
static void on_read(void *arg)
{
	struct snapshot *n = arg;
	if (n->at == 0)
		snapshot_let_go(n);
}

static void put_strings(struct jsonw *w, const char *key, const char *const *names, size_t n)
{
	jsonw_key(w, key);
	jsonw_open_array(w);
	for (size_t i = 0; i < n; i++)
		jsonw_str(w, str_from(names[i]));
	jsonw_close_array(w);
}

/* What each sandbox has of its own, and directories that it saw a copy of. */
void snapshot_put_places(const struct sandbox *s, struct jsonw *w)
{
	static const char *const names[] = { "dev", "proc", "sys", "etc/hostname", "etc/hosts",
		"etc/resolv.conf", "var/lib/dpkg/statoverride" };
	auto_json struct json *spec = NULL;
	json_parse(str_from(s->spec_json), &spec, NULL);
	const struct json *mounts = json_find(spec, "mounts");
	put_strings(w, "exclude", names, ARRAY_LEN(names));
	jsonw_key(w, "trees");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(mounts); i++)
		if (str_is(json_str(json_find(json_at(mounts, i), "mode")), "copy"))
			jsonw_str(w, json_str(json_find(json_at(mounts, i), "target")));
	jsonw_close_array(w);
}

static void put_owners(const struct snapshot *n, struct jsonw *w)
{
	const struct json *owners = json_find(n->look, "owners");
	jsonw_key(w, "owners");
	jsonw_open_array(w);
	for (size_t i = 0; i < json_len(owners) && i < SNAPSHOT_OWNERS_MAX; i++) {
		char text[24];
		snprintf(text, sizeof(text), "%lld", (long long)json_int(json_at(owners, i)));
		jsonw_str(w, str_from(text));
	}
	jsonw_close_array(w);
}

static int ask_for_part(struct snapshot *n, struct sandbox *s, struct sandbox *store,
	struct error *err)
{
	static const struct haul_ops ops = { on_read, on_hauled, on_haul_failed };
	auto_buf struct buf params = BUF_INIT(SNAPSHOT_PARAMS_MAX);
	auto_free char *path = mem_printf(STAGING_DIR "/layer-%d", n->at);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	snapshot_put_places(s, &w);
	put_owners(n, &w);
	jsonw_key_int(&w, "level", n->parts[n->at].level);
	jsonw_key_int(&w, "owner", n->parts[n->at].owner);
	jsonw_key_bool(&w, "last", n->at == n->n_parts - 1);
	jsonw_close(&w);
	const struct haul_wish wish = { .from = s,
		.to = store,
		.layer_json = buf_str(&params),
		.path = path,
		.max_bytes = SNAPSHOT_BYTES_MAX };
	n->haul = haul_new(&wish, &ops, n, err);
	return n->haul ? 0 : -1;
}

void snapshot_next_part(struct snapshot *n)
{
	struct error err;
	if (n->at == 0) {
		record(n);
		return;
	}
	n->at--;
	struct sandbox *s = snapshot_sandbox(n);
	struct sandbox *store = s ? staging_sandbox(n->staging, &err) : NULL;
	if (s && (!store || ask_for_part(n, s, store, &err) < 0))
		snapshot_fail(n, &err);
}

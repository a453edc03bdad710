/* SPDX-License-Identifier: Apache-2.0 */
/* What is written of an image, apart from who keeps them: `cay` reads it without a server. */
#include "runtime/image.h"

#include "base/auto.h"
#include "base/bug.h"

#include <stdio.h>

bool layer_is_name(struct str name)
{
	char text[SPEC_LAYER_SIZE];
	uint32_t uid;
	if (name.len >= sizeof(text) || str_has_nul(name))
		return false;
	snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
	return spec_layer_parse(text, &uid);
}

void image_free(struct image *image)
{
	list_remove(&image->link);
	json_free(image->config);
	json_free(image->history);
	free(image->architecture);
	free(image->snapshot_of);
	free(image->base_path);
	free(image);
}

void image_put_json(struct jsonw *w, const char *key, const struct json *value)
{
	auto_buf struct buf text = BUF_INIT(IMAGE_JSON_MAX);
	jsonw_key(w, key);
	if (value && json_write(value, &text) == 0)
		jsonw_raw(w, buf_str(&text));
	else
		jsonw_null(w);
}

struct str image_base(const struct image *image)
{
	return image->base == IMAGE_HOST   ? STR("host")
		: image->base == IMAGE_DIR ? str_from(image->base_path)
					   : STR("layers");
}

/* Records of before there was a base have none. */
static void take_base(struct image *image, struct str base)
{
	image->base = IMAGE_LAYERS;
	if (str_is(base, "host"))
		image->base = IMAGE_HOST;
	if (!str_starts(base, STR("/")))
		return;
	image->base = IMAGE_DIR;
	image->base_path = str_dup(base);
}

void image_put_record(const struct image *image, struct buf *b)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_int(&w, "created_ms", image->created_ms);
	jsonw_key_int(&w, "size_bytes", image->size_bytes);
	jsonw_key_str(&w, "architecture", str_from(image->architecture));
	jsonw_key(&w, "layers");
	jsonw_open_array(&w);
	for (uint32_t i = 0; i < image->n_layers; i++)
		jsonw_str(&w, str_from(image->layers[i]));
	jsonw_close_array(&w);
	jsonw_key_str(&w, "base", image_base(image));
	if (image->snapshot_of)
		jsonw_key_str(&w, "snapshot_of", str_from(image->snapshot_of));
	if (image->is_fleeting)
		jsonw_key_bool(&w, "fleeting", true);
	image_put_json(&w, "history", image->history);
	image_put_json(&w, "config", image->config);
	jsonw_close(&w);
}

struct json *image_copy_json(const struct json *part, enum json_kind kind)
{
	struct json *copy = NULL;
	auto_buf struct buf b = BUF_INIT(IMAGE_JSON_MAX);
	if (json_kind(part) == kind && json_write(part, &b) == 0)
		json_parse(buf_str(&b), &copy, NULL);
	return copy;
}

struct image *image_read_record(const char *id, struct str text)
{
	auto_json struct json *record = NULL;
	if (!sha256_is_hex(str_from(id)) || json_parse(text, &record, NULL) < 0)
		return NULL;
	const struct json *layers = json_find(record, "layers");
	size_t n = json_len(layers);
	struct str base = json_str(json_find(record, "base"));
	bool has_base = base.len && !str_is(base, "layers");
	if ((n < 1 && !has_base) || n > SPEC_LAYERS_MAX || base.len >= SPEC_PATH_SIZE)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (!layer_is_name(json_str(json_at(layers, i))))
			return NULL;
	struct image *image = mem_new(struct image);
	list_init(&image->link);
	snprintf(image->id, sizeof(image->id), "%s", id);
	image->created_ms = json_int(json_find(record, "created_ms"));
	image->size_bytes = json_int(json_find(record, "size_bytes"));
	image->architecture = str_dup(json_str(json_find(record, "architecture")));
	image->config = image_copy_json(json_find(record, "config"), JSON_KIND_OBJECT);
	image->history = image_copy_json(json_find(record, "history"), JSON_KIND_ARRAY);
	take_base(image, base);
	struct str origin = json_str(json_find(record, "snapshot_of"));
	image->snapshot_of = origin.len ? str_dup(origin) : NULL;
	image->is_fleeting = json_bool(json_find(record, "fleeting"));
	for (size_t i = 0; i < n; i++)
		snprintf(image->layers[i], SPEC_LAYER_SIZE, "%.*s",
			STR_ARG(json_str(json_at(layers, i))));
	image->n_layers = (uint32_t)n;
	return image;
}

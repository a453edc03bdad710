/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "runtime/images.h"

#include <stdio.h>

/* ---- what a sandbox gets of it ---- */

int layers_push(char layers[SPEC_LAYERS_MAX][SPEC_LAYER_SIZE], uint32_t *n, const char *digest,
	struct error *err)
{
	uint32_t i = 0;
	while (i < *n && strcmp(layers[i], digest) != 0)
		i++;
	if (i == SPEC_LAYERS_MAX)
		return error_set(err, ERROR_UNSUPPORTED, "an image of more than %d layers",
			SPEC_LAYERS_MAX);
	if (i < *n) {
		memmove(layers[i], layers[i + 1], (*n - i - 1) * sizeof(*layers));
		--*n;
	}
	snprintf(layers[(*n)++], SPEC_LAYER_SIZE, "%s", digest);
	return 0;
}

void image_put_spec(const struct images *images, const struct image *image, struct spec *spec)
{
	spec->image = image->base;
	if (image->base == IMAGE_DIR)
		snprintf(spec->image_path, sizeof(spec->image_path), "%s", image->base_path);
	snprintf(spec->layers_path, sizeof(spec->layers_path), "%s", images_layers_dir(images));
	spec->n_layers = image->n_layers;
	memcpy(spec->layers, image->layers, sizeof(spec->layers));
}

void image_put_env(const struct image *image, struct create *create, struct arena *arena)
{
	const struct json *env = json_find(image->config, "Env");
	size_t n = json_len(env), total = n + create->env.n, at = 0;
	struct field_map all = { arena_new_n(arena, struct str, total + 1),
		arena_new_n(arena, struct str, total + 1), 0 };
	for (size_t i = 0; i < n && total <= CREATE_ENV_MAX; i++) {
		struct str pair = json_str(json_at(env, i));
		ptrdiff_t sign = str_find_char(pair, '=');
		bool is_replaced = sign <= 0;
		for (size_t k = 0; k < create->env.n && !is_replaced; k++)
			is_replaced = str_eq(create->env.keys[k], str_first(pair, (size_t)sign));
		if (is_replaced)
			continue;
		size_t key_len = (size_t)sign;
		all.keys[at] = (struct str){ arena_str(arena, str_first(pair, key_len)), key_len };
		pair = str_skip(pair, key_len + 1);
		all.values[at++] = (struct str){ arena_str(arena, pair), pair.len };
	}
	for (size_t i = 0; i < create->env.n; i++, at++) {
		all.keys[at] = create->env.keys[i];
		all.values[at] = create->env.values[i];
	}
	all.n = at;
	create->env = all;
}

struct str image_workdir(const struct image *image)
{
	struct str dir = json_str(json_find(image->config, "WorkingDir"));
	return dir.len > 1 && dir.len < SPEC_PATH_SIZE && dir.ptr[0] == '/' ? dir : STR_NONE;
}

/* ---- what is told of it ---- */

const char *images_architecture(void)
{
#if defined(__x86_64__)
	return "amd64";
#else
	return "arm64";
#endif
}

void image_write(const struct images *images, const struct image *image, struct jsonw *w)
{
	char created[CLOCK_TEXT_MAX];
	const char *name;
	size_t at = 0;
	clock_text(image->created_ms, created);
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(image->id));
	jsonw_key(w, "names");
	jsonw_open_array(w);
	while ((name = images_next_name(images, image, &at)))
		jsonw_str(w, str_from(name));
	jsonw_close_array(w);
	jsonw_key_str(w, "created_at", str_from(created));
	jsonw_key_int(w, "size_bytes", image->size_bytes);
	jsonw_key_str(w, "architecture", str_from(image->architecture));
	jsonw_key_str(w, "base", image_base(image));
	jsonw_key(w, "layers");
	jsonw_open_array(w);
	for (uint32_t i = 0; i < image->n_layers; i++)
		jsonw_str(w, str_from(image->layers[i]));
	jsonw_close_array(w);
	if (image->snapshot_of)
		jsonw_key_str(w, "snapshot_of", str_from(image->snapshot_of));
	image_put_json(w, "config", image->config);
	jsonw_close(w);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Images as Docker words them: list, inspect, tag, remove. Taking them in is in load.c. */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/images.h"

#include <fnmatch.h>

enum { REPLY_MAX = 16 * 1024 * 1024 };

static struct images *images_of(const struct http_request *r)
{
	return runtime_images(docker_of(r)->rt);
}

int64_t images_count(struct docker *d)
{
	int64_t n = 0;
	for (struct image *i = NULL; (i = images_next(runtime_images(d->rt), i));)
		n++;
	return n;
}

static void put_id(struct jsonw *w, const char *key, const struct image *image)
{
	auto_free char *id = mem_printf("sha256:%s", image->id);
	jsonw_key_str(w, key, str_from(id));
}

int image_find(struct docker *d, struct str ref, const struct image **ret, struct error *err)
{
	*ret = images_find(runtime_images(d->rt), ref, err);
	return *ret ? 0 : -1;
}

/* The image whose name is everything but the last part of the path. NULL: answered. */
static struct image *image_of(struct http_request *r, struct str *ret_verb)
{
	struct str name = http_param(r, "name");
	struct error err;
	size_t slash = name.len;
	while (slash > 0 && name.ptr[slash - 1] != '/')
		slash--;
	*ret_verb = str_skip(name, slash);
	struct image *image = images_find(images_of(r), str_first(name, slash ? slash - 1 : 0),
		&err);
	if (!image)
		docker_fail(r, 404, "%s", err.text);
	return image;
}

/* ---- list ---- */

static bool name_fits(const char *name, const char *pattern)
{
	auto_free char *repository = str_dup(str_from(name));
	char *colon = strrchr(repository, ':');
	if (colon)
		*colon = '\0';
	return fnmatch(pattern, name, 0) == 0 || fnmatch(pattern, repository, 0) == 0;
}

static bool reference_fits(const struct images *images, const struct image *image,
	const struct json *wanted)
{
	struct str value;
	void *it = NULL;
	if (!wanted)
		return true;
	for (size_t i = 0; i < json_len(wanted); i++) {
		const char *name;
		size_t at = 0;
		if (json_kind(wanted) == JSON_KIND_ARRAY)
			value = json_str(json_at(wanted, i));
		else if (!json_next(wanted, &it, &value))
			break;
		auto_free char *pattern = str_dup(value);
		while ((name = images_next_name(images, image, &at)))
			if (name_fits(name, pattern))
				return true;
	}
	return false;
}

static void put_names(const struct images *images, const struct image *image, struct jsonw *w)
{
	const char *name;
	size_t at = 0;
	jsonw_key(w, "RepoTags");
	jsonw_open_array(w);
	while ((name = images_next_name(images, image, &at)))
		jsonw_str(w, str_from(name));
	jsonw_close_array(w);
	jsonw_key(w, "RepoDigests");
	jsonw_open_array(w);
	jsonw_close_array(w);
}

static void put_item(const struct images *images, const struct image *image, struct jsonw *w)
{
	jsonw_open(w);
	put_id(w, "Id", image);
	jsonw_key_str(w, "ParentId", STR(""));
	put_names(images, image, w);
	jsonw_key_int(w, "Created", image->created_ms / 1000);
	jsonw_key_int(w, "Size", image->size_bytes);
	jsonw_key_int(w, "VirtualSize", image->size_bytes);
	jsonw_key_int(w, "SharedSize", -1);
	jsonw_key_int(w, "Containers", -1);
	docker_key_json(w, "Labels", json_find(image->config, "Labels"));
	jsonw_close(w);
}

void images_list(struct http_request *r)
{
	auto_json struct json *filters = docker_filters(r);
	auto_buf struct buf b = BUF_INIT(REPLY_MAX);
	struct images *images = images_of(r);
	struct jsonw w = JSONW(&b);
	jsonw_open_array(&w);
	for (struct image *i = NULL; (i = images_next(images, i));) {
		size_t at = 0;
		const char *dangling = images_next_name(images, i, &at) ? "false" : "true";
		if (reference_fits(images, i, json_find(filters, "reference")) &&
			docker_filter(filters, "dangling", str_from(dangling)))
			put_item(images, i, &w);
	}
	jsonw_close_array(&w);
	http_reply_json(r, 200, &b);
}

int64_t images_put_all(struct docker *d, struct jsonw *w)
{
	struct images *images = runtime_images(d->rt);
	int64_t bytes = 0;
	jsonw_open_array(w);
	for (struct image *i = NULL; (i = images_next(images, i));) {
		put_item(images, i, w);
		bytes += i->size_bytes;
	}
	jsonw_close_array(w);
	return bytes;
}

/* ---- inspect, history ---- */

static void put_layers(const struct image *image, struct jsonw *w)
{
	jsonw_key(w, "RootFS");
	jsonw_open(w);
	jsonw_key_str(w, "Type", STR("layers"));
	jsonw_key(w, "Layers");
	jsonw_open_array(w);
	for (uint32_t i = 0; i < image->n_layers; i++) {
		auto_free char *layer = mem_printf("sha256:%s", image->layers[i]);
		jsonw_str(w, str_from(layer));
	}
	jsonw_close_array(w);
	jsonw_close(w);
}

static void inspect(struct http_request *r, const struct image *image)
{
	auto_buf struct buf b = BUF_INIT(REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	put_id(&w, "Id", image);
	put_names(images_of(r), image, &w);
	jsonw_key_str(&w, "Parent", STR(""));
	jsonw_key_str(&w, "Comment", STR(""));
	docker_key_time(&w, "Created", image->created_ms);
	jsonw_key_str(&w, "Architecture",
		image->architecture[0] ? str_from(image->architecture) : STR("amd64"));
	jsonw_key_str(&w, "Os", STR("linux"));
	jsonw_key_int(&w, "Size", image->size_bytes);
	jsonw_key_int(&w, "VirtualSize", image->size_bytes);
	jsonw_key(&w, "Config");
	auto_buf struct buf config = BUF_INIT(IMAGE_JSON_MAX);
	if (image->config && json_write(image->config, &config) == 0)
		jsonw_raw(&w, buf_str(&config));
	else
		jsonw_raw(&w, STR("{}"));
	put_layers(image, &w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

static void put_step(struct jsonw *w, const struct image *image, bool is_top, struct str created_by,
	int64_t size_bytes, struct str comment)
{
	jsonw_open(w);
	if (is_top)
		put_id(w, "Id", image);
	else
		jsonw_key_str(w, "Id", STR("<missing>"));
	jsonw_key_int(w, "Created", image->created_ms / 1000);
	jsonw_key_str(w, "CreatedBy", created_by);
	jsonw_key(w, "Tags");
	jsonw_null(w);
	jsonw_key_int(w, "Size", size_bytes);
	jsonw_key_str(w, "Comment", comment);
	jsonw_close(w);
}

/*
 * The youngest step first. Of what was built here every step is known, of others just the layers.
 */
static void history(struct http_request *r, const struct image *image)
{
	auto_buf struct buf b = BUF_INIT(REPLY_MAX);
	struct jsonw w = JSONW(&b);
	size_t n = json_len(image->history), n_known = 0;
	jsonw_open_array(&w);
	for (size_t i = n; i-- > 0;) {
		const struct json *step = json_at(image->history, i);
		n_known += json_bool(json_find(step, "layer"));
		put_step(&w, image, i + 1 == n, json_str(json_find(step, "created_by")),
			json_int(json_find(step, "size_bytes")), STR(""));
	}
	for (size_t i = image->n_layers > n_known ? image->n_layers - n_known : 0; i-- > 0;)
		put_step(&w, image, !n && i + 1 == image->n_layers, STR(""), 0,
			str_from(image->layers[i]));
	jsonw_close_array(&w);
	http_reply_json(r, 200, &b);
}

void images_get(struct http_request *r)
{
	struct str verb;
	struct image *image = image_of(r, &verb);
	if (!image)
		return;
	if (str_is(verb, "json"))
		inspect(r, image);
	else if (str_is(verb, "history"))
		history(r, image);
	else
		not_offered(r);
}

/* ---- tag, remove ---- */

void images_post(struct http_request *r)
{
	struct str verb, repo = http_query(r, "repo"), tag = http_query(r, "tag");
	struct image *image = image_of(r, &verb);
	auto_buf struct buf name = BUF_INIT(1024);
	struct error err;
	if (!image)
		return;
	if (!str_is(verb, "tag")) {
		not_offered(r);
		return;
	}
	buf_printf(&name, "%.*s%s%.*s", STR_ARG(repo), tag.len ? ":" : "", STR_ARG(tag));
	const struct str full = buf_str(&name);
	if (images_tag(images_of(r), image, &full, 1, &err) < 0) {
		docker_fail_error(r, &err);
		return;
	}
	docker_event(docker_of(r), "image", "tag", image->id, "name", name.ptr);
	http_reply(r, 201, NULL, STR_NONE);
}

void images_delete(struct http_request *r)
{
	struct str name = http_param(r, "name");
	struct error err;
	bool is_gone;
	const struct image *image = images_find(images_of(r), name, &err);
	auto_free char *id = image ? str_dup(str_from(image->id)) : NULL;
	if (!image ||
		images_remove(images_of(r), name, docker_flag(r, "force", false), &is_gone, &err) <
			0) {
		docker_fail_error(r, &err);
		return;
	}
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open_array(&w);
	jsonw_open(&w);
	jsonw_key_str(&w, "Untagged", name);
	jsonw_close(&w);
	if (is_gone) {
		auto_free char *full = mem_printf("sha256:%s", id);
		jsonw_open(&w);
		jsonw_key_str(&w, "Deleted", str_from(full));
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	docker_event(docker_of(r), "image", is_gone ? "delete" : "untag", id, NULL, NULL);
	http_reply_json(r, 200, &b);
}

void images_prune(struct http_request *r)
{
	int64_t n, layers;
	images_collect(images_of(r), &n, &layers);
	http_reply(r, 200, "application/json",
		STR("{\"ImagesDeleted\":null,\"SpaceReclaimed\":0}"));
}

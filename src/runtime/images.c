/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/images_internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/disk.h"
#include "runtime/image_cache.h"
#include "runtime/image_fresh.h"
#include "runtime/image_names.h"
#include "runtime/internal.h"
#include "runtime/leftover.h"
#include "runtime/staging.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define HOST_ID "00000000000000000000000000000000000000000000000000000000686f7374"

static void enlist(struct images *images, struct image *image)
{
	struct list *at = images->all.prev;
	while (at != &images->all &&
		list_entry(at, struct image, link)->created_ms > image->created_ms)
		at = at->prev;
	list_append(at->next, &image->link); /* before the first younger one */
	images->n++;
}

struct image *images_find_id(struct images *images, struct str id)
{
	struct image *image, *found = NULL;
	list_for_each(image, &images->all, link) {
		if (str_is(id, image->id))
			return image;
		if (id.len < 4 || !str_starts(str_from(image->id), id))
			continue;
		if (found)
			return NULL;
		found = image;
	}
	return found;
}

void images_each_entry(int dir_fd, struct images *images,
	void (*fn)(struct images *images, const char *name))
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		close_fd(copy);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.')
			fn(images, e->d_name);
	closedir(dir);
}

/* NULL: it is damaged, or a layer of it is missing. */
static struct image *read_record(struct images *images, const char *id)
{
	auto_buf struct buf text = BUF_INIT(2 * IMAGE_JSON_MAX);
	if (file_read(images->records_fd, id, &text, NULL) < 0)
		return NULL;
	struct image *image = image_read_record(id, buf_str(&text));
	for (uint32_t i = 0; image && i < image->n_layers; i++) {
		if (images_has_layer(images, image->layers[i]))
			continue;
		image_free(image);
		return NULL;
	}
	return image;
}

static void load_one(struct images *images, const char *name)
{
	struct image *image = read_record(images, name);
	if (image)
		enlist(images, image);
	else
		log_warn("image.damaged", "id=%s", name);
}

static void note_unfinished(struct images *images, const char *name)
{
	struct str s = str_from(name);
	if (!str_starts(s, STR("new-")) && !str_starts(s, STR("old-")))
		return;
	images->unfinished = mem_realloc(images->unfinished,
		(images->n_unfinished + 1) * sizeof(*images->unfinished));
	images->unfinished[images->n_unfinished++] = str_dup(s);
}

void images_sweep(struct images *images)
{
	for (size_t i = 0; i < images->n_unfinished; i++) {
		images_remove_dir(images, images->unfinished[i]);
		free(images->unfinished[i]);
	}
	images->n_unfinished = 0;
	images_release_all(images);
	if (images->n_held == 0)
		images_collect_layers(images);
}

/* It was renamed to its digest, and the power failed: it goes with what else was not finished. */
static void lose_layer(void *arg, const char *digest)
{
	struct images *images = arg;
	char id[ID_SIZE];
	id_make(id);
	auto_free char *away = mem_printf("old-%s", id);
	if (renameat(images->layers_fd, digest, images->layers_fd, away) < 0 && errno != ENOENT)
		log_error("image.unfinished", "layer=%.12s error=%s", digest, strerror(errno));
}

static void on_flushed(void *arg)
{
	struct images *images = arg;
	if (image_names_flushed(images->names))
		image_fresh_flush(images->fresh);
}

static const struct image_fresh_ops fresh_ops = { .lost = lose_layer, .flushed = on_flushed };

static struct image *find_named(void *arg, struct str id)
{
	return images_find_id(arg, id);
}

static void add_host(struct images *images)
{
	struct image *image = mem_new(struct image);
	image->is_host = true;
	snprintf(image->id, sizeof(image->id), "%s", HOST_ID);
	image->architecture = str_dup(STR(""));
	list_append(&images->all, &image->link);
	images->n++;
	image_names_fix(images->names, STR("host:latest"), image);
}

static void on_half(void *ctx, const char *path)
{
	log_info("image.unfinished", "file=%s", path);
}

/* Of a server that was killed while it wrote one. */
static void sweep_files(struct images *images, int dir_fd, const char *sub)
{
	struct error err;
	auto_free char *shown = mem_printf("%s%s", images->dir, sub);
	if (leftover_sweep_files(dir_fd, shown, false, on_half, NULL, &err) < 0)
		log_warn("image.unfinished", "error=%s", err.text);
}

static int open_dir(const char *path, int *ret_fd, struct error *err)
{
	if (file_mkdirs(path, 0700, err) < 0)
		return -1;
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? error_sys(err, errno, "open %s", path) : 0;
}

int images_open(struct runtime *rt, const char *dir, struct images **ret, struct error *err)
{
	struct images *images = mem_new(struct images);
	images->rt = rt;
	images->dir = mem_printf("%s/images", dir);
	images->layers_dir = mem_printf("%s/images/layers", dir);
	images->layers_fd = images->records_fd = images->dir_fd = -1;
	list_init(&images->all);
	list_init(&images->stagings);
	auto_free char *records = mem_printf("%s/records", images->dir);
	auto_free char *cache = mem_printf("%s/cache", images->dir);
	auto_fd int cache_fd = -1;
	if (open_dir(images->dir, &images->dir_fd, err) < 0 ||
		open_dir(images->layers_dir, &images->layers_fd, err) < 0 ||
		open_dir(records, &images->records_fd, err) < 0 ||
		open_dir(cache, &cache_fd, err) < 0) {
		images_free(images);
		return -1;
	}
	sweep_files(images, images->dir_fd, "");
	sweep_files(images, images->records_fd, "/records");
	sweep_files(images, cache_fd, "/cache");
	images->cache = image_cache_open(cache_fd);
	images->fresh = image_fresh_open(rt->loop, images->layers_fd, &fresh_ops, images);
	images->names = image_names_new(images->dir_fd);
	add_host(images);
	images_each_entry(images->records_fd, images, load_one);
	images_each_entry(images->layers_fd, images, note_unfinished);
	image_names_load(images->names, find_named, images);
	*ret = images;
	return 0;
}

void images_free(struct images *images)
{
	if (!images)
		return;
	staging_forget_all(&images->stagings);
	while (!list_is_empty(&images->all))
		image_free(list_get_first(&images->all, struct image, link));
	for (size_t i = 0; i < images->n_unfinished; i++)
		free(images->unfinished[i]);
	free(images->unfinished);
	image_names_free(images->names);
	image_cache_free(images->cache);
	image_fresh_free(images->fresh);
	close_fd(images->layers_fd);
	close_fd(images->records_fd);
	close_fd(images->dir_fd);
	free(images->dir);
	free(images->layers_dir);
	free(images);
}

/* ---- names ---- */

struct image *images_find(struct images *images, struct str ref, struct error *err)
{
	auto_buf struct buf name = BUF_INIT(IMAGE_NAME_BUF);
	struct image *image = NULL;
	bool is_id = str_starts(ref, STR("sha256:"));
	if (!is_id && image_names_full(ref, &name, NULL) == 0)
		image = image_names_find(images->names, buf_str(&name));
	if (!image)
		image = images_find_id(images, is_id ? str_skip(ref, 7) : ref);
	if (!image && image_names_lost(images->names, buf_str(&name)))
		error_set(err, ERROR_NOT_FOUND, "image %s is damaged: " IMAGE_WORDS_OF_LOSS,
			name.ptr);
	else if (!image)
		error_set(err, ERROR_NOT_FOUND,
			"No such image: %.*s; there is no registry here: `cay image import` takes one in, `cay image build` makes one",
			STR_ARG(str_first(ref, 200)));
	return image;
}

struct image *images_next(struct images *images, struct image *image)
{
	struct list *at = image ? image->link.next : images->all.next;
	return at == &images->all ? NULL : list_entry(at, struct image, link);
}

const char *images_next_name(const struct images *images, const struct image *image, size_t *i)
{
	return image_names_next(images->names, image, i);
}

int images_check_name(struct str name, struct error *err)
{
	auto_buf struct buf full = BUF_INIT(IMAGE_NAME_BUF);
	return image_names_full(name, &full, err);
}

int images_tag(struct images *images, const struct image *image, const struct str *names, size_t n,
	struct error *err)
{
	auto_arena struct arena arena = ARENA_INIT(
		n * (IMAGE_NAME_BUF + sizeof(struct str)) + 4096);
	struct str *fulls = arena_new_n(&arena, struct str, n + 1);
	for (size_t i = 0; i < n; i++) {
		auto_buf struct buf full = BUF_INIT(IMAGE_NAME_BUF);
		if (image_names_full(names[i], &full, err) < 0)
			return -1;
		if (str_is(buf_str(&full), "host:latest") && !image->is_host)
			return error_set(err, ERROR_FORBIDDEN,
				"'host' is the view of this machine's own tools");
		fulls[i] = (struct str){ arena_str(&arena, buf_str(&full)), full.len };
	}
	image_fresh_flush(images->fresh);
	return image_names_set(images->names, fulls, n, images_find_id(images, str_from(image->id)),
		err);
}

/* ---- for import and create ---- */

struct image_cache *images_cache(struct images *images)
{
	return images->cache;
}

const char *images_layers_dir(const struct images *images)
{
	return images->layers_dir;
}

int images_mark_fresh(struct images *images, const char *digest, struct error *err)
{
	return image_fresh_mark(images->fresh, digest, err);
}

bool images_has_layer(const struct images *images, const char *digest)
{
	return faccessat(images->layers_fd, digest, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void images_hold(struct images *images, bool is_held)
{
	images->n_held += is_held ? 1 : -1;
	if (images->n_held == 0)
		images_collect_layers(images); /* of an import that failed halfway */
}

struct list *images_stagings(struct images *images)
{
	return &images->stagings;
}

struct runtime *images_runtime(const struct images *images)
{
	return images->rt;
}

/* NULL: it has no record. */
static struct image *make_image(struct images *images, const char *id, const struct image *like,
	struct str config_json, struct error *err)
{
	auto_buf struct buf record = BUF_INIT(2 * IMAGE_JSON_MAX);
	struct image *image = mem_new(struct image);
	*image = *like;
	list_init(&image->link);
	snprintf(image->id, sizeof(image->id), "%s", id);
	image->architecture = str_dup(str_from(like->architecture));
	image->base_path = like->base_path ? str_dup(str_from(like->base_path)) : NULL;
	image->snapshot_of = like->snapshot_of ? str_dup(str_from(like->snapshot_of)) : NULL;
	image->history = image_copy_json(like->history, JSON_KIND_ARRAY);
	image->config = NULL;
	if (config_json.len && json_parse(config_json, &image->config, err) < 0) {
		image_free(image);
		error_wrap(err, "configuration of the image");
		return NULL;
	}
	image_put_record(image, &record);
	if (file_replace(images->records_fd, id, buf_str(&record), 0600, err) < 0) {
		image_free(image);
		error_wrap(err, "record of image %.12s", id);
		disk_blame(err);
		return NULL;
	}
	enlist(images, image);
	image_fresh_flush(images->fresh);
	return image;
}

int images_add(struct images *images, const char *id, const struct image *like,
	struct str config_json, const struct str *names, size_t n_names, struct image **ret,
	struct error *err)
{
	struct image *there = images_find_id(images, str_from(id)), *image = there;
	if (!there && images->n >= IMAGES_MAX)
		return error_set(err, ERROR_LIMIT, "%d images; that is the limit", IMAGES_MAX);
	if (!there && !(image = make_image(images, id, like, config_json, err)))
		return -1;
	if (n_names && images_tag(images, image, names, n_names, err) < 0) {
		struct error more;
		if (!there && images_forget(images, image, &more) < 0)
			log_warn("image.remove", "error=%s", more.text);
		return -1;
	}
	*ret = image;
	return 0;
}

int images_apply(struct images *images, struct create *create, struct arena *arena,
	struct error *err)
{
	const struct image *image = images_find(images, create->image, err);
	if (!image)
		return error_wrap(err, "create");
	struct spec *spec = &create->spec;
	struct str dir = image_workdir(image);
	image_put_spec(images, image, spec);
	snprintf(create->image_id, sizeof(create->image_id), "%s", image->id);
	bool is_open = !spec->workdir[0] || !(create->said & CREATE_SAID_WORKDIR);
	if (is_open && dir.len)
		snprintf(spec->workdir, sizeof(spec->workdir), "%.*s", STR_ARG(dir));
	image_put_env(image, create, arena);
	return 0;
}

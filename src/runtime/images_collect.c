/* SPDX-License-Identifier: Apache-2.0 */
/* Who uses an image, and how it goes: by its name, with its last user, or when nobody needs it. */
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

#include <fcntl.h>
#include <stdio.h>

int images_users(struct images *images, const struct image *image)
{
	int n = 0;
	auto_free char *wanted = mem_printf("\"image_id\":\"%s\"", image->id);
	for (struct sandbox *s = NULL; (s = runtime_next(images->rt, s));)
		n += sandbox_is_alive(s) && strstr(s->spec_json, wanted);
	return n;
}

static bool is_layer_needed(struct images *images, const char *digest)
{
	const struct image *image;
	list_for_each(image, &images->all, link)
		for (uint32_t i = 0; i < image->n_layers; i++)
			if (!strcmp(image->layers[i], digest))
				return true;
	return image_cache_needs(images->cache, digest);
}

/* Out of the way first, so that nobody finds a layer that is half there. */
static bool drop_layer(struct images *images, const char *digest)
{
	char id[ID_SIZE];
	id_make(id);
	auto_free char *away = mem_printf("old-%s", id);
	if (renameat(images->layers_fd, digest, images->layers_fd, away) < 0)
		return false;
	images_remove_dir(images, away);
	return true;
}

static int64_t n_collected; /* by the walks below, which take no argument */

static void collect_layer(struct images *images, const char *name)
{
	if (layer_is_name(str_from(name)) && !is_layer_needed(images, name))
		n_collected += drop_layer(images, name);
}

int64_t images_collect_layers(struct images *images)
{
	n_collected = 0;
	if (images->n_held == 0)
		images_each_entry(images->layers_fd, images, collect_layer);
	return n_collected;
}

/* Its record first: without one there is no image, whatever the names say. */
int images_forget(struct images *images, struct image *image, struct error *err)
{
	if (unlinkat(images->records_fd, image->id, 0) < 0 && errno != ENOENT) {
		error_sys(err, errno, "remove the record of image %.12s", image->id);
		return disk_blame(err);
	}
	image_names_drop(images->names, image);
	image_fresh_flush(images->fresh);
	images->n--;
	image_free(image);
	return 0;
}

/* One that is damaged, by its name, or by the whole of its id. */
static int remove_lost(struct images *images, struct str full, struct str ref, struct error *err)
{
	const char *lost = image_names_lost(images->names, full);
	struct str digest = str_starts(ref, STR("sha256:")) ? str_skip(ref, 7) : ref;
	auto_free char *id = lost ? mem_strdup(lost) : str_dup(digest);
	bool is_record = sha256_is_hex(str_from(id)) &&
		faccessat(images->records_fd, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!lost && !is_record)
		return -1; /* with the error that there was */
	if (lost && image_names_set(images->names, &full, 1, NULL, err) < 0)
		return -1;
	if (is_record && unlinkat(images->records_fd, id, 0) < 0) {
		error_sys(err, errno, "remove the record of image %.12s", id);
		return disk_blame(err);
	}
	image_fresh_flush(images->fresh);
	images_collect_layers(images);
	return 0;
}

int images_remove(struct images *images, struct str ref, bool is_forced, bool *ret_gone,
	struct error *err)
{
	auto_buf struct buf name = BUF_INIT(IMAGE_NAME_BUF);
	struct image *image = images_find(images, ref, err);
	bool is_name = image_names_full(ref, &name, NULL) == 0;
	*ret_gone = false;
	if (!image) {
		*ret_gone = remove_lost(images, buf_str(&name), ref, err) == 0;
		return *ret_gone ? 0 : -1;
	}
	is_name = is_name && image_names_find(images->names, buf_str(&name)) == image;
	int n = image_names_count(images->names, image);
	if (is_name && (n > 1 || (image->is_host && !str_is(buf_str(&name), "host:latest")))) {
		const struct str full = buf_str(&name);
		image_fresh_flush(images->fresh);
		return image_names_set(images->names, &full, 1, NULL, err);
	}
	if (image->is_host)
		return error_set(err, ERROR_FORBIDDEN, "the image 'host' cannot be removed");
	int users = images_users(images, image);
	if (users)
		return error_set(err, ERROR_CONFLICT,
			"image %.12s is in use by %d sandbox%s: remove what is made of it first",
			image->id, users, users == 1 ? "" : "es");
	if (!is_name && n > 1 && !is_forced)
		return error_set(err, ERROR_CONFLICT,
			"image %.12s has %d names: remove them, or force it", image->id, n);
	if (images_forget(images, image, err) < 0)
		return -1;
	images_collect_layers(images);
	*ret_gone = true;
	return 0;
}

void images_release(struct images *images, const char *id)
{
	struct image *image = images_find_id(images, str_from(id));
	struct error err;
	if (!image || !image->is_fleeting || image_names_count(images->names, image) ||
		images_users(images, image))
		return;
	if (images_forget(images, image, &err) < 0)
		log_warn("image.remove", "error=%s", err.text);
	images_collect_layers(images);
}

void images_release_all(struct images *images)
{
	struct image *image, *next;
	list_for_each_safe(image, next, &images->all, link)
		if (image->is_fleeting)
			images_release(images, image->id);
}

/* The record of one that is damaged and has no name. */
static void collect_record(struct images *images, const char *id)
{
	if (sha256_is_hex(str_from(id)) && !images_find_id(images, str_from(id)) &&
		!image_names_has_lost(images->names, id) &&
		unlinkat(images->records_fd, id, 0) == 0)
		n_collected++;
}

void images_collect(struct images *images, int64_t *ret_images, int64_t *ret_layers)
{
	struct image *image, *next;
	struct error err;
	*ret_images = 0;
	list_for_each_safe(image, next, &images->all, link) {
		if (image->is_host || image_names_count(images->names, image) ||
			images_users(images, image))
			continue;
		if (images_forget(images, image, &err) < 0)
			log_warn("image.remove", "error=%s", err.text);
		else
			++*ret_images;
	}
	n_collected = 0;
	images_each_entry(images->records_fd, images, collect_record);
	*ret_images += n_collected;
	*ret_layers = images_collect_layers(images);
}

int64_t images_drop_cache(struct images *images)
{
	int64_t bytes = image_cache_clear(images->cache);
	images_collect_layers(images);
	return bytes;
}

struct tree_removal {
	int dir_fd;
	char *name;
};

static void remove_tree(void *arg)
{
	const struct tree_removal *t = arg;
	struct error err;
	if (file_remove_tree(t->dir_fd, t->name, &err) < 0)
		log_warn("image.remove", "dir=%s error=%s", t->name, err.text);
}

static void tree_removed(void *arg)
{
	struct tree_removal *t = arg;
	close_fd(t->dir_fd);
	free(t->name);
	free(t);
}

void images_remove_dir(struct images *images, const char *name)
{
	struct tree_removal *t = mem_new(struct tree_removal);
	t->dir_fd = fcntl(images->layers_fd, F_DUPFD_CLOEXEC, 3);
	t->name = str_dup(str_from(name));
	loop_work(images->rt->loop, remove_tree, tree_removed, t);
}

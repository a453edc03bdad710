/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/images.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/image_cache.h"
#include "runtime/image_fresh.h"
#include "runtime/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define HOST_ID "00000000000000000000000000000000000000000000000000000000686f7374"

struct images {
	struct runtime *rt;
	char *dir, *layers_dir;
	int layers_fd, records_fd, dir_fd;
	struct image_cache *cache;
	struct image_fresh *fresh;
	struct list all;
	size_t n;
	struct map names; /* "name:tag" → struct image */
	struct map lost;  /* "name:tag" of one that is damaged → images */
	int n_held;
	char **unfinished; /* directories that a server before us was at */
	size_t n_unfinished;
};

#define WORDS_OF_LOSS "its record or a layer is missing; import or build it again"

static void enlist(struct images *images, struct image *image)
{
	struct list *at = images->all.prev;
	while (at != &images->all &&
		list_entry(at, struct image, link)->created_ms > image->created_ms)
		at = at->prev;
	list_append(at->next, &image->link); /* before the first younger one */
	images->n++;
}

static struct image *find_id(struct images *images, struct str id)
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

static int write_names(struct images *images, struct error *err)
{
	auto_buf struct buf b = BUF_INIT((IMAGE_NAME_MAX + 80) * (size_t)IMAGE_NAMES_MAX);
	struct jsonw w = JSONW(&b);
	struct image *image;
	struct str name;
	size_t i = 0;
	jsonw_open(&w);
	while ((image = map_next(&images->names, &i, &name))) {
		jsonw_key_dyn(&w, name);
		jsonw_str(&w, str_from(image->id));
	}
	jsonw_close(&w);
	/* What a power failure leaves of the one may be nothing: then there is the other. */
	renameat(images->dir_fd, "names", images->dir_fd, "names.old");
	return file_replace(images->dir_fd, "names", buf_str(&b), 0600, err);
}

/* Who asks for it shall hear that it was there. */
static void lose_name(struct images *images, struct str name, struct str id)
{
	map_put(&images->lost, name, images);
	log_warn("image.lost", "name=%.*s id=%.12s text=\"" WORDS_OF_LOSS "\"", STR_ARG(name),
		id.ptr ? id.ptr : "");
}

static bool read_names_of(struct images *images, const char *file)
{
	auto_buf struct buf text = BUF_INIT((IMAGE_NAME_MAX + 80) * (size_t)IMAGE_NAMES_MAX);
	auto_json struct json *names = NULL;
	const struct json *id;
	struct str name;
	void *it = NULL;
	if (file_read(images->dir_fd, file, &text, NULL) < 0 ||
		json_parse(buf_str(&text), &names, NULL) < 0)
		return false;
	while ((id = json_next(names, &it, &name))) {
		struct image *image = find_id(images, json_str(id));
		if (image)
			map_put(&images->names, name, image);
		else
			lose_name(images, name, json_str(id));
	}
	return true;
}

static void read_names(struct images *images)
{
	if (!read_names_of(images, "names") && read_names_of(images, "names.old"))
		log_warn("image.names", "text=\"they are those before the last change\"");
}

static void each_entry(int dir_fd, struct images *images,
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

static void add_host(struct images *images)
{
	struct image *image = mem_new(struct image);
	image->is_host = true;
	snprintf(image->id, sizeof(image->id), "%s", HOST_ID);
	image->architecture = str_dup(STR(""));
	list_append(&images->all, &image->link);
	images->n++;
	map_put(&images->names, STR("host:latest"), image);
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
	auto_free char *records = mem_printf("%s/records", images->dir);
	auto_free char *cache = mem_printf("%s/cache", images->dir);
	auto_fd int cache_fd = -1;
	add_host(images);
	if (open_dir(images->dir, &images->dir_fd, err) < 0 ||
		open_dir(images->layers_dir, &images->layers_fd, err) < 0 ||
		open_dir(records, &images->records_fd, err) < 0 ||
		open_dir(cache, &cache_fd, err) < 0) {
		images_free(images);
		return -1;
	}
	images->cache = image_cache_open(cache_fd);
	images->fresh = image_fresh_open(rt->loop, images->layers_fd, lose_layer, images);
	each_entry(images->records_fd, images, load_one);
	each_entry(images->layers_fd, images, note_unfinished);
	read_names(images);
	*ret = images;
	return 0;
}

void images_free(struct images *images)
{
	if (!images)
		return;
	while (!list_is_empty(&images->all))
		image_free(list_get_first(&images->all, struct image, link));
	for (size_t i = 0; i < images->n_unfinished; i++)
		free(images->unfinished[i]);
	free(images->unfinished);
	map_fini(&images->names);
	map_fini(&images->lost);
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

/* With ":latest" where there is no tag, and without the registry that Docker would ask. */
static int full_name(struct str name, struct buf *b, struct error *err)
{
	static const char *const registries[] = { "docker.io/library/", "docker.io/", "library/" };
	for (size_t i = 0; i < ARRAY_LEN(registries); i++)
		if (str_starts(name, str_from(registries[i]))) {
			name = str_skip(name, strlen(registries[i]));
			break;
		}
	size_t slash = name.len;
	while (slash > 0 && name.ptr[slash - 1] != '/')
		slash--;
	bool has_tag = str_find_char(str_skip(name, slash), ':') >= 0;
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] == '\x7f' || strchr("\"\\*?@", name.ptr[i]))
			return error_set(err, ERROR_INVALID, "'%.*s' is no name of an image",
				STR_ARG(str_first(name, 200)));
	buf_printf(b, "%.*s%s", STR_ARG(name), has_tag ? "" : ":latest");
	if (!name.len || b->len > IMAGE_NAME_MAX || name.ptr[0] == ':' || name.ptr[0] == '/')
		return error_set(err, ERROR_INVALID, "'%.*s' is no name of an image",
			STR_ARG(str_first(name, 200)));
	return 0;
}

struct image *images_find(struct images *images, struct str ref, struct error *err)
{
	auto_buf struct buf name = BUF_INIT(4096);
	struct image *image = NULL;
	bool is_id = str_starts(ref, STR("sha256:"));
	if (!is_id && full_name(ref, &name, NULL) == 0)
		image = map_find(&images->names, buf_str(&name));
	if (!image)
		image = find_id(images, is_id ? str_skip(ref, 7) : ref);
	if (!image && map_find(&images->lost, buf_str(&name)))
		error_set(err, ERROR_NOT_FOUND, "image %s is damaged: " WORDS_OF_LOSS, name.ptr);
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
	struct str name;
	const struct image *owner;
	while ((owner = map_next(&images->names, i, &name)))
		if (owner == image)
			return name.ptr;
	return NULL;
}

int images_check_name(struct str name, struct error *err)
{
	auto_buf struct buf full = BUF_INIT(4096);
	return full_name(name, &full, err);
}

int images_tag(struct images *images, const struct image *image, struct str name, struct error *err)
{
	auto_buf struct buf full = BUF_INIT(4096);
	struct image *owner = find_id(images, str_from(image->id));
	if (full_name(name, &full, err) < 0)
		return -1;
	if (images->names.count >= IMAGE_NAMES_MAX)
		return error_set(err, ERROR_LIMIT, "%d names of images; that is the limit",
			IMAGE_NAMES_MAX);
	if (str_is(buf_str(&full), "host:latest") && !image->is_host)
		return error_set(err, ERROR_FORBIDDEN,
			"'host' is the view of this machine's own tools");
	map_put(&images->names, buf_str(&full), owner);
	return write_names(images, err);
}

/* ---- use and removal ---- */

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

static int64_t n_collected; /* by the walk below, which takes no argument */

static void collect_layer(struct images *images, const char *name)
{
	if (sha256_is_hex(str_from(name)) && !is_layer_needed(images, name))
		n_collected += drop_layer(images, name);
}

static int64_t collect_layers(struct images *images)
{
	n_collected = 0;
	if (images->n_held == 0)
		each_entry(images->layers_fd, images, collect_layer);
	return n_collected;
}

static void drop_names(struct images *images, const struct image *image)
{
	size_t i = 0;
	const char *name;
	while ((name = images_next_name(images, image, &i))) {
		map_remove(&images->names, str_from(name));
		i = 0;
	}
}

static void drop_image(struct images *images, struct image *image)
{
	drop_names(images, image);
	write_names(images, NULL);
	unlinkat(images->records_fd, image->id, 0);
	images->n--;
	image_free(image);
}

static int count_names(struct images *images, const struct image *image)
{
	size_t i = 0;
	int n = 0;
	while (images_next_name(images, image, &i))
		n++;
	return n;
}

int images_remove(struct images *images, struct str ref, bool is_forced, bool *ret_gone,
	struct error *err)
{
	auto_buf struct buf name = BUF_INIT(4096);
	struct image *image = images_find(images, ref, err);
	*ret_gone = false;
	if (!image)
		return -1;
	bool is_name = full_name(ref, &name, NULL) == 0 &&
		map_find(&images->names, buf_str(&name)) == image;
	int n = count_names(images, image);
	if (is_name && (n > 1 || (image->is_host && !str_is(buf_str(&name), "host:latest")))) {
		map_remove(&images->names, buf_str(&name));
		return write_names(images, err);
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
	drop_image(images, image);
	collect_layers(images);
	*ret_gone = true;
	return 0;
}

void images_collect(struct images *images, int64_t *ret_images, int64_t *ret_layers)
{
	struct image *image, *next;
	*ret_images = 0;
	list_for_each_safe(image, next, &images->all, link) {
		if (image->is_host || count_names(images, image) || images_users(images, image))
			continue;
		drop_image(images, image);
		++*ret_images;
	}
	*ret_layers = collect_layers(images);
}

struct image_cache *images_cache(struct images *images)
{
	return images->cache;
}

int64_t images_drop_cache(struct images *images)
{
	int64_t bytes = image_cache_clear(images->cache);
	collect_layers(images);
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

/* ---- for import and create ---- */

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
		collect_layers(images); /* of an import that failed halfway */
}

struct runtime *images_runtime(const struct images *images)
{
	return images->rt;
}

int images_add(struct images *images, const char *id, const struct image *like,
	struct str config_json, struct image **ret, struct error *err)
{
	auto_buf struct buf record = BUF_INIT(2 * IMAGE_JSON_MAX);
	struct image *image = find_id(images, str_from(id));
	if (image && strlen(id) == SHA256_HEX_SIZE - 1) {
		*ret = image;
		return 0;
	}
	if (images->n >= IMAGES_MAX)
		return error_set(err, ERROR_LIMIT, "%d images; that is the limit", IMAGES_MAX);
	image = mem_new(struct image);
	*image = *like;
	list_init(&image->link);
	snprintf(image->id, sizeof(image->id), "%s", id);
	image->architecture = str_dup(str_from(like->architecture));
	image->base_path = like->base_path ? str_dup(str_from(like->base_path)) : NULL;
	image->history = image_copy_json(like->history, JSON_KIND_ARRAY);
	image->config = NULL;
	if (config_json.len && json_parse(config_json, &image->config, err) < 0) {
		image_free(image);
		return error_wrap(err, "configuration of the image");
	}
	image_put_record(image, &record);
	if (file_replace(images->records_fd, id, buf_str(&record), 0600, err) < 0) {
		image_free(image);
		return -1;
	}
	enlist(images, image);
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

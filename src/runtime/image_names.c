/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. `names` is moved to `names.old` before it is replaced only if it is known to
 * be on the disk, or if there is no other: so of the two files one is always whole, however many
 * changes there were since. What is known comes from the flush that follows every change within
 * seconds, and at the start from an fsync.
 */
#include "runtime/image_names.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "runtime/disk.h"
#include "runtime/leftover.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_MAX ((IMAGE_NAME_MAX + 80) * (size_t)IMAGE_NAMES_MAX)

struct image_names {
	int dir_fd;
	struct map by_name;         /* "name:tag" → struct image */
	struct map lost;            /* "name:tag" → the id of one that is damaged, on the heap */
	bool is_flushed, has_older; /* `names` is on the disk; `names.old` is there */
	bool is_behind;             /* the file has names of an image that is gone */
};

struct image_names *image_names_new(int dir_fd)
{
	struct image_names *names = mem_new(struct image_names);
	names->dir_fd = dir_fd;
	return names;
}

void image_names_free(struct image_names *names)
{
	if (!names)
		return;
	size_t i = 0;
	struct str name;
	for (char *id; (id = map_next(&names->lost, &i, &name));)
		free(id);
	map_fini(&names->lost);
	map_fini(&names->by_name);
	free(names);
}

/* ---- the file ---- */

static int write_file(struct image_names *names, struct error *err)
{
	auto_buf struct buf b = BUF_INIT(FILE_MAX);
	struct jsonw w = JSONW(&b);
	const struct image *image;
	const char *id;
	struct str name;
	size_t i = 0, k = 0;
	jsonw_open(&w);
	while ((image = map_next(&names->by_name, &i, &name))) {
		jsonw_key_dyn(&w, name);
		jsonw_str(&w, str_from(image->id));
	}
	while ((id = map_next(&names->lost, &k, &name))) {
		jsonw_key_dyn(&w, name);
		jsonw_str(&w, str_from(id));
	}
	jsonw_close(&w);
	if ((names->is_flushed || !names->has_older) &&
		renameat(names->dir_fd, "names", names->dir_fd, "names.old") == 0)
		names->has_older = true;
	names->is_flushed = false;
	if (file_replace(names->dir_fd, "names", buf_str(&b), 0600, err) < 0)
		return disk_blame(err);
	names->is_behind = false;
	return 0;
}

static bool read_file(struct image_names *names, const char *file,
	struct image *(*find)(void *arg, struct str id), void *arg)
{
	auto_buf struct buf text = BUF_INIT(FILE_MAX);
	auto_json struct json *all = NULL;
	const struct json *value;
	struct str name;
	void *it = NULL;
	if (file_read(names->dir_fd, file, &text, NULL) < 0 ||
		json_parse(buf_str(&text), &all, NULL) < 0)
		return false;
	while ((value = json_next(all, &it, &name))) {
		struct str id = json_str(value);
		struct image *image = find(arg, id);
		if (image) {
			map_put(&names->by_name, name, image);
			continue;
		}
		log_warn("image.lost", "name=%.*s id=%.*s text=\"" IMAGE_WORDS_OF_LOSS "\"",
			STR_ARG(name), STR_ARG(str_first(id, 12)));
		free(map_put(&names->lost, name, str_dup(id)));
	}
	return true;
}

void image_names_load(struct image_names *names, struct image *(*find)(void *arg, struct str id),
	void *arg)
{
	auto_fd int fd = openat(names->dir_fd, "names", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	names->has_older = faccessat(names->dir_fd, "names.old", F_OK, 0) == 0;
	if (read_file(names, "names", find, arg))
		names->is_flushed = fd >= 0 && fsync(fd) == 0;
	else if (read_file(names, "names.old", find, arg))
		log_warn("image.names", "text=\"they are those before the last change\"");
}

/* ---- what is called how ---- */

static bool is_good(struct str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] == '\x7f' || strchr("\"\\*?@", name.ptr[i]))
			return false;
	return name.len && name.ptr[0] != ':' && name.ptr[0] != '/';
}

int image_names_full(struct str name, struct buf *b, struct error *err)
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
	if (is_good(name))
		buf_printf(b, "%.*s%s", STR_ARG(name), has_tag ? "" : ":latest");
	if (!is_good(name) || b->is_full || b->len > IMAGE_NAME_MAX)
		return error_set(err, ERROR_INVALID, "'%.*s' is no name of an image",
			STR_ARG(str_first(name, 200)));
	return 0;
}

struct image *image_names_find(const struct image_names *names, struct str full)
{
	return map_find(&names->by_name, full);
}

const char *image_names_lost(const struct image_names *names, struct str full)
{
	return map_find(&names->lost, full);
}

bool image_names_has_lost(const struct image_names *names, const char *id)
{
	size_t i = 0;
	struct str name;
	for (const char *lost; (lost = map_next(&names->lost, &i, &name));)
		if (!strcmp(lost, id))
			return true;
	return false;
}

const char *image_names_next(const struct image_names *names, const struct image *image, size_t *i)
{
	struct str name;
	const struct image *owner;
	while ((owner = map_next(&names->by_name, i, &name)))
		if (owner == image)
			return name.ptr;
	return NULL;
}

int image_names_count(const struct image_names *names, const struct image *image)
{
	size_t i = 0;
	int n = 0;
	while (image_names_next(names, image, &i))
		n++;
	return n;
}

/* ---- changes ---- */

void image_names_fix(struct image_names *names, struct str full, struct image *image)
{
	map_put(&names->by_name, full, image);
}

/* NULL: none. */
static struct image *put(struct image_names *names, struct str full, struct image *image)
{
	return image ? map_put(&names->by_name, full, image) : map_remove(&names->by_name, full);
}

/* What a name stood for. */
struct given {
	char *full;
	struct image *before;
	char *lost;
};

static void give(struct image_names *names, struct given *g, struct str full, struct image *image)
{
	g->full = str_dup(full); /* it may be the map's own key */
	g->before = put(names, str_from(g->full), image);
	g->lost = map_remove(&names->lost, str_from(g->full));
}

static void take_back(struct image_names *names, struct given *g)
{
	put(names, str_from(g->full), g->before);
	if (g->lost)
		map_put(&names->lost, str_from(g->full), take_ptr(g->lost));
}

int image_names_set(struct image_names *names, const struct str *fulls, size_t n,
	struct image *image, struct error *err)
{
	if (image && names->by_name.count + names->lost.count + n > IMAGE_NAMES_MAX)
		return error_set(err, ERROR_LIMIT, "%d names of images; that is the limit",
			IMAGE_NAMES_MAX);
	auto_free struct given *given = mem_new_n(struct given, n + 1);
	for (size_t i = 0; i < n; i++)
		give(names, &given[i], fulls[i], image);
	int r = write_file(names, err);
	for (size_t i = n; i-- > 0;) {
		if (r < 0)
			take_back(names, &given[i]);
		free(given[i].full);
		free(given[i].lost);
	}
	return r;
}

void image_names_drop(struct image_names *names, const struct image *image)
{
	struct error err;
	size_t i = 0;
	bool has_one = false;
	for (const char *name; (name = image_names_next(names, image, &i)); i = 0) {
		map_remove(&names->by_name, str_from(name));
		has_one = true;
	}
	if (!has_one || write_file(names, &err) == 0)
		return;
	names->is_behind = true;
	log_warn("image.names", "error=%s", err.text);
}

bool image_names_flushed(struct image_names *names)
{
	struct error err;
	if (!names->is_behind) {
		names->is_flushed = true;
		return false;
	}
	if (write_file(names, &err) == 0)
		return true;
	log_warn("image.names", "error=%s", err.text);
	return false;
}

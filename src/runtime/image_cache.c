/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image_cache.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/list.h"
#include "base/map.h"
#include "wire/json.h"
#include "wire/sha256.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct cached {
	struct list link; /* image_cache::all */
	char key[SHA256_HEX_SIZE], layer[SHA256_HEX_SIZE];
	int64_t bytes;
	int64_t used_ms; /* the date of its file */
};

struct image_cache {
	int dir_fd;
	struct map by_key;
	struct list all; /* what was of use the longest time ago first */
	int64_t bytes;
};

static void enlist(struct image_cache *c, struct cached *e)
{
	struct list *at = c->all.prev;
	while (at != &c->all && list_entry(at, struct cached, link)->used_ms > e->used_ms)
		at = at->prev;
	list_append(at->next, &e->link);
}

static void forget(struct image_cache *c, struct cached *e)
{
	map_remove(&c->by_key, str_from(e->key));
	list_remove(&e->link);
	c->bytes -= e->bytes;
	free(e);
}

static void drop(struct image_cache *c, struct cached *e)
{
	unlinkat(c->dir_fd, e->key, 0);
	forget(c, e);
}

static struct cached *add(struct image_cache *c, const char *key, struct str layer, int64_t bytes,
	int64_t used_ms)
{
	struct cached *e = mem_new(struct cached);
	snprintf(e->key, sizeof(e->key), "%s", key);
	snprintf(e->layer, sizeof(e->layer), "%.*s", STR_ARG(layer));
	e->bytes = MAX(bytes, 0);
	e->used_ms = used_ms;
	map_put(&c->by_key, str_from(e->key), e);
	enlist(c, e);
	c->bytes += e->bytes;
	return e;
}

static void load_one(struct image_cache *c, const char *key)
{
	auto_buf struct buf text = BUF_INIT(4096);
	auto_json struct json *record = NULL;
	struct stat st;
	if (!sha256_is_hex(str_from(key)) || fstatat(c->dir_fd, key, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	int64_t used_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	if (file_read(c->dir_fd, key, &text, NULL) == 0 &&
		json_parse(buf_str(&text), &record, NULL) == 0 &&
		sha256_is_hex(json_str(json_find(record, "layer"))))
		add(c, key, json_str(json_find(record, "layer")),
			json_int(json_find(record, "size_bytes")), used_ms);
	else
		unlinkat(c->dir_fd, key, 0);
}

struct image_cache *image_cache_open(int dir_fd)
{
	struct image_cache *c = mem_new(struct image_cache);
	c->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	list_init(&c->all);
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		close_fd(copy);
		return c;
	}
	for (struct dirent *e; (e = readdir(dir));)
		load_one(c, e->d_name);
	closedir(dir);
	return c;
}

void image_cache_free(struct image_cache *c)
{
	if (!c)
		return;
	while (!list_is_empty(&c->all))
		forget(c, list_get_first(&c->all, struct cached, link));
	map_fini(&c->by_key);
	close_fd(c->dir_fd);
	free(c);
}

/* Its date says when it was of use last, also to the next server. */
static void touch(struct image_cache *c, struct cached *e)
{
	utimensat(c->dir_fd, e->key, NULL, AT_SYMLINK_NOFOLLOW);
	e->used_ms = clock_wall_ms();
	list_remove(&e->link);
	enlist(c, e);
}

const char *image_cache_find(struct image_cache *c, const char *key, int64_t *ret_bytes)
{
	struct cached *e = map_find(&c->by_key, str_from(key));
	if (!e)
		return NULL;
	touch(c, e);
	*ret_bytes = e->bytes;
	return e->layer;
}

void image_cache_put(struct image_cache *c, const char *key, const char *layer, int64_t bytes)
{
	auto_buf struct buf text = BUF_INIT(4096);
	struct jsonw w = JSONW(&text);
	struct cached *old = map_find(&c->by_key, str_from(key));
	if (old)
		drop(c, old);
	jsonw_open(&w);
	jsonw_key_str(&w, "layer", str_from(layer));
	jsonw_key_int(&w, "size_bytes", bytes);
	jsonw_close(&w);
	if (file_replace(c->dir_fd, key, buf_str(&text), 0600, NULL) < 0)
		return; /* then it is done again the next time */
	touch(c, add(c, key, str_from(layer), bytes, 0));
	while (c->by_key.count > IMAGE_CACHE_MAX ||
		(c->bytes > IMAGE_CACHE_BYTES && c->by_key.count > 1))
		drop(c, list_get_first(&c->all, struct cached, link));
}

bool image_cache_needs(const struct image_cache *c, const char *layer)
{
	const struct cached *e;
	list_for_each(e, &c->all, link)
		if (!strcmp(e->layer, layer))
			return true;
	return false;
}

void image_cache_drop(struct image_cache *c, const char *key)
{
	struct cached *e = map_find(&c->by_key, str_from(key));
	if (e)
		drop(c, e);
}

int64_t image_cache_clear(struct image_cache *c)
{
	int64_t bytes = c->bytes;
	while (!list_is_empty(&c->all))
		drop(c, list_get_first(&c->all, struct cached, link));
	return bytes;
}

int64_t image_cache_bytes(const struct image_cache *c)
{
	return c->bytes;
}

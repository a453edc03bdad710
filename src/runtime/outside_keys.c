/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the headers of tools outside is a key, mostly. It is in no record, event, answer
 * or log, but in a file for each sandbox, STATE/tool-keys/ID, that only the server can read:
 * {PACK:{NAME:value}}. It is written before the record that needs it, and removed when the sandbox
 * has ended; where a server died in between, the next removes it.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/disk.h"
#include "runtime/outside_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char *path_of(const struct runtime *rt, const char *sandbox)
{
	return mem_printf("%s/%s", rt->keys_dir, sandbox);
}

void outside_keys_load(struct outside *o)
{
	auto_free char *path = path_of(o->rt, o->sandbox);
	auto_buf struct buf text = BUF_INIT(OUTSIDE_JSON_MAX);
	struct error err;
	if (file_read(AT_FDCWD, path, &text, &err) < 0) {
		if (err.sys != ENOENT)
			log_error("tool.keys", "%s", err.text);
		return;
	}
	if (json_parse(buf_str(&text), &o->keys, &err) < 0)
		log_error("tool.keys", "%s: %s", path, err.text);
}

const struct json *outside_keys_of(const struct outside *o, struct str pack)
{
	void *it = NULL;
	struct str key;
	const struct json *values;
	while (o->keys && (values = json_next(o->keys, &it, &key)))
		if (str_eq(key, pack))
			return values;
	return NULL;
}

/* All that are there, but for those of the pack; then its own. */
static void put_all(const struct outside *o, struct str pack, struct str values_json, struct buf *b)
{
	struct jsonw w = JSONW(b);
	void *it = NULL;
	struct str key;
	const struct json *values;
	jsonw_open(&w);
	while (o->keys && (values = json_next(o->keys, &it, &key)))
		if (!str_eq(key, pack)) {
			jsonw_key_dyn(&w, key);
			json_write(values, b);
			w.needs_comma = true;
		}
	if (values_json.ptr) {
		jsonw_key_dyn(&w, pack);
		jsonw_raw(&w, values_json);
	}
	jsonw_close(&w);
}

int outside_keys_set(struct outside *o, struct str pack, struct str values_json, struct error *err)
{
	auto_free char *path = path_of(o->rt, o->sandbox);
	auto_buf struct buf text = BUF_INIT(OUTSIDE_JSON_MAX);
	struct json *keys;
	if (!values_json.ptr && !outside_keys_of(o, pack))
		return 0;
	put_all(o, pack, values_json, &text);
	if (text.is_full)
		return error_set(err, ERROR_TOO_LARGE, "over %d bytes of headers",
			OUTSIDE_JSON_MAX);
	if (json_parse(buf_str(&text), &keys, err) < 0)
		return -1;
	if (file_mkdirs(o->rt->keys_dir, 0700, err) < 0 ||
		file_replace(AT_FDCWD, path, buf_str(&text), 0600, err) < 0) {
		json_free(keys);
		error_wrap(err, "keep its headers");
		return disk_blame(err);
	}
	json_free(o->keys);
	o->keys = keys;
	return 0;
}

void outside_forget(const struct sandbox *s)
{
	auto_free char *path = path_of(s->runtime, s->id);
	if (s->outside_json && unlink(path) < 0 && errno != ENOENT)
		log_warn("tool.keys", "remove %s: %s", path, strerror(errno));
}

void outside_sweep(struct runtime *rt)
{
	DIR *dir = opendir(rt->keys_dir);
	if (!dir)
		return; /* there never was a key */
	for (struct dirent *e; (e = readdir(dir));) {
		const struct sandbox *s = map_find(&rt->by_id, str_from(e->d_name));
		bool is_needed = s && s->outside_json && sandbox_is_alive(s);
		if (e->d_name[0] != '.' && !is_needed && unlinkat(dirfd(dir), e->d_name, 0) < 0)
			log_warn("tool.keys", "remove %s: %s", e->d_name, strerror(errno));
	}
	closedir(dir);
}

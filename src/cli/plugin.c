/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/auto.h"
#include "base/file.h"

#include <fcntl.h>

enum { PLUGIN_BYTES_MAX = 2 * 1024 * 1024 };

/* A manifest's list of files becomes a map of their contents: the server cannot read them here. */
static int put_files(struct jsonw *w, int dir_fd, const struct json *files, struct error *err)
{
	jsonw_open(w);
	for (size_t i = 0; i < json_len(files); i++) {
		auto_buf struct buf content = BUF_INIT(PLUGIN_BYTES_MAX);
		struct str name = json_str(json_at(files, i));
		if (!name.len || str_find_char(name, '/') >= 0 || str_has_nul(name))
			return error_set(err, ERROR_INVALID,
				"plugin.json: 'files' must be names of files beside it");
		if (file_read(dir_fd, name.ptr, &content, err) < 0)
			return -1;
		jsonw_key_dyn(w, name);
		jsonw_str(w, buf_str(&content));
	}
	jsonw_close(w);
	return 0;
}

static int put_manifest(struct jsonw *w, const char *dir, struct error *err)
{
	auto_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_buf struct buf text = BUF_INIT(PLUGIN_BYTES_MAX);
	auto_json struct json *manifest = NULL;
	void *it = NULL;
	struct str key;
	struct json *value;
	if (dir_fd < 0)
		return error_sys(err, errno, "open");
	if (file_read(dir_fd, "plugin.json", &text, err) < 0 ||
		json_parse(buf_str(&text), &manifest, err) < 0)
		return error_wrap(err, "plugin.json");
	jsonw_open(w);
	while ((value = json_next(manifest, &it, &key))) {
		jsonw_key_dyn(w, key);
		if (str_is(key, "files") && json_kind(value) == JSON_KIND_ARRAY) {
			if (put_files(w, dir_fd, value, err) < 0)
				return -1;
		} else {
			json_write(value, w->b);
			w->needs_comma = true;
		}
	}
	jsonw_close(w);
	return 0;
}

/* A name is of those that the server has; what has a slash is a directory here. */
int client_put_plugins(struct jsonw *w, const struct option_texts *texts, struct error *err)
{
	jsonw_key(w, "plugins");
	jsonw_open_array(w);
	for (int i = 0; i < texts->n; i++) {
		if (!strchr(texts->items[i], '/'))
			jsonw_str(w, str_from(texts->items[i]));
		else if (put_manifest(w, texts->items[i], err) < 0)
			return error_wrap(err, "--plugin %s", texts->items[i]);
	}
	jsonw_close_array(w);
	return 0;
}

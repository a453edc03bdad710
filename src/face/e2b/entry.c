/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file as filesystem.EntryInfo. Of a symbolic link it tells what the link leads to, and where
 * that is; one that leads nowhere has no type.
 */
#include "face/e2b/rpc.h"

#include "action/file_actions.h"
#include "base/auto.h"

static const char *type_of(struct str type)
{
	if (str_is(type, "file"))
		return "FILE_TYPE_FILE";
	return str_is(type, "directory") ? "FILE_TYPE_DIRECTORY" : "FILE_TYPE_UNSPECIFIED";
}

/* "a/b/../c" against the directory of `path`. */
static void put_target(struct jsonw *w, struct str path, struct str target)
{
	auto_buf struct buf whole = BUF_INIT(4 * E2B_PATH_MAX), out = BUF_INIT(4 * E2B_PATH_MAX);
	struct str rest, part;
	if (!str_starts(target, STR("/"))) {
		size_t n = path.len;
		while (n && path.ptr[n - 1] != '/')
			n--;
		buf_put(&whole, str_first(path, n));
	}
	buf_put(&whole, target);
	rest = buf_str(&whole);
	while (rest.len && str_split(&rest, '/', &part)) {
		if (!part.len || str_is(part, "."))
			continue;
		if (!str_is(part, "..")) {
			buf_putc(&out, '/');
			buf_put(&out, part);
			continue;
		}
		while (out.len && out.ptr[out.len - 1] != '/')
			buf_cut(&out, out.len - 1);
		if (out.len)
			buf_cut(&out, out.len - 1);
	}
	jsonw_key_str(w, "symlinkTarget", out.len ? buf_str(&out) : STR("/"));
}

static void put_number(struct jsonw *w, const char *key, int64_t n)
{
	char text[32];
	snprintf(text, sizeof(text), "%lld", (long long)n);
	jsonw_key_str(w, key, str_from(text));
}

static void put_owner(struct jsonw *w, const struct json *file, const char *name_key,
	const char *id_key)
{
	struct str name = json_str(json_find(file, name_key));
	if (name.len)
		jsonw_key_str(w, name_key, name);
	else
		put_number(w, name_key, json_int(json_find(file, id_key)));
}

/* Names of theirs without the prefix that the attributes have. */
static void put_metadata(struct jsonw *w, const struct json *xattrs)
{
	const struct json *value;
	struct str key;
	void *it = NULL;
	if (!json_len(xattrs))
		return;
	jsonw_key(w, "metadata");
	jsonw_open(w);
	while ((value = json_next(xattrs, &it, &key))) {
		jsonw_key_dyn(w, str_skip(key, sizeof("user.e2b.") - 1));
		jsonw_str(w, json_str(value));
	}
	jsonw_close(w);
}

void e2b_put_entry(struct jsonw *w, const struct json *file, struct str name, struct str path)
{
	struct str type = json_str(json_find(file, "type"));
	struct str target = json_str(json_find(file, "target"));
	struct str mode = json_str(json_find(file, "mode"));
	if (str_is(type, "symlink"))
		type = json_str(json_find(file, "target_type"));
	jsonw_open(w);
	jsonw_key_str(w, "name", name);
	jsonw_key_str(w, "type", str_from(type_of(type)));
	jsonw_key_str(w, "path", path);
	put_number(w, "size", json_int(json_find(file, "size")));
	jsonw_key_int(w, "mode", strtol(mode.ptr ? mode.ptr : "0", NULL, 8) & 07777);
	jsonw_key_str(w, "permissions", json_str(json_find(file, "permissions")));
	put_owner(w, file, "owner", "uid");
	put_owner(w, file, "group", "gid");
	e2b_key_time(w, "modifiedTime", json_int(json_find(file, "mtime_ms")));
	if (target.len)
		put_target(w, path, target);
	put_metadata(w, json_find(file, "xattrs"));
	jsonw_close(w);
}

static void on_stat(struct chore *e, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(E2B_PARAMS_MAX);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key(&w, "entry");
	e2b_put_entry(&w, result, json_str(json_find(result, "name")),
		json_str(json_find(result, "path")));
	jsonw_close(&w);
	e2b_rpc_reply(e, &body);
}

#define MORE ",\"xattrs\":\"user.e2b.\""

/* Either nothing is there, or a link that leads nowhere. */
static void on_not_there(struct chore *e, const struct error *err)
{
	const struct str *path = e->state;
	e->failed = NULL;
	if (err->code == ERROR_NOT_FOUND)
		e2b_perform_path(e, &stat_action, *path, ",\"follow\":false" MORE, on_stat);
	else
		e2b_rpc_fail(e->r, err);
}

void e2b_rpc_reply_entry(struct chore *e, struct str path)
{
	struct str *kept = arena_new(&e->r->arena, struct str);
	*kept = str_from(arena_str(&e->r->arena, path));
	e->state = kept;
	e->failed = on_not_there;
	e2b_perform_path(e, &stat_action, *kept, MORE, on_stat);
}

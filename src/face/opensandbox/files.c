/* SPDX-License-Identifier: Apache-2.0 */
/* /files and /directories: what is there, and changes to it. Lists are in tree.c. */
#include "face/opensandbox/files.h"

#include "action/file_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "face/opensandbox/handlers.h"

enum { MODE_MAX = 7777, REPLACE_BYTES_MAX = 4 * 1024 * 1024, PERMISSIONS_MS = 60000 };

/* ---- a file ---- */

static void put_owner(struct jsonw *w, const struct json *file, const char *key, const char *id_key)
{
	struct str name = json_str(json_find(file, key));
	char id[24];
	snprintf(id, sizeof(id), "%lld", (long long)json_int(json_find(file, id_key)));
	if (!name.len)
		name = str_from(id);
	jsonw_key_str(w, key, name);
}

static const char *type_of(struct str type)
{
	static const char *const known[] = { "file", "directory", "symlink" };
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_is(type, known[i]))
			return known[i];
	return "other";
}

void osb_put_file(struct jsonw *w, const struct json *file, struct str path)
{
	struct str mode = json_str(json_find(file, "mode"));
	const struct json *changed = json_find(file, "ctime_ms"),
			  *modified = json_find(file, "mtime_ms");
	char octal[16];
	snprintf(octal, sizeof(octal), "%o",
		(unsigned)strtol(mode.ptr ? mode.ptr : "0", NULL, 8) & 0777);
	jsonw_open(w);
	jsonw_key_str(w, "path", path);
	jsonw_key_str(w, "type", str_from(type_of(json_str(json_find(file, "type")))));
	jsonw_key_int(w, "size", json_int(json_find(file, "size")));
	osb_key_time(w, "modified_at", json_int(modified));
	osb_key_time(w, "created_at", json_int(changed ?: modified));
	put_owner(w, file, "owner", "uid");
	put_owner(w, file, "group", "gid");
	jsonw_key_int(w, "mode", strtol(octal, NULL, 10));
	jsonw_close(w);
}

/* ---- several paths of a query, one after the other ---- */

struct paths {
	struct str *items; /* as they were sent */
	size_t n, at;
	struct buf body;
	struct jsonw w;
};

static void drop_paths(struct chore *e)
{
	struct paths *p = e->state;
	buf_fini(&p->body);
}

/* NULL: answered. */
static struct chore *paths_chore(struct http_request *r)
{
	struct chore *e = osb_chore(r);
	struct str path;
	size_t i = 0;
	if (!e)
		return NULL;
	struct paths *p = arena_new(&r->arena, struct paths);
	p->items = arena_new_n(&r->arena, struct str, OSB_PATHS_MAX);
	buf_init(&p->body, HTTP_REPLY_MAX);
	p->w = JSONW(&p->body);
	e->state = p;
	e->drop = drop_paths;
	while (osb_next_query(r, "path", &i, &path)) {
		if (p->n == OSB_PATHS_MAX || !osb_path_is_good(path)) {
			osb_execd_invalid(r, "path: one of them is too long, or over %d",
				OSB_PATHS_MAX);
			return NULL;
		}
		p->items[p->n++] = path;
	}
	return e;
}

static struct str current(const struct chore *e)
{
	const struct paths *p = e->state;
	return osb_path(e->r, p->items[p->at]);
}

static void info_next(struct chore *e);

static void on_info(struct chore *e, const struct json *file)
{
	struct paths *p = e->state;
	jsonw_key_dyn(&p->w, p->items[p->at++]);
	osb_put_file(&p->w, file, json_str(json_find(file, "path")));
	p->w.needs_comma = true;
	info_next(e);
}

static void info_next(struct chore *e)
{
	struct paths *p = e->state;
	if (p->at < p->n) {
		chore_perform_path(e, &stat_action, current(e), ",\"follow\":false", on_info);
		return;
	}
	jsonw_close(&p->w);
	auto_buf struct buf body = p->body; /* the request and its arena go with the reply */
	http_reply_json(e->r, 200, &body);
}

void osb_files_info(struct http_request *r)
{
	struct chore *e = paths_chore(r);
	struct paths *p = e ? e->state : NULL;
	if (!e)
		return;
	jsonw_open(&p->w);
	info_next(e);
}

/* ---- delete ---- */

static void delete_next(struct chore *e, const struct json *result);

static void on_looked_at(struct chore *e, const struct json *file)
{
	struct error err;
	if (!str_is(json_str(json_find(file, "type")), "directory")) {
		chore_perform_path(e, &remove_action, current(e), ",\"missing_ok\":true",
			delete_next);
		return;
	}
	error_set(&err, ERROR_INVALID, "path is a directory: %.*s",
		STR_ARG(str_first(json_str(json_find(file, "path")), 200)));
	chore_fail(e, &err);
}

/* What is not there is as was wanted. */
static void on_missing(struct chore *e, const struct error *err)
{
	if (err->code == ERROR_NOT_FOUND)
		delete_next(e, NULL);
	else
		chore_fail(e, err);
}

static void look_next(struct chore *e)
{
	struct paths *p = e->state;
	if (p->at == p->n)
		osb_empty(e->r, 200);
	else
		chore_perform_path(e, &stat_action, current(e), ",\"follow\":false", on_looked_at);
}

static void delete_next(struct chore *e, const struct json *result)
{
	struct paths *p = e->state;
	p->at++;
	look_next(e);
}

void osb_files_delete(struct http_request *r)
{
	struct chore *e = paths_chore(r);
	if (!e)
		return;
	e->failed = on_missing;
	look_next(e);
}

static void remove_next(struct chore *e, const struct json *result)
{
	struct paths *p = e->state;
	if (result)
		p->at++;
	if (p->at == p->n)
		osb_empty(e->r, 200);
	else
		chore_perform_path(e, &remove_action, current(e),
			",\"recursive\":true,\"missing_ok\":true", remove_next);
}

void osb_directories_delete(struct http_request *r)
{
	struct chore *e = paths_chore(r);
	if (e)
		remove_next(e, NULL);
}

/* ---- permissions: no action of ours, programs of the sandbox's ---- */

/* $1: d or f; then path, mode, owner, group, again and again. */
static const char script[] =
	"known() {\n"
	"  case $1 in *[!0-9]*) ;; *) return 0 ;; esac\n"
	"  while IFS=: read -r name rest; do [ \"$name\" = \"$1\" ] && return 0; done <\"$2\"\n"
	"  return 1\n"
	"}\n"
	"kind=$1; shift\n"
	"while [ $# -ge 4 ]; do\n"
	"  if [ \"$kind\" = d ]; then mkdir -p -- \"$1\" || exit 1; fi\n"
	"  [ -e \"$1\" ] || [ -L \"$1\" ] || { echo \"file not found. $1\" >&2; exit 4; }\n"
	"  if [ -n \"$2\" ]; then chmod -- \"$2\" \"$1\" || exit 1; fi\n"
	"  if [ -n \"$3\" ] && known \"$3\" /etc/passwd; then chown -- \"$3\" \"$1\" || exit 1; fi\n"
	"  if [ -n \"$4\" ] && known \"$4\" /etc/group; then chgrp -- \"$4\" \"$1\" || exit 1; fi\n"
	"  shift 4\n"
	"done\n";

int osb_permission_read(struct http_request *r, struct str path, const struct json *from,
	struct osb_permission *ret, struct error *err)
{
	const struct json *mode = json_find(from, "mode");
	struct str owner = json_str(json_find(from, "owner")),
		   group = json_str(json_find(from, "group"));
	int64_t n = json_int(mode);
	if (!osb_path_is_good(path) || owner.len > 64 || group.len > 64 || str_has_nul(owner) ||
		str_has_nul(group) || str_starts(owner, STR("-")) || str_starts(group, STR("-")))
		return error_set(err, ERROR_INVALID, "a path, an owner or a group is too long");
	if ((mode && json_kind(mode) != JSON_KIND_INT && json_kind(mode) != JSON_KIND_NULL) ||
		n < 0 || n > MODE_MAX || n % 10 > 7 || n / 10 % 10 > 7 || n / 100 % 10 > 7)
		return error_set(err, ERROR_INVALID, "mode must be octal digits, as 644 or 755");
	*ret = (struct osb_permission){
		.path = osb_path(r, path),
		.mode = n ? str_from(arena_printf(&r->arena, "%lld", (long long)n)) : STR(""),
		.owner = owner.len ? str_from(arena_str(&r->arena, owner)) : STR(""),
		.group = group.len ? str_from(arena_str(&r->arena, group)) : STR(""),
	};
	return 0;
}

static void on_set(struct chore *e, const struct json *result)
{
	const struct json *code = json_find(result, "exit_code");
	struct str said = str_trim(json_str(json_find(result, "stderr")));
	if (json_kind(code) == JSON_KIND_INT && json_int(code) == 0)
		osb_empty(e->r, 200);
	else if (json_int(code) == 4)
		osb_fail(e->r, 404, "FILE_NOT_FOUND", "%.*s", STR_ARG(str_first(said, 500)));
	else
		osb_fail(e->r, 500, "RUNTIME_ERROR", "error changing permissions: %s%.*s",
			json_bool(json_find(result, "timed_out")) ? "it took too long: " : "",
			STR_ARG(str_first(said, 500)));
}

void osb_permissions_set(struct chore *e, const struct osb_permission *all, size_t n,
	bool are_directories)
{
	auto_buf struct buf params = BUF_INIT(OSB_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, STR("/bin/sh"));
	jsonw_str(&w, STR("-c"));
	jsonw_str(&w, str_from(script));
	jsonw_str(&w, STR("permissions"));
	jsonw_str(&w, are_directories ? STR("d") : STR("f"));
	for (size_t i = 0; i < n; i++) {
		jsonw_str(&w, all[i].path);
		jsonw_str(&w, all[i].mode);
		jsonw_str(&w, all[i].owner);
		jsonw_str(&w, all[i].group);
	}
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "capture", true);
	jsonw_key_int(&w, "log_bytes", 4096);
	jsonw_key_int(&w, "timeout_ms", PERMISSIONS_MS);
	jsonw_close(&w);
	chore_perform(e, &exec_action, &params, on_set);
}

static void set_all(struct http_request *r, bool are_directories)
{
	struct chore *e = osb_chore(r);
	auto_json struct json *body = e ? osb_body(r) : NULL;
	const struct json *value;
	struct str path;
	struct error err;
	void *it = NULL;
	size_t n = 0;
	if (!body)
		return;
	if (json_len(body) > OSB_PATHS_MAX) {
		osb_execd_invalid(r, "over %d paths", OSB_PATHS_MAX);
		return;
	}
	struct osb_permission *all = arena_new_n(&r->arena, struct osb_permission,
		json_len(body) + 1);
	while ((value = json_next(body, &it, &path)))
		if (osb_permission_read(r, path, value, &all[n++], &err) < 0) {
			osb_execd_error(r, &err);
			return;
		}
	osb_permissions_set(e, all, n, are_directories);
}

void osb_files_permissions(struct http_request *r)
{
	set_all(r, false);
}

void osb_directories_make(struct http_request *r)
{
	set_all(r, true);
}

/* ---- move, replace: what the body lists, one after the other ---- */

struct batch {
	struct json *body;
	void *it;
	size_t at;
	struct str path;
	const struct json *item;
	struct buf counts;
	struct jsonw w;
	size_t count;
};

static void drop_batch(struct chore *e)
{
	struct batch *b = e->state;
	json_free(b->body);
	buf_fini(&b->counts);
	free(b);
}

/* NULL: answered. */
static struct chore *batch_chore(struct http_request *r, enum json_kind kind)
{
	struct chore *e = osb_chore(r);
	struct json *body = e ? osb_body_of(r, kind) : NULL;
	if (!body)
		return NULL;
	if (json_len(body) > OSB_PATHS_MAX) {
		json_free(body);
		osb_execd_invalid(r, "over %d paths", OSB_PATHS_MAX);
		return NULL;
	}
	struct batch *b = mem_new(struct batch);
	b->body = body;
	buf_init(&b->counts, HTTP_REPLY_MAX);
	b->w = JSONW(&b->counts);
	e->state = b;
	e->drop = drop_batch;
	return e;
}

static void move_next(struct chore *e, const struct json *result)
{
	struct batch *b = e->state;
	const struct json *item = json_at(b->body, b->at);
	struct str from = json_str(json_find(item, "src")), to = json_str(json_find(item, "dest"));
	auto_buf struct buf more = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&more);
	struct error err;
	if (b->at == json_len(b->body)) {
		struct http_request *r = e->r;
		drop_batch(e);
		osb_empty(r, 200);
		return;
	}
	b->at++;
	if (!osb_path_is_good(from) || !osb_path_is_good(to)) {
		error_set(&err, ERROR_INVALID, "src and dest must be paths");
		chore_fail(e, &err);
		return;
	}
	w.needs_comma = true;
	jsonw_key_str(&w, "to", osb_path(e->r, to));
	jsonw_key_bool(&w, "overwrite", false);
	chore_perform_path(e, &move_action, osb_path(e->r, from), more.ptr, move_next);
}

void osb_files_move(struct http_request *r)
{
	struct chore *e = batch_chore(r, JSON_KIND_ARRAY);
	if (e)
		move_next(e, NULL);
}

static void replace_next(struct chore *e);

static void on_written(struct chore *e, const struct json *result)
{
	struct batch *b = e->state;
	jsonw_key_dyn(&b->w, b->path);
	jsonw_open(&b->w);
	jsonw_key_int(&b->w, "replacedCount", (int64_t)b->count);
	jsonw_close(&b->w);
	replace_next(e);
}

static void on_read(struct chore *e, const struct json *file)
{
	struct batch *b = e->state;
	auto_buf struct buf text = BUF_INIT(2 * REPLACE_BYTES_MAX),
			    params = BUF_INIT(14 * REPLACE_BYTES_MAX);
	struct jsonw w = JSONW(&params);
	struct error err;
	b->count = buf_put_replaced(&text, json_str(json_find(file, "content")),
		json_str(json_find(b->item, "old")), json_str(json_find(b->item, "new")));
	if (json_bool(json_find(file, "truncated")) || text.is_full ||
		!json_bool(json_find(file, "is_valid_utf8"))) {
		error_set(&err, ERROR_UNSUPPORTED, "%.*s is no UTF-8 text, or larger than %d MiB",
			STR_ARG(str_first(b->path, 200)), REPLACE_BYTES_MAX >> 20);
		chore_fail(e, &err);
		return;
	}
	if (!b->count) {
		on_written(e, NULL);
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "path", osb_path(e->r, b->path));
	jsonw_key_str(&w, "content", buf_str(&text));
	jsonw_close(&w);
	chore_perform(e, &write_action, &params, on_written);
}

static void replace_next(struct chore *e)
{
	struct batch *b = e->state;
	struct http_request *r = e->r;
	struct error err;
	char more[64];
	b->item = json_next(b->body, &b->it, &b->path);
	if (!b->item) {
		jsonw_close(&b->w);
		auto_buf struct buf body = b->counts;
		b->counts = BUF_INIT(1);
		drop_batch(e);
		if (str_is(http_query(r, "verbose"), "true"))
			http_reply_json(r, 200, &body);
		else
			osb_empty(r, 200);
		return;
	}
	if (!osb_path_is_good(b->path) || !json_str(json_find(b->item, "old")).len) {
		error_set(&err, ERROR_INVALID, "old content must not be empty, nor the path");
		chore_fail(e, &err);
		return;
	}
	snprintf(more, sizeof(more), ",\"max_bytes\":%d", REPLACE_BYTES_MAX);
	chore_perform_path(e, &read_action, osb_path(r, b->path), more, on_read);
}

void osb_files_replace(struct http_request *r)
{
	struct chore *e = batch_chore(r, JSON_KIND_OBJECT);
	struct batch *b = e ? e->state : NULL;
	if (!e)
		return;
	jsonw_open(&b->w);
	replace_next(e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* /files: what is there, and changes to it. Bytes in and out are in upload.c and download.c. */
#include "face/daytona/handlers.h"

#include "action/file_actions.h"
#include "action/process_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"

enum {
	PARAMS_MAX = 64 * 1024,
	LIST_PAGE = 10000,
	MATCHES_MAX = 10000,
	REPLACE_FILES_MAX = 1000,
	REPLACE_BYTES_MAX = 4 * 1024 * 1024, /* of one file */
	DEPTH_MAX = 64,
};

/* ---- a file as Daytona tells of it ---- */

static void put_mode(struct str type, int64_t mode, char ret[11])
{
	static const char *const bits[] = { "---", "--x", "-w-", "-wx", "r--", "r-x", "rw-",
		"rwx" };
	char kind = str_is(type, "directory") ? 'd' : str_is(type, "symlink") ? 'L' : '-';
	snprintf(ret, 11, "%c%s%s%s", kind, bits[mode >> 6 & 7], bits[mode >> 3 & 7],
		bits[mode & 7]);
}

/* Daytona tells owners as numbers, and what a link leads to. */
static void put_file(struct jsonw *w, const struct json *file, struct str name, struct str path)
{
	struct str type = json_str(json_find(file, "type"));
	struct str target_type = json_str(json_find(file, "target_type"));
	struct str mode = json_str(json_find(file, "mode"));
	char text[11], octal[8], id[32];
	int64_t bits = strtol(mode.ptr ? mode.ptr : "0", NULL, 8) & 0777;
	if (target_type.len)
		type = target_type;
	put_mode(type, bits, text);
	snprintf(octal, sizeof(octal), "%04o", (unsigned)bits);
	jsonw_open(w);
	jsonw_key_str(w, "name", name);
	if (path.len)
		jsonw_key_str(w, "path", path);
	jsonw_key_bool(w, "isDir", str_is(type, "directory"));
	jsonw_key_int(w, "size", json_int(json_find(file, "size")));
	jsonw_key_str(w, "mode", str_from(text));
	daytona_key_time(w, "modTime", json_int(json_find(file, "mtime_ms")));
	daytona_key_time(w, "modifiedAt", json_int(json_find(file, "mtime_ms")));
	snprintf(id, sizeof(id), "%lld", (long long)json_int(json_find(file, "uid")));
	jsonw_key_str(w, "owner", str_from(id));
	snprintf(id, sizeof(id), "%lld", (long long)json_int(json_find(file, "gid")));
	jsonw_key_str(w, "group", str_from(id));
	jsonw_key_str(w, "permissions", str_from(octal));
	jsonw_close(w);
}

static void reply_missing(struct chore *e, const struct error *err)
{
	static const struct {
		enum error_code code;
		const char *word;
	} words[] = {
		{ ERROR_NOT_FOUND, "FILE_NOT_FOUND" },
		{ ERROR_FORBIDDEN, "FILE_ACCESS_DENIED" },
		{ ERROR_INVALID, "INVALID_FILE_PATH" },
	};
	const char *word = NULL;
	for (size_t i = 0; i < ARRAY_LEN(words) && !gate_is_refusal(err); i++)
		if (words[i].code == err->code)
			word = words[i].word;
	daytona_fail(e->r, daytona_status(err->code), word, "%s", err->text);
}

static struct chore *file_chore(struct http_request *r)
{
	struct chore *e = daytona_chore(r);
	if (e)
		e->failed = reply_missing;
	return e;
}

/* ---- list, info ---- */

static void on_listed(struct chore *e, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	const struct json *entries = json_find(result, "entries");
	struct str base = json_str(json_find(result, "path"));
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(entries); i++) {
		const struct json *entry = json_at(entries, i);
		struct str name = json_str(json_find(entry, "name"));
		auto_free char *path = mem_printf("%.*s%s%.*s", STR_ARG(base),
			str_is(base, "/") ? "" : "/", STR_ARG(name));
		while (str_find_char(name, '/') >= 0)
			name = str_skip(name, (size_t)str_find_char(name, '/') + 1);
		put_file(&w, entry, name, str_from(path));
	}
	jsonw_close_array(&w);
	http_reply_json(e->r, 200, &body);
}

void files_list(struct http_request *r)
{
	struct chore *e = file_chore(r);
	struct str path = http_query(r, "path"), depth = http_query(r, "depth");
	int64_t levels = 1;
	struct error err;
	if (!e)
		return;
	if (depth.len && num_parse_i64(depth, 1, DEPTH_MAX, &levels, &err) < 0) {
		daytona_fail(r, 400, NULL, "depth: %s", err.text);
		return;
	}
	char more[96];
	snprintf(more, sizeof(more), ",\"hidden\":true,\"limit\":%d,\"depth\":%lld", LIST_PAGE,
		(long long)levels);
	chore_perform_path(e, &list_action, path.len ? path : STR("."), more, on_listed);
}

static void on_info(struct chore *e, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&body);
	put_file(&w, result, json_str(json_find(result, "name")),
		json_str(json_find(result, "path")));
	http_reply_json(e->r, 200, &body);
}

void files_info(struct http_request *r)
{
	struct chore *e = file_chore(r);
	struct str path;
	if (e && daytona_need_query(r, "path", &path))
		chore_perform_path(e, &stat_action, path, ",\"follow\":true", on_info);
}

/* ---- folder, delete, move ---- */

static void on_made(struct chore *e, const struct json *result)
{
	daytona_empty(e->r, 201);
}

static void on_removed(struct chore *e, const struct json *result)
{
	daytona_empty(e->r, 204);
}

static void on_changed(struct chore *e, const struct json *result)
{
	daytona_empty(e->r, 200);
}

static bool is_octal(struct str mode)
{
	for (size_t i = 0; i < mode.len; i++)
		if (mode.ptr[i] < '0' || mode.ptr[i] > '7')
			return false;
	return mode.len > 0 && mode.len <= 5;
}

void files_folder(struct http_request *r)
{
	struct chore *e = file_chore(r);
	struct str path, mode = http_query(r, "mode");
	if (!e || !daytona_need_query(r, "path", &path))
		return;
	if (mode.len && !is_octal(mode)) {
		daytona_fail(r, 400, NULL, "invalid mode format");
		return;
	}
	char more[64] = ",\"parents\":true";
	if (mode.len)
		snprintf(more, sizeof(more), ",\"parents\":true,\"mode\":\"%.*s\"", STR_ARG(mode));
	chore_perform_path(e, &mkdir_action, path, more, on_made);
}

static void on_looked_at(struct chore *e, const struct json *result)
{
	bool is_link = json_bool(json_find(result, "is_symlink"));
	struct str path = http_query(e->r, "path");
	if (str_is(json_str(json_find(result, "type")), "directory") && !is_link)
		daytona_fail(e->r, 400, NULL, "cannot delete directory without recursive flag");
	else
		chore_perform_path(e, &remove_action, path, "", on_removed);
}

void files_delete(struct http_request *r)
{
	struct chore *e = file_chore(r);
	struct str path;
	if (!e || !daytona_need_query(r, "path", &path))
		return;
	if (str_is(http_query(r, "recursive"), "true"))
		chore_perform_path(e, &remove_action, path, ",\"recursive\":true", on_removed);
	else
		chore_perform_path(e, &stat_action, path, ",\"follow\":false", on_looked_at);
}

void files_move(struct http_request *r)
{
	struct chore *e = file_chore(r);
	struct str from, to;
	auto_buf struct buf more = BUF_INIT(PARAMS_MAX);
	if (!e || !daytona_need_query(r, "source", &from) ||
		!daytona_need_query(r, "destination", &to))
		return;
	struct jsonw w = JSONW(&more);
	w.needs_comma = true;
	jsonw_key_str(&w, "to", to);
	jsonw_key_bool(&w, "overwrite", false);
	chore_perform_path(e, &move_action, from, more.ptr, on_changed);
}

/* ---- permissions: no action of ours, a program of the sandbox's ---- */

static void on_changed_by(struct chore *e, const struct json *result)
{
	if (exit_code_of(result) == 0)
		daytona_empty(e->r, 200);
	else
		daytona_fail(e->r, 400, NULL, "%.*s",
			STR_ARG(str_first(str_trim(json_str(json_find(result, "stdout"))), 500)));
}

static void change(struct chore *e, const char *program, struct str what, chore_fn *then)
{
	auto_buf struct buf params = BUF_INIT(PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key(&w, "argv");
	jsonw_open_array(&w);
	jsonw_str(&w, str_from(program));
	jsonw_str(&w, STR("--"));
	jsonw_str(&w, what);
	jsonw_str(&w, http_query(e->r, "path"));
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "capture", true);
	jsonw_key_bool(&w, "merge", true);
	jsonw_close(&w);
	chore_perform(e, &exec_action, &params, then);
}

static void change_owner(struct chore *e, const struct json *result)
{
	struct str owner = http_query(e->r, "owner"), group = http_query(e->r, "group");
	if (result && exit_code_of(result) != 0) {
		on_changed_by(e, result);
		return;
	}
	if (!owner.len && !group.len) {
		daytona_empty(e->r, 200);
		return;
	}
	auto_free char *both = mem_printf("%.*s%s%.*s", STR_ARG(owner), group.len ? ":" : "",
		STR_ARG(group));
	change(e, "chown", str_from(both), on_changed_by);
}

static void change_mode(struct chore *e, const struct json *result)
{
	struct str mode = http_query(e->r, "mode");
	if (!mode.len)
		change_owner(e, NULL);
	else if (!is_octal(mode))
		daytona_fail(e->r, 400, NULL, "invalid mode format");
	else
		change(e, "chmod", mode, change_owner);
}

void files_permissions(struct http_request *r)
{
	struct chore *e = file_chore(r);
	struct str path;
	if (e && daytona_need_query(r, "path", &path))
		chore_perform_path(e, &stat_action, path, "", change_mode);
}

/* ---- find (in files), search (for files) ---- */

static void on_found(struct chore *e, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	const struct json *matches = json_find(result, "matches");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(matches); i++) {
		const struct json *match = json_at(matches, i);
		jsonw_open(&w);
		jsonw_key_str(&w, "file", json_str(json_find(match, "path")));
		jsonw_key_int(&w, "line", json_int(json_find(match, "line")));
		jsonw_key_str(&w, "content", json_str(json_find(match, "text")));
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	http_reply_json(e->r, 200, &body);
}

static void on_searched(struct chore *e, const struct json *result)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	const struct json *matches = json_find(result, "matches");
	jsonw_open(&w);
	jsonw_key(&w, "files");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(matches); i++)
		jsonw_str(&w, json_str(json_find(json_at(matches, i), "path")));
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(e->r, 200, &body);
}

void files_find(struct http_request *r)
{
	struct chore *e = file_chore(r);
	struct str path, pattern;
	auto_buf struct buf more = BUF_INIT(PARAMS_MAX);
	if (!e || !daytona_need_query(r, "path", &path) ||
		!daytona_need_query(r, "pattern", &pattern))
		return;
	struct jsonw w = JSONW(&more);
	w.needs_comma = true;
	jsonw_key_str(&w, "pattern", pattern);
	jsonw_key_bool(&w, "fixed", true);
	jsonw_key_bool(&w, "hidden", true);
	jsonw_key_int(&w, "max_matches", MATCHES_MAX);
	chore_perform_path(e, &grep_action, path, more.ptr, on_found);
}

/* Names alone are compared, in every directory below. */
void files_search(struct http_request *r)
{
	struct chore *e = file_chore(r);
	struct str path, pattern;
	auto_buf struct buf more = BUF_INIT(PARAMS_MAX);
	if (!e || !daytona_need_query(r, "path", &path) ||
		!daytona_need_query(r, "pattern", &pattern))
		return;
	auto_free char *below = mem_printf("**/%.*s", STR_ARG(pattern));
	struct jsonw w = JSONW(&more);
	w.needs_comma = true;
	jsonw_key_str(&w, "pattern", str_from(below));
	jsonw_key_str(&w, "type", STR("any"));
	jsonw_key_bool(&w, "hidden", true);
	jsonw_key_int(&w, "limit", MATCHES_MAX);
	chore_perform_path(e, &glob_action, path, more.ptr, on_searched);
}

/* ---- replace: file after file is read, changed here, and written ---- */

struct replacing {
	size_t at; /* in the list of files */
	struct buf reply;
	struct jsonw w;
	struct str file;
};

static void replace_next(struct chore *e, const struct json *result);

static void drop_replacing(struct chore *e)
{
	struct replacing *p = e->state;
	buf_fini(&p->reply);
	free(p);
}

static void tell_one(struct chore *e, const char *failure)
{
	struct replacing *p = e->state;
	jsonw_open(&p->w);
	jsonw_key_str(&p->w, "file", p->file);
	jsonw_key_bool(&p->w, "success", !failure);
	if (failure)
		jsonw_key_str(&p->w, "error", str_from(failure));
	jsonw_close(&p->w);
	p->at++;
	replace_next(e, NULL);
}

static void on_replace_failed(struct chore *e, const struct error *err)
{
	tell_one(e, err->text);
}

static void on_written(struct chore *e, const struct json *result)
{
	tell_one(e, NULL);
}

static void on_read(struct chore *e, const struct json *result)
{
	struct replacing *p = e->state;
	auto_json struct json *body = NULL;
	auto_buf struct buf text = BUF_INIT(2 * REPLACE_BYTES_MAX),
			    params = BUF_INIT(8 * REPLACE_BYTES_MAX);
	struct jsonw w = JSONW(&params);
	if (json_bool(json_find(result, "truncated"))) {
		tell_one(e, "the file is too large to be replaced in");
		return;
	}
	if (!json_bool(json_find(result, "is_valid_utf8"))) {
		tell_one(e, "the file is no UTF-8 text");
		return;
	}
	json_parse(e->r->body, &body, NULL);
	buf_put_replaced(&text, json_str(json_find(result, "content")),
		json_str(json_find(body, "pattern")), json_str(json_find(body, "newValue")));
	if (text.is_full) {
		tell_one(e, "the file would become too large");
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "path", p->file);
	jsonw_key_str(&w, "content", buf_str(&text));
	jsonw_close(&w);
	chore_perform(e, &write_action, &params, on_written);
}

static void replace_next(struct chore *e, const struct json *result)
{
	struct replacing *p = e->state;
	auto_json struct json *body = NULL;
	json_parse(e->r->body, &body, NULL);
	const struct json *files = json_find(body, "files");
	if (p->at >= json_len(files)) {
		jsonw_close_array(&p->w);
		auto_buf struct buf reply = p->reply;
		p->reply = BUF_INIT(0);
		chore_drop(e);
		http_reply_json(e->r, 200, &reply);
		return;
	}
	struct str file = json_str(json_at(files, p->at));
	char more[64];
	p->file = str_from(arena_str(&e->r->arena, str_first(file, 4096)));
	snprintf(more, sizeof(more), ",\"max_bytes\":%d", REPLACE_BYTES_MAX);
	chore_perform_path(e, &read_action, p->file, more, on_read);
}

void files_replace(struct http_request *r)
{
	struct chore *e = daytona_chore(r);
	auto_json struct json *body = e ? daytona_body(r) : NULL;
	struct str pattern;
	if (!body || !daytona_need(r, body, "pattern", &pattern))
		return;
	const struct json *files = json_find(body, "files");
	if (json_kind(files) != JSON_KIND_ARRAY || json_len(files) > REPLACE_FILES_MAX) {
		daytona_fail(r, 400, NULL, "files must be a list of at most %d paths",
			REPLACE_FILES_MAX);
		return;
	}
	struct replacing *p = mem_new(struct replacing);
	buf_init(&p->reply, HTTP_REPLY_MAX);
	p->w = JSONW(&p->reply);
	jsonw_open_array(&p->w);
	e->state = p;
	e->failed = on_replace_failed;
	e->drop = drop_replacing;
	replace_next(e, NULL);
}

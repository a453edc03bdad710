/* SPDX-License-Identifier: Apache-2.0 */
/* list, stat, mkdir, remove, move, grep, glob of the Daytona backend. */
#include "runtime/remote/daytona_verbs.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/clock.h"
#include "runtime/remote/verbs.h"
#include "wire/frame.h"
#include "wire/url.h"

void daytona_put_path(struct far *far, struct buf *b, const char *head, struct str cwd,
	struct str path)
{
	buf_puts(b, head);
	url_encode(str_from(far_path(far, cwd, path)), b);
}

static void ask_path(struct far *far, const char *method, const char *head, const char *tail,
	far_fn *then)
{
	const struct file_where *where = far->params;
	auto_buf struct buf path = BUF_INIT(DAYTONA_PATH_BYTES);
	daytona_put_path(far, &path, head, where->cwd, where->path);
	buf_puts(&path, tail);
	if (str_is(STR("GET"), method))
		far_ask(far, method, path.ptr, STR_NONE, DAYTONA_FILE_MS, then);
	else
		far_tell(far, method, path.ptr, STR_NONE, DAYTONA_FILE_MS, then);
}

void daytona_key_path(struct far *far, struct jsonw *w)
{
	const struct file_where *where = far->params;
	jsonw_key_str(w, "path", str_from(far_path(far, where->cwd, where->path)));
}

static void finish_path(struct far *far, const char *key, int64_t number)
{
	auto_buf struct buf b = BUF_INIT(DAYTONA_PATH_BYTES);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	daytona_key_path(far, &w);
	if (key)
		jsonw_key_int(&w, key, number);
	jsonw_close(&w);
	far_finish(far, &b);
}

/* ---- list, stat ---- */

/* What is no date is 0. */
static int64_t time_of(struct str text)
{
	int64_t ms = 0;
	clock_parse(text, &ms);
	return ms;
}

static void put_file(const struct json *file, struct jsonw *w)
{
	bool is_dir = json_bool(json_find(file, "isDir"));
	auto_free char *uid = str_dup(json_str(json_find(file, "owner")));
	auto_free char *gid = str_dup(json_str(json_find(file, "group")));
	jsonw_key_str(w, "name", json_str(json_find(file, "name")));
	jsonw_key_str(w, "type", is_dir ? STR("directory") : STR("file"));
	jsonw_key_int(w, "size", json_int(json_find(file, "size")));
	jsonw_key_str(w, "mode", json_str(json_find(file, "permissions")));
	jsonw_key_int(w, "uid", strtoll(uid, NULL, 10));
	jsonw_key_int(w, "gid", strtoll(gid, NULL, 10));
	jsonw_key_int(w, "mtime_ms", time_of(json_str(json_find(file, "modifiedAt"))));
}

static void on_list(struct far *far, const struct json *answer)
{
	const struct list_params *p = far->params;
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	int64_t total = 0;
	jsonw_open(&w);
	daytona_key_path(far, &w);
	jsonw_key(&w, "entries");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(answer) && total < p->limit; i++) {
		const struct json *file = json_at(answer, i);
		if (!p->hidden && str_starts(json_str(json_find(file, "name")), STR(".")))
			continue;
		total++;
		jsonw_open(&w);
		put_file(file, &w);
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	jsonw_key_int(&w, "total", total);
	jsonw_key(&w, "next");
	jsonw_null(&w);
	jsonw_close(&w);
	far_finish(far, &b);
}

static void list_start(struct far *far)
{
	const struct list_params *p = far->params;
	if (p->depth > 1 || p->after.len)
		far_refuse(far, "list of more than one level, or of a later page");
	else
		ask_path(far, "GET", "/files?path=", "", on_list);
}

const struct far_verb daytona_list = { .action = &list_action, .start = list_start };

static void on_stat(struct far *far, const struct json *answer)
{
	auto_buf struct buf b = BUF_INIT(DAYTONA_PATH_BYTES);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	daytona_key_path(far, &w);
	put_file(answer, &w);
	jsonw_key_bool(&w, "is_symlink", false);
	jsonw_close(&w);
	far_finish(far, &b);
}

static void stat_start(struct far *far)
{
	ask_path(far, "GET", "/files/info?path=", "", on_stat);
}

const struct far_verb daytona_stat = { .action = &stat_action, .start = stat_start };

/* ---- mkdir, remove, move ---- */

static void on_done(struct far *far, const struct json *answer)
{
	finish_path(far, NULL, 0);
}

static void mkdir_start(struct far *far)
{
	const struct mkdir_params *p = far->params;
	auto_buf struct buf tail = BUF_INIT(64);
	if (!p->parents) {
		far_refuse(far, "way to refuse to make parents");
		return;
	}
	buf_printf(&tail, "&mode=%.*s", STR_ARG(p->mode.len ? str_first(p->mode, 8) : STR("0755")));
	ask_path(far, "POST", "/files/folder?path=", tail.ptr, on_done);
}

const struct far_verb daytona_mkdir = { .action = &mkdir_action, .start = mkdir_start };

static void on_removed(struct far *far, const struct json *answer)
{
	finish_path(far, "removed", 1);
}

static void remove_start(struct far *far)
{
	const struct remove_params *p = far->params;
	if (p->missing_ok)
		far_refuse(far, "way to ignore what is missing");
	else
		ask_path(far, "DELETE", "/files?path=", p->recursive ? "&recursive=true" : "",
			on_removed);
}

const struct far_verb daytona_remove = { .action = &remove_action, .start = remove_start };

static void on_moved(struct far *far, const struct json *answer)
{
	const struct move_params *p = far->params;
	auto_buf struct buf b = BUF_INIT(DAYTONA_PATH_BYTES);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	daytona_key_path(far, &w);
	jsonw_key_str(&w, "to", str_from(far_path(far, p->where.cwd, p->to)));
	jsonw_key_bool(&w, "replaced", false);
	jsonw_close(&w);
	far_finish(far, &b);
}

static void move_start(struct far *far)
{
	const struct move_params *p = far->params;
	auto_buf struct buf tail = BUF_INIT(DAYTONA_PATH_BYTES);
	if (p->overwrite) {
		far_refuse(far, "move that overwrites");
		return;
	}
	daytona_put_path(far, &tail, "&destination=", p->where.cwd, p->to);
	ask_path(far, "POST", "/files/move?source=", tail.ptr, on_moved);
}

const struct far_verb daytona_move = { .action = &move_action, .start = move_start };

/* ---- grep, glob ---- */

/* Of what was found at most `limit`, each as `put` has it. */
static void finish_matches(struct far *far, const struct json *found, int64_t limit,
	void (*put)(struct jsonw *w, const struct json *match))
{
	auto_buf struct buf b = BUF_INIT(FRAME_PAYLOAD_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	daytona_key_path(far, &w);
	jsonw_key(&w, "matches");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(found) && (int64_t)i < limit; i++) {
		jsonw_open(&w);
		put(&w, json_at(found, i));
		jsonw_close(&w);
	}
	jsonw_close_array(&w);
	jsonw_key_bool(&w, "truncated", (int64_t)json_len(found) > limit);
	jsonw_close(&w);
	far_finish(far, &b);
}

/* All of them are asked for: there is no telling it how many are enough. */
static void ask_matches(struct far *far, const char *head, struct str pattern, far_fn *then)
{
	auto_buf struct buf tail = BUF_INIT(DAYTONA_PATH_BYTES);
	buf_puts(&tail, "&pattern=");
	url_encode(pattern, &tail);
	ask_path(far, "GET", head, tail.ptr, then);
}

static void put_line(struct jsonw *w, const struct json *match)
{
	jsonw_key_str(w, "path", json_str(json_find(match, "file")));
	jsonw_key_int(w, "line", json_int(json_find(match, "line")));
	jsonw_key_str(w, "text", json_str(json_find(match, "content")));
}

static void on_grep(struct far *far, const struct json *answer)
{
	const struct grep_params *p = far->params;
	finish_matches(far, answer, p->max_matches, put_line);
}

static void grep_start(struct far *far)
{
	const struct grep_params *p = far->params;
	if (!p->fixed || p->ignore_case || p->context || p->include.n || p->exclude.n) {
		far_refuse(far, "search but for fixed text in every file, without context");
		return;
	}
	ask_matches(far, "/files/find?path=", p->pattern, on_grep);
}

const struct far_verb daytona_grep = { .action = &grep_action, .start = grep_start };

static void put_file_name(struct jsonw *w, const struct json *match)
{
	jsonw_key_str(w, "path", json_str(match));
	jsonw_key(w, "type");
	jsonw_null(w); /* nobody tells */
}

static void on_glob(struct far *far, const struct json *answer)
{
	const struct glob_params *p = far->params;
	finish_matches(far, json_find(answer, "files"), p->limit, put_file_name);
}

/* A pattern of names, in every directory: "**" and a slash in front of one means the same. */
static void glob_start(struct far *far)
{
	const struct glob_params *p = far->params;
	struct str pattern = p->pattern;
	if (str_starts(pattern, STR("**/")))
		pattern = str_skip(pattern, 3);
	if (pattern.ptr == p->pattern.ptr || str_find_char(pattern, '/') >= 0 ||
		!str_is(p->type, "any")) {
		far_refuse(far, "search but for names in every directory: **/NAME of type any");
		return;
	}
	ask_matches(far, "/files/search?path=", pattern, on_glob);
}

const struct far_verb daytona_glob = { .action = &glob_action, .start = glob_start };

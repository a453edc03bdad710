/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /directories/list and /files/search: arrays of files, sent as pages of the action list come, so
 * that none is held. A client that is slow delays the next page.
 */
#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"
#include "base/num.h"
#include "face/opensandbox/files.h"
#include "face/opensandbox/handlers.h"
#include "face/opensandbox/wildcard.h"

/* Each name of a page is held against the pattern before anybody else has the server. */
enum {
	LIST_PAGE = 2000,
	SEARCH_PAGE = 500,
	DEPTH_MAX = 64,
	PATTERN_MAX = 255,
	PAGE_BYTES = 16 * 1024 * 1024,
};

struct listing {
	struct str path;
	const char *pattern; /* of names of files; NULL: everything */
	int64_t depth;
	char *next; /* the page that is wanted; NULL: no more */
	bool has_one, waits;
};

static void ask(struct chore *e);

static void drop_listing(struct chore *e)
{
	struct listing *l = e->state;
	free(l->next);
}

static void on_drain(struct chore *e)
{
	struct listing *l = e->state;
	if (!l->waits)
		return;
	l->waits = false;
	ask(e);
}

static bool is_wanted(const struct listing *l, struct str type, struct str name)
{
	if (!l->pattern)
		return true;
	return !str_is(type, "directory") && wildcard_has(str_from(l->pattern), name);
}

static struct str base_name(struct str path)
{
	ptrdiff_t slash;
	while ((slash = str_find_char(path, '/')) >= 0)
		path = str_skip(path, (size_t)slash + 1);
	return path;
}

static void put_entries(struct listing *l, const struct json *result, struct buf *b)
{
	const struct json *entries = json_find(result, "entries");
	struct str base = json_str(json_find(result, "path"));
	for (size_t i = 0; i < json_len(entries); i++) {
		const struct json *entry = json_at(entries, i);
		struct str name = json_str(json_find(entry, "name"));
		struct jsonw w = JSONW(b);
		if (!is_wanted(l, json_str(json_find(entry, "type")), base_name(name)))
			continue;
		auto_free char *path = mem_printf("%.*s%s%.*s", STR_ARG(base),
			str_is(base, "/") ? "" : "/", STR_ARG(name));
		buf_puts(b, l->has_one ? "," : "");
		l->has_one = true;
		osb_put_file(&w, entry, str_from(path));
	}
}

static void on_listed(struct chore *e, const struct json *result)
{
	struct listing *l = e->state;
	auto_buf struct buf b = BUF_INIT(PAGE_BYTES);
	struct str next = json_str(json_find(result, "next"));
	free(l->next);
	l->next = next.len ? str_dup(next) : NULL;
	if (!http_stream_has_begun(e->r)) {
		http_stream_begin(e->r, 200, "application/json", -1);
		buf_putc(&b, '[');
	}
	put_entries(l, result, &b);
	if (!l->next)
		buf_putc(&b, ']');
	http_stream_write(e->r, buf_str(&b));
	if (!l->next || b.is_full) {
		chore_drop(e);
		http_stream_end(e->r, !b.is_full);
	} else if (http_stream_is_full(e->r)) {
		l->waits = true;
	} else {
		ask(e);
	}
}

static void ask(struct chore *e)
{
	auto_buf struct buf params = BUF_INIT(128 * 1024);
	struct jsonw w = JSONW(&params);
	const struct listing *l = e->state;
	jsonw_open(&w);
	jsonw_key_str(&w, "path", l->path);
	jsonw_key_int(&w, "depth", l->depth);
	jsonw_key_int(&w, "limit", l->pattern ? SEARCH_PAGE : LIST_PAGE);
	jsonw_key_bool(&w, "names", true);
	if (l->next)
		jsonw_key_str(&w, "after", str_from(l->next));
	jsonw_close(&w);
	chore_perform(e, &list_action, &params, on_listed);
}

/* A link is not followed: what it leads to is not what was asked for. */
static void on_root(struct chore *e, const struct json *root)
{
	const struct listing *l = e->state;
	struct str type = json_str(json_find(root, "type"));
	if (!str_is(type, "directory")) {
		osb_execd_invalid(e->r, "path is %s: %.*s",
			str_is(type, "symlink") ? "a symbolic link, refusing to traverse"
						: "not a directory",
			STR_ARG(str_first(l->path, 300)));
	} else if (!l->depth) {
		http_reply(e->r, 200, "application/json", STR("[]"));
	} else {
		e->drop = drop_listing;
		e->drain = on_drain;
		ask(e);
	}
}

static void begin(struct http_request *r, const char *pattern, int64_t depth, bool follows)
{
	struct str path;
	struct chore *e = osb_chore(r);
	if (!e || !osb_need_query(r, "path", &path))
		return;
	if (!osb_path_is_good(path)) {
		osb_execd_invalid(r, "path is too long");
		return;
	}
	struct listing *l = arena_new(&r->arena, struct listing);
	l->path = osb_path(r, path);
	l->pattern = pattern;
	l->depth = depth;
	e->state = l;
	chore_perform_path(e, &stat_action, l->path,
		follows ? ",\"follow\":true" : ",\"follow\":false", on_root);
}

void osb_directories_list(struct http_request *r)
{
	struct str text = http_query(r, "depth");
	int64_t depth = 1;
	struct error err;
	if (text.len && num_parse_i64(text, 0, INT32_MAX, &depth, &err) < 0)
		osb_execd_invalid(r, "invalid query parameter 'depth': %s", err.text);
	else
		begin(r, NULL, MIN(depth, (int64_t)DEPTH_MAX), false);
}

void osb_files_search(struct http_request *r)
{
	struct str pattern = http_query(r, "pattern");
	if (pattern.len > PATTERN_MAX || str_has_nul(pattern))
		osb_execd_invalid(r, "pattern is too long");
	else
		begin(r, pattern.len ? pattern.ptr : "*", DEPTH_MAX, true);
}

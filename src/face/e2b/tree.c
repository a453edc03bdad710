/* SPDX-License-Identifier: Apache-2.0 */
/* filesystem.Filesystem but its watches: stat, list, make, move, remove. */
#include "face/e2b/handlers.h"
#include "face/e2b/rpc.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"

enum { LIST_PAGE = 5000, DEPTH_MAX = 64 };

/* A path of the body, kept in the arena; STR_NONE: answered. */
static struct str take_path(struct chore *e, const struct json *body, const char *key)
{
	struct str path = json_str(json_find(body, key));
	struct error err;
	if (!path.len || path.len > E2B_PATH_MAX || str_has_nul(path)) {
		error_set(&err, ERROR_INVALID, "%s is no path", key);
		e2b_rpc_fail(e->r, &err);
		return STR_NONE;
	}
	return str_from(arena_str(&e->r->arena, path));
}

void e2b_tree_stat(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	struct str path = body ? take_path(e, body, "path") : STR_NONE;
	if (path.ptr)
		e2b_rpc_reply_entry(e, path);
}

/* ---- list ---- */

struct listing {
	struct list link; /* e2b::lists, from its second page on */
	const char *id;   /* of the sandbox */
	struct str path;
	int64_t depth;
	struct buf body;
	struct jsonw w;
};

static void list_next(struct chore *e, struct str after);

static void put_entries(struct listing *l, const struct json *result)
{
	const struct json *entries = json_find(result, "entries");
	struct str base = json_str(json_find(result, "path"));
	for (size_t i = 0; i < json_len(entries); i++) {
		const struct json *entry = json_at(entries, i);
		struct str name = json_str(json_find(entry, "name"));
		auto_free char *path = mem_printf("%.*s%s%.*s", STR_ARG(base),
			str_is(base, "/") ? "" : "/", STR_ARG(name));
		while (str_find_char(name, '/') >= 0)
			name = str_skip(name, (size_t)str_find_char(name, '/') + 1);
		e2b_put_entry(&l->w, entry, name, str_from(path));
	}
}

/* Whether the server may hold what is there of this list until the rest of it is. */
static bool may_go_on(struct chore *e, struct listing *l)
{
	const struct listing *other;
	size_t n_all = 0, n_own = 0;
	if (!list_is_empty(&l->link))
		return true;
	list_for_each(other, &e2b_of(e->r)->lists, link) {
		n_all++;
		n_own += !strcmp(other->id, l->id);
	}
	if (n_all >= E2B_LONG_LISTS || n_own >= E2B_LONG_LISTS_OF_ONE)
		return false;
	list_append(&e2b_of(e->r)->lists, &l->link);
	return true;
}

static void on_listed(struct chore *e, const struct json *result)
{
	struct listing *l = e->state;
	struct str next = json_str(json_find(result, "next"));
	struct error err;
	put_entries(l, result);
	if (next.len && !l->body.is_full && may_go_on(e, l)) {
		list_next(e, next);
		return;
	}
	if (next.len && !l->body.is_full) {
		error_set(&err, ERROR_LIMIT,
			"too many directories of over %d entries are being listed", LIST_PAGE);
		chore_fail(e, &err);
		return;
	}
	jsonw_close_array(&l->w);
	jsonw_close(&l->w);
	auto_buf struct buf body = l->body; /* the request and its arena go with the reply */
	l->body = BUF_INIT(0);
	e2b_rpc_reply(e, &body);
}

static void drop_listing(struct chore *e)
{
	struct listing *l = e->state;
	list_remove(&l->link);
	buf_fini(&l->body);
}

static void list_next(struct chore *e, struct str after)
{
	const struct listing *l = e->state;
	auto_buf struct buf more = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&more);
	w.needs_comma = true;
	jsonw_key_int(&w, "depth", l->depth);
	jsonw_key_int(&w, "limit", LIST_PAGE);
	jsonw_key_bool(&w, "names", true);
	jsonw_key_str(&w, "xattrs", STR("user.e2b."));
	if (after.len)
		jsonw_key_str(&w, "after", after);
	e2b_perform_path(e, &list_action, l->path, more.ptr, on_listed);
}

void e2b_tree_list(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	struct str path = body ? take_path(e, body, "path") : STR_NONE;
	int64_t depth = json_int(json_find(body, "depth"));
	if (!path.ptr)
		return;
	struct listing *l = arena_new(&r->arena, struct listing);
	list_init(&l->link);
	l->id = e->id;
	l->path = path;
	l->depth = MIN(MAX(depth, (int64_t)1), (int64_t)DEPTH_MAX);
	buf_init(&l->body, HTTP_REPLY_MAX);
	l->w = JSONW(&l->body);
	jsonw_open(&l->w);
	jsonw_key(&l->w, "entries");
	jsonw_open_array(&l->w);
	e->state = l;
	e->drop = drop_listing;
	list_next(e, STR_NONE);
}

/* ---- make, move, remove ---- */

static void on_made(struct chore *e, const struct json *result)
{
	struct error err;
	struct str path = json_str(json_find(result, "path"));
	if (json_bool(json_find(result, "created"))) {
		e2b_rpc_reply_entry(e, path);
		return;
	}
	error_set(&err, ERROR_EXISTS, "directory already exists: %.*s",
		STR_ARG(str_first(path, 300)));
	e2b_rpc_fail(e->r, &err);
}

void e2b_tree_make(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	struct str path = body ? take_path(e, body, "path") : STR_NONE;
	if (path.ptr)
		e2b_perform_path(e, &mkdir_action, path, ",\"parents\":true", on_made);
}

static void on_moved(struct chore *e, const struct json *result)
{
	e2b_rpc_reply_entry(e, json_str(json_find(result, "to")));
}

void e2b_tree_move(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	auto_buf struct buf more = BUF_INIT(16 * E2B_PATH_MAX);
	struct str from = body ? take_path(e, body, "source") : STR_NONE;
	struct str to = from.ptr ? take_path(e, body, "destination") : STR_NONE;
	struct jsonw w = JSONW(&more);
	if (!to.ptr)
		return;
	w.needs_comma = true;
	jsonw_key_str(&w, "to", e2b_path(&r->arena, e2b_home(e->r), to));
	jsonw_key_bool(&w, "overwrite", true);
	e2b_perform_path(e, &move_action, from, more.ptr, on_moved);
}

static void on_removed(struct chore *e, const struct json *result)
{
	http_reply(e->r, 200, "application/json", STR("{}"));
}

void e2b_tree_remove(struct http_request *r)
{
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	struct str path = body ? take_path(e, body, "path") : STR_NONE;
	if (path.ptr)
		e2b_perform_path(e, &remove_action, path, ",\"recursive\":true,\"missing_ok\":true",
			on_removed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of envd's with one answer, and as whom they are made. */
#include "face/e2b/rpc.h"

#include "base/auto.h"
#include "wire/base64.h"

/* "Basic base64(NAME:)" */
static int user_of_header(struct http_request *r, struct str *ret, struct error *err)
{
	struct str value = http_header(r, "Authorization");
	auto_buf struct buf plain = BUF_INIT(256);
	*ret = STR("");
	if (!str_eq_nocase(str_first(value, 6), STR("Basic ")))
		return 0;
	if (base64_decode(str_trim(str_skip(value, 6)), &plain, NULL) < 0)
		return error_set(err, ERROR_UNAUTHORIZED,
			"the user in Authorization is unreadable");
	ptrdiff_t colon = str_find_char(buf_str(&plain), ':');
	if (colon >= 0)
		buf_cut(&plain, (size_t)colon);
	*ret = str_from(arena_str(&r->arena, buf_str(&plain)));
	return 0;
}

int e2b_take_user(struct http_request *r, struct str *ret, const char **ret_home, struct error *err)
{
	struct str user = http_query(r, "username");
	if (!user.len && user_of_header(r, &user, err) < 0)
		return -1;
	if (user.len > 64 || str_has_nul(user))
		return error_set(err, ERROR_UNAUTHORIZED, "invalid username");
	bool is_root = str_is(user, "root");
	*ret = str_is(user, "user") ? STR("") : user;
	*ret_home = is_root ? "/root" : E2B_HOME;
	return 0;
}

const char *e2b_home(struct http_request *r)
{
	struct str user;
	const char *home;
	struct error err;
	return e2b_take_user(r, &user, &home, &err) < 0 ? E2B_HOME : home;
}

/* A sandbox that went away meanwhile is one that was not found. */
static void fail(struct http_request *r, const struct error *err)
{
	if (e2b_box_of_data(r))
		e2b_rpc_fail(r, err);
}

struct chore *e2b_chore(struct http_request *r)
{
	const struct e2b_box *b = e2b_box_of_data(r);
	struct str user;
	const char *home;
	struct error err;
	if (!b)
		return NULL;
	if (e2b_take_user(r, &user, &home, &err) == 0)
		return chore_new(r, b->e2b->rt, b->id, fail);
	e2b_rpc_fail(r, &err);
	return NULL;
}

struct str e2b_path(struct arena *arena, const char *home, struct str path)
{
	if (str_starts(path, STR("/")))
		return path;
	if (str_is(path, "~") || str_starts(path, STR("~/")))
		path = str_skip(path, path.len > 1 ? 2 : 1);
	return str_from(arena_printf(arena, "%s%s%.*s", home, path.len ? "/" : "",
		STR_ARG(str_first(path, E2B_PATH_MAX))));
}

void e2b_perform_path(struct chore *e, const struct action *action, struct str path,
	const char *more, chore_fn *then)
{
	chore_perform_path(e, action, e2b_path(&e->r->arena, e2b_home(e->r), path), more, then);
}

void e2b_rpc_reply(struct chore *e, const struct buf *json)
{
	struct error err;
	if (json->is_full) {
		error_set(&err, ERROR_TOO_LARGE, "the answer is too large");
		chore_fail(e, &err);
		return;
	}
	chore_drop(e);
	http_reply(e->r, 200, "application/json", buf_str(json));
}

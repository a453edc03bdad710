/* SPDX-License-Identifier: Apache-2.0 */
/* A call of envd's with one answer: one action after the other, and then the reply. */
#include "face/e2b/rpc.h"

#include "base/auto.h"
#include "wire/base64.h"

static void drop(struct rpc *rpc)
{
	if (rpc->drop)
		rpc->drop(rpc);
	rpc->drop = NULL;
}

static void on_closed(void *arg)
{
	struct rpc *rpc = arg;
	struct error err;
	if (!rpc->call)
		return;
	runtime_call_cancel(take_ptr(rpc->call));
	drop(rpc);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	e2b_rpc_fail(rpc->r, &err);
}

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

struct rpc *e2b_rpc_new(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct error err;
	const struct e2b_box *b = e2b_box_of_data(r);
	if (!b)
		return NULL;
	struct rpc *rpc = arena_new(&r->arena, struct rpc);
	rpc->r = r;
	rpc->e2b = b->e2b;
	snprintf(rpc->id, sizeof(rpc->id), "%s", b->id);
	if (e2b_take_user(r, &rpc->user, &rpc->home, &err) < 0) {
		e2b_rpc_fail(r, &err);
		return NULL;
	}
	http_listen(r, &ops, rpc);
	return rpc;
}

/* A sandbox that went away meanwhile is one that was not found. */
static void on_error(void *arg, const struct error *err)
{
	struct rpc *rpc = arg;
	rpc->call = NULL;
	drop(rpc);
	if (!e2b_box_find(rpc->e2b, str_from(rpc->id)))
		e2b_gone(rpc->r, str_from(rpc->id));
	else if (rpc->failed)
		rpc->failed(rpc, err);
	else
		e2b_rpc_fail(rpc->r, err);
}

static void on_result(void *arg, struct str text)
{
	struct rpc *rpc = arg;
	auto_json struct json *result = NULL;
	struct error err;
	rpc->call = NULL;
	if (json_parse(text, &result, &err) < 0)
		on_error(rpc, &err);
	else
		rpc->then(rpc, result);
}

struct runtime_call *e2b_rpc_perform(struct rpc *rpc, const struct action *action,
	const struct buf *params, rpc_fn *then)
{
	static const struct call_sink sink = { .result = on_result, .error = on_error };
	const struct e2b_box *b = e2b_box_find(rpc->e2b, str_from(rpc->id));
	if (!b) {
		drop(rpc);
		e2b_gone(rpc->r, str_from(rpc->id));
		return NULL;
	}
	rpc->then = then;
	rpc->call = runtime_perform(e2b_box_sandbox(b), action, buf_str(params), &sink, rpc);
	return rpc->call;
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

void e2b_rpc_path(struct rpc *rpc, const struct action *action, struct str path, const char *more,
	rpc_fn *then)
{
	auto_buf struct buf params = BUF_INIT(16 * E2B_PATH_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", e2b_path(&rpc->r->arena, rpc->home, path));
	buf_puts(&params, more);
	jsonw_close(&w);
	e2b_rpc_perform(rpc, action, &params, then);
}

void e2b_rpc_reply(struct rpc *rpc, const struct buf *json)
{
	struct error err;
	if (json->is_full) {
		error_set(&err, ERROR_TOO_LARGE, "the answer is too large");
		e2b_rpc_fail(rpc->r, &err);
	} else {
		http_reply(rpc->r, 200, "application/json", buf_str(json));
	}
}

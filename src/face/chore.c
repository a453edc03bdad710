/* SPDX-License-Identifier: Apache-2.0 */
#include "face/chore.h"

#include "base/auto.h"

enum { PATH_PARAMS_MAX = 128 * 1024 };

void chore_fail(struct chore *e, const struct error *err)
{
	if (e->drop)
		e->drop(e);
	e->fail(e->r, err);
}

static void on_closed(void *arg)
{
	struct chore *e = arg;
	struct error err;
	if (!e->call)
		return;
	runtime_call_cancel(take_ptr(e->call));
	error_set(&err, ERROR_CANCELLED, "the client went away");
	chore_fail(e, &err);
}

struct chore *chore_new(struct http_request *r, struct runtime *rt, const char *id,
	chore_fail_fn *fail)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct chore *e = arena_new(&r->arena, struct chore);
	e->r = r;
	e->rt = rt;
	e->fail = fail;
	snprintf(e->id, sizeof(e->id), "%s", id);
	http_listen(r, &ops, e);
	return e;
}

static void on_error(void *arg, const struct error *err)
{
	struct chore *e = arg;
	e->call = NULL;
	if (e->failed)
		e->failed(e, err);
	else
		chore_fail(e, err);
}

static void on_result(void *arg, struct str text)
{
	struct chore *e = arg;
	auto_json struct json *result = NULL;
	struct error err;
	e->call = NULL;
	if (json_parse(text, &result, &err) < 0)
		on_error(e, &err);
	else
		e->then(e, result);
}

struct runtime_call *chore_perform(struct chore *e, const struct action *action,
	const struct buf *params, chore_fn *then)
{
	static const struct call_sink sink = { .result = on_result, .error = on_error };
	struct error err;
	struct sandbox *s = runtime_find(e->rt, str_from(e->id), &err);
	if (s && params->is_full) {
		error_set(&err, ERROR_TOO_LARGE, "the request is too large");
		s = NULL;
	}
	if (!s) {
		chore_fail(e, &err);
		return NULL;
	}
	e->then = then;
	e->call = runtime_perform(s, action, buf_str(params), &sink, e);
	return e->call;
}

struct runtime_call *chore_perform_path(struct chore *e, const struct action *action,
	struct str path, const char *more, chore_fn *then)
{
	auto_buf struct buf params = BUF_INIT(PATH_PARAMS_MAX);
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	buf_puts(&params, more);
	jsonw_close(&w);
	return chore_perform(e, action, &params, then);
}

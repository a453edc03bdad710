/* SPDX-License-Identifier: Apache-2.0 */
#include "face/chore.h"

#include "base/auto.h"

enum { PATH_PARAMS_MAX = 128 * 1024 };

void chore_drop(struct chore *e)
{
	void (*drop)(struct chore *) = take_ptr(e->drop);
	if (e->call)
		runtime_call_cancel(take_ptr(e->call));
	if (drop)
		drop(e);
}

void chore_fail(struct chore *e, const struct error *err)
{
	struct error kept = *err; /* it may be what is dropped */
	chore_drop(e);
	e->fail(e->r, &kept);
}

static void on_closed(void *arg)
{
	struct chore *e = arg;
	struct error err;
	if (!e->call)
		return;
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

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct chore *e = arg;
	if (e->data)
		e->data(e, channel, bytes);
}

static void on_event(void *arg, struct str json)
{
	struct chore *e = arg;
	if (e->event)
		e->event(e, json);
}

struct sandbox *chore_sandbox(struct chore *e)
{
	struct error err;
	struct sandbox *s = runtime_find(e->rt, str_from(e->id), &err);
	if (!s)
		chore_fail(e, &err);
	return s;
}

struct runtime_call *chore_perform(struct chore *e, const struct action *action,
	const struct buf *params, chore_fn *then)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_event,
		.result = on_result,
		.error = on_error,
	};
	struct error err;
	struct sandbox *s = chore_sandbox(e);
	if (!s)
		return NULL;
	if (params->is_full) {
		error_set(&err, ERROR_TOO_LARGE, "the request is too large");
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

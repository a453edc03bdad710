/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/state.h"

#include "base/auto.h"

static void on_closed(void *arg)
{
	struct act *act = arg;
	struct error err;
	if (!act->call)
		return;
	runtime_call_cancel(take_ptr(act->call));
	if (act->drop)
		act->drop(act);
	error_set(&err, ERROR_CANCELLED, "the client went away");
	daytona_fail_error(act->r, &err);
}

struct act *act_new(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	const struct box *b = box_of_toolbox(r, NULL);
	if (!b)
		return NULL;
	struct act *act = arena_new(&r->arena, struct act);
	act->r = r;
	act->daytona = b->daytona;
	snprintf(act->id, sizeof(act->id), "%s", b->id);
	http_listen(r, &ops, act);
	return act;
}

static void on_error(void *arg, const struct error *err)
{
	struct act *act = arg;
	act->call = NULL;
	if (act->failed)
		act->failed(act, err);
	else
		daytona_fail_error(act->r, err);
}

static void on_result(void *arg, struct str text)
{
	struct act *act = arg;
	auto_json struct json *result = NULL;
	struct box *b = map_find(&act->daytona->by_id, str_from(act->id));
	struct error err;
	act->call = NULL;
	if (b)
		box_touch(b);
	if (json_parse(text, &result, &err) < 0)
		on_error(act, &err);
	else
		act->then(act, result);
}

struct sandbox *act_sandbox(struct act *act)
{
	struct error err;
	struct sandbox *s = runtime_find(act->daytona->rt, str_from(act->id), &err);
	if (!s)
		daytona_fail_error(act->r, &err);
	return s;
}

void act_perform(struct act *act, const struct action *action, const struct buf *params,
	act_fn *then)
{
	static const struct call_sink sink = { .result = on_result, .error = on_error };
	struct sandbox *s = act_sandbox(act);
	if (!s) {
		if (act->drop)
			act->drop(act);
		return;
	}
	act->then = then;
	act->call = runtime_perform(s, action, buf_str(params), &sink, act);
}

void act_send(struct act *act, struct str input)
{
	if (!act->call || runtime_call_is_over(act->call))
		return;
	runtime_call_send(act->call, 0, input);
	runtime_call_eof(act->call, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/lib.h"

#include "base/auto.h"
#include "base/bug.h"

struct cay_call {
	struct cay *cay;
	struct runtime_call *call; /* NULL: it has ended */
	const struct cay_sink *sink;
	void *arg;
	struct wait *waiter; /* cay_call_wait; NULL: nobody */
};

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct cay_call *c = arg;
	if (c->sink->data)
		c->sink->data(c->arg, channel, bytes.ptr, bytes.len);
}

static void on_event(void *arg, struct str json)
{
	struct cay_call *c = arg;
	auto_free char *text = str_dup(json);
	if (c->sink->event)
		c->sink->event(c->arg, text, json.len);
}

static void on_drain(void *arg)
{
	struct cay_call *c = arg;
	if (c->sink->drain)
		c->sink->drain(c->arg);
}

/* The call is gone for its caller before it is told: it may start the next one. */
static void end(struct cay_call *c, const struct error *err)
{
	struct wait *waiter = c->waiter;
	free(c);
	if (waiter)
		lib_on_done(waiter, err);
}

static void on_result(void *arg, struct str json)
{
	struct cay_call *c = arg;
	auto_free char *text = str_dup(json);
	if (c->sink->result)
		c->sink->result(c->arg, text, json.len);
	end(c, NULL);
}

static void on_error(void *arg, const struct error *err)
{
	struct cay_call *c = arg;
	struct cay_error told;
	lib_fail(&told, err);
	if (c->sink->error)
		c->sink->error(c->arg, &told);
	end(c, err);
}

static const struct call_sink runtime_sink = {
	.data = on_data,
	.event = on_event,
	.drain = on_drain,
	.result = on_result,
	.error = on_error,
};

struct cay_call *cay_start(struct cay *cay, const char *sandbox, const char *action,
	const char *params_json, const struct cay_sink *sink, void *arg, struct cay_error *err)
{
	struct error e;
	const struct action *row = action_find(str_from(action));
	struct sandbox *s = NULL;
	if (!row)
		error_set(&e, ERROR_NOT_FOUND, "no action '%.60s'", action);
	else
		s = lib_find(cay, sandbox, &e);
	if (!s) {
		lib_fail(err, &e);
		return NULL;
	}
	struct cay_call *c = mem_new(struct cay_call);
	c->cay = cay;
	c->sink = sink;
	c->arg = arg;
	c->call = runtime_perform(s, row, str_from(params_json), &runtime_sink, c);
	return c;
}

void cay_call_send(struct cay_call *call, int channel, const void *bytes, size_t len)
{
	runtime_call_send(call->call, (uint8_t)channel, str_from_len(bytes, len));
}

void cay_call_eof(struct cay_call *call, int channel)
{
	runtime_call_eof(call->call, (uint8_t)channel);
}

void cay_call_control(struct cay_call *call, const char *json)
{
	runtime_call_control(call->call, str_from(json));
}

int cay_call_is_full(const struct cay_call *call)
{
	return runtime_call_is_full(call->call);
}

void cay_call_pause(struct cay_call *call, int is_paused)
{
	runtime_call_pause(call->call, is_paused != 0);
}

void cay_call_cancel(struct cay_call *call)
{
	if (!call)
		return;
	runtime_call_cancel(call->call);
	free(call);
}

int cay_call_wait(struct cay_call *call, struct cay_error *err)
{
	struct wait w = { 0 };
	struct error e;
	struct cay *cay = call->cay;
	if (cay->is_turning) {
		error_set(&e, ERROR_CONFLICT, "a callback cannot wait");
		return lib_fail(err, &e);
	}
	/* cppcheck-suppress autoVariables ; the call ends before we do */
	call->waiter = &w;
	return lib_wait(cay, &w, &e) < 0 ? lib_fail(err, &e) : 0;
}

/* ---- cay_perform ---- */

static void keep_result(void *arg, const char *json, size_t len)
{
	char **ret = arg;
	*ret = str_dup(str_from_len(json, len));
}

char *cay_perform(struct cay *cay, const char *sandbox, const char *action, const char *params_json,
	struct cay_error *err)
{
	static const struct cay_sink sink = { .result = keep_result };
	char *result = NULL;
	struct cay_call *call = cay_start(cay, sandbox, action, params_json, &sink, &result, err);
	if (!call)
		return NULL;
	if (cay->is_turning) {
		cay_call_wait(call, err); /* says why not */
		cay_call_cancel(call);
		return NULL;
	}
	return cay_call_wait(call, err) < 0 ? NULL : result;
}

/* ---- events ---- */

struct cay_follower {
	struct follower *follower;
	cay_event_fn *fn;
	void *arg;
};

static void on_followed(void *arg, const struct event *event)
{
	struct cay_follower *f = arg;
	auto_buf struct buf b = BUF_INIT(4 * EVENT_DATA_MAX);
	struct jsonw w = JSONW(&b);
	event_write(event, &w);
	f->fn(f->arg, b.ptr, b.len);
}

struct cay_follower *cay_follow(struct cay *cay, const char *sandbox, int64_t after,
	cay_event_fn *fn, void *arg, struct cay_error *err)
{
	struct error e;
	const struct sandbox *s = sandbox ? lib_find(cay, sandbox, &e) : NULL;
	if (sandbox && !s) {
		lib_fail(err, &e);
		return NULL;
	}
	struct cay_follower *f = mem_new(struct cay_follower);
	f->fn = fn;
	f->arg = arg;
	f->follower = event_follow(cay->runtime, s ? s->id : NULL, after, on_followed, f);
	return f;
}

void cay_unfollow(struct cay_follower *f)
{
	if (!f)
		return;
	event_follow_stop(f->follower);
	free(f);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/errand.h"

#include "base/auto.h"
#include "face/openhands/reply.h"

enum { TEXT_MAX = 4096 };

static void drop(struct errand *a)
{
	void (*fn)(struct errand *) = take_ptr(a->drop);
	if (a->call)
		runtime_call_cancel(take_ptr(a->call));
	if (fn)
		fn(a);
}

void errand_reply(struct errand *a, const struct buf *json)
{
	drop(a);
	http_reply_json(a->r, 200, json);
}

void errand_success(struct errand *a)
{
	drop(a);
	http_reply(a->r, 200, "application/json", STR("{\"success\":true}"));
}

void errand_refuse(struct errand *a, int status, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(TEXT_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	drop(a);
	reply_detail(a->r, status, "%s", text.ptr);
}

void errand_fail(struct errand *a, const struct error *err)
{
	errand_refuse(a, error_http(err->code), "%s", err->text);
}

static void on_closed(void *arg)
{
	struct errand *a = arg;
	if (a->call)
		errand_refuse(a, 499, "the client went away");
}

static void on_error(void *arg, const struct error *err)
{
	struct errand *a = arg;
	a->call = NULL;
	if (a->failed)
		a->failed(a, err);
	else
		errand_fail(a, err);
}

static void on_result(void *arg, struct str text)
{
	struct errand *a = arg;
	auto_json struct json *result = NULL;
	struct error err;
	a->call = NULL;
	if (json_parse(text, &result, &err) < 0)
		on_error(a, &err);
	else
		a->then(a, result);
}

static void on_data(void *arg, uint8_t channel, struct str bytes)
{
	struct errand *a = arg;
	if (a->data)
		a->data(a, channel, bytes);
}

static void on_event(void *arg, struct str json)
{
	struct errand *a = arg;
	if (a->event)
		a->event(a, json);
}

struct errand *errand_new(struct openhands *oh, struct http_request *r, const struct sandbox *s)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct errand *a = arena_new(&r->arena, struct errand);
	a->r = r;
	a->oh = oh;
	snprintf(a->id, sizeof(a->id), "%s", s->id);
	http_listen(r, &ops, a);
	return a;
}

struct sandbox *errand_sandbox(struct errand *a)
{
	struct error err;
	struct sandbox *s = runtime_find(a->oh->rt, str_from(a->id), &err);
	if (!s)
		errand_fail(a, &err);
	return s;
}

void errand_perform(struct errand *a, const struct action *action, const struct buf *params,
	errand_fn *then)
{
	static const struct call_sink sink = {
		.data = on_data,
		.event = on_event,
		.result = on_result,
		.error = on_error,
	};
	struct sandbox *s = errand_sandbox(a);
	if (!s)
		return;
	a->then = then;
	a->call = runtime_perform(s, action, buf_str(params), &sink, a);
}

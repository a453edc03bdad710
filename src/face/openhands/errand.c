/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/errand.h"

#include "base/auto.h"
#include "face/openhands/reply.h"

enum { TEXT_MAX = 4096 };

void errand_reply(struct chore *a, const struct buf *json)
{
	chore_drop(a);
	http_reply_json(a->r, 200, json);
}

void errand_success(struct chore *a)
{
	chore_drop(a);
	http_reply(a->r, 200, "application/json", STR("{\"success\":true}"));
}

void errand_refuse(struct chore *a, int status, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(TEXT_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	chore_drop(a);
	reply_detail(a->r, status, "%s", text.ptr);
}

static void fail(struct http_request *r, const struct error *err)
{
	reply_detail(r, error_http(err->code), "%s", err->text);
}

struct chore *errand_new(struct openhands *oh, struct http_request *r, const struct sandbox *s)
{
	return chore_new(r, oh->rt, s->id, fail);
}

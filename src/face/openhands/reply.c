/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/reply.h"

#include "wire/json.h"

enum { DETAIL_MAX = 4096, BODY_MAX = 8 * DETAIL_MAX };

void reply_put_detail(struct buf *b, struct str text)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "detail", text);
	jsonw_close(&w);
}

void reply_detail(struct http_request *r, int status, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(DETAIL_MAX);
	auto_buf struct buf body = BUF_INIT(BODY_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	reply_put_detail(&body, buf_str(&text));
	http_reply_json(r, status, &body);
}

void reply_invalid(struct http_request *r, const char *errors)
{
	auto_buf struct buf body = BUF_INIT(BODY_MAX);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_str(&w, "detail", STR("Invalid request parameters"));
	jsonw_key_str(&w, "errors", str_from(errors));
	jsonw_close(&w);
	http_reply_json(r, 422, &body);
}

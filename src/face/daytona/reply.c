/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/state.h"

#include "base/auto.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

/* SDKs know an error by its code only together with this. */
#define SOURCE "DAYTONA_DAEMON"

static const struct {
	int status;
	const char *text;
} reasons[] = {
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 413, "Payload Too Large" },
	{ 422, "Unprocessable Entity" },
	{ 429, "Too Many Requests" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 507, "Insufficient Storage" },
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Internal Server Error";
}

void daytona_put_error(struct buf *b, const struct http_request *r, int status, const char *code,
	const char *text)
{
	char now[CLOCK_TEXT_MAX];
	struct jsonw w = JSONW(b);
	clock_text(clock_wall_ms(), now);
	jsonw_open(&w);
	jsonw_key_int(&w, "statusCode", status);
	jsonw_key_str(&w, "message", str_from(text));
	jsonw_key_str(&w, "error", str_from(reason_of(status)));
	jsonw_key_str(&w, "code", str_from(code ?: reason_of(status)));
	if (code)
		jsonw_key_str(&w, "source", STR(SOURCE));
	jsonw_key_str(&w, "timestamp", str_from(now));
	if (r) {
		jsonw_key_str(&w, "path", r->path);
		jsonw_key_str(&w, "method", r->method);
	}
	jsonw_close(&w);
}

void daytona_fail(struct http_request *r, int status, const char *code, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(8192), body = BUF_INIT(4 * HTTP_HEAD_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	daytona_put_error(&body, r, status, code, text.ptr);
	http_reply(r, status, "application/json", buf_str(&body));
}

/* 408 is what SDKs take for a timeout. */
int daytona_status(enum error_code code)
{
	return code == ERROR_TIMEOUT ? 408 : error_http(code);
}

void daytona_fail_error(struct http_request *r, const struct error *err)
{
	daytona_fail(r, daytona_status(err->code), NULL, "%s", err->text);
}

void daytona_empty(struct http_request *r, int status)
{
	http_reply(r, status, NULL, STR(""));
}

struct json *daytona_body(struct http_request *r)
{
	struct json *body = NULL;
	struct error err;
	struct str text = str_trim(r->body).len ? r->body : STR("{}");
	if (json_parse(text, &body, &err) < 0) {
		daytona_fail(r, 400, NULL, "invalid request body: %s", err.text);
		return NULL;
	}
	if (json_kind(body) == JSON_KIND_OBJECT)
		return body;
	json_free(body);
	daytona_fail(r, 400, NULL, "invalid request body: it is no JSON object");
	return NULL;
}

bool daytona_need(struct http_request *r, const struct json *body, const char *key, struct str *ret)
{
	*ret = json_str(json_find(body, key));
	if (ret->len && !str_has_nul(*ret))
		return true;
	daytona_fail(r, 400, NULL, "%s is required", key);
	return false;
}

bool daytona_need_query(struct http_request *r, const char *key, struct str *ret)
{
	*ret = http_query(r, key);
	if (ret->len && !str_has_nul(*ret))
		return true;
	daytona_fail(r, 400, NULL, "%s is required", key);
	return false;
}

void daytona_key_json(struct jsonw *w, const char *key, const struct json *value)
{
	auto_buf struct buf b = BUF_INIT(DAYTONA_BODY_MAX);
	jsonw_key(w, key);
	if (!value || json_write(value, &b) < 0)
		jsonw_raw(w, STR("{}"));
	else
		jsonw_raw(w, buf_str(&b));
}

void daytona_key_time(struct jsonw *w, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX];
	clock_text(wall_ms, text);
	jsonw_key_str(w, key, str_from(text));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors in E2B's forms: {"code":404,"message":…} of the API and of /files,
 * {"code":"not_found","message":…} of envd's calls (https://connectrpc.com/docs/protocol#error-
 * codes), and the proxy's, by which SDKs know that a sandbox is gone.
 */
#include "face/e2b/state.h"

#include "base/auto.h"
#include "base/clock.h"

#include <stdarg.h>

static const struct {
	enum error_code code;
	const char *name;
	int status;
} rpc_codes[] = {
	{ ERROR_INVALID, "invalid_argument", 400 },
	{ ERROR_UNAUTHORIZED, "unauthenticated", 401 },
	{ ERROR_FORBIDDEN, "permission_denied", 403 },
	{ ERROR_NOT_FOUND, "not_found", 404 },
	{ ERROR_METHOD, "unimplemented", 501 },
	{ ERROR_EXISTS, "already_exists", 409 },
	{ ERROR_CONFLICT, "failed_precondition", 400 },
	{ ERROR_TOO_LARGE, "resource_exhausted", 429 },
	{ ERROR_LIMIT, "resource_exhausted", 429 },
	{ ERROR_NO_SPACE, "resource_exhausted", 429 },
	{ ERROR_CANCELLED, "canceled", 499 },
	{ ERROR_UNSUPPORTED, "unimplemented", 501 },
	{ ERROR_PROTOCOL, "unavailable", 503 },
	{ ERROR_GONE, "unavailable", 503 },
	{ ERROR_UNAVAILABLE, "unavailable", 503 },
	{ ERROR_NOT_READY, "unavailable", 503 },
	{ ERROR_DISCONNECTED, "unavailable", 503 },
	{ ERROR_TIMEOUT, "deadline_exceeded", 504 },
};

const char *e2b_rpc_code(enum error_code code, int *ret_status)
{
	for (size_t i = 0; i < ARRAY_LEN(rpc_codes); i++)
		if (rpc_codes[i].code == code) {
			*ret_status = rpc_codes[i].status;
			return rpc_codes[i].name;
		}
	*ret_status = 500;
	return "internal";
}

void e2b_rpc_put_error(struct buf *b, const struct error *err)
{
	struct jsonw w = JSONW(b);
	int status;
	jsonw_open(&w);
	jsonw_key_str(&w, "code", str_from(e2b_rpc_code(err->code, &status)));
	jsonw_key_str(&w, "message", str_from(err->text));
	jsonw_close(&w);
}

void e2b_rpc_fail(struct http_request *r, const struct error *err)
{
	auto_buf struct buf body = BUF_INIT(8192);
	int status;
	e2b_rpc_code(err->code, &status);
	e2b_rpc_put_error(&body, err);
	http_reply(r, status, "application/json", buf_str(&body));
}

void e2b_put_error(struct buf *b, int status, const char *text)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_int(&w, "code", status);
	jsonw_key_str(&w, "message", str_from(text));
	jsonw_close(&w);
}

void e2b_fail(struct http_request *r, int status, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(8192), body = BUF_INIT(64 * 1024);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	e2b_put_error(&body, status, text.ptr);
	http_reply(r, status, "application/json", buf_str(&body));
}

/* 502 is for sandboxes that are gone. */
int e2b_status(enum error_code code)
{
	int status = error_http(code);
	return status == 502 ? 503 : status;
}

void e2b_fail_error(struct http_request *r, const struct error *err)
{
	e2b_fail(r, e2b_status(err->code), "%s", err->text);
}

void e2b_empty(struct http_request *r, int status)
{
	http_reply(r, status, NULL, STR(""));
}

void e2b_gone(struct http_request *r, struct str id)
{
	auto_buf struct buf body = BUF_INIT(1024);
	struct jsonw w = JSONW(&body);
	jsonw_open(&w);
	jsonw_key_str(&w, "sandboxId", str_first(id, 100));
	jsonw_key_str(&w, "message", STR("The sandbox was not found"));
	jsonw_key_int(&w, "code", 502);
	jsonw_close(&w);
	http_reply(r, 502, "application/json", buf_str(&body));
}

struct json *e2b_body(struct http_request *r)
{
	struct json *body = NULL;
	struct error err;
	struct str text = str_trim(r->body).len ? r->body : STR("{}");
	if (json_parse(text, &body, &err) < 0) {
		e2b_fail(r, 400, "Error when parsing request: %s", err.text);
		return NULL;
	}
	if (json_kind(body) == JSON_KIND_OBJECT)
		return body;
	json_free(body);
	e2b_fail(r, 400, "Error when parsing request: it is no JSON object");
	return NULL;
}

const struct json *e2b_field(const struct json *object, const char *camel, const char *snake)
{
	return json_find(object, camel) ?: json_find(object, snake);
}

void e2b_key_time(struct jsonw *w, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX];
	clock_text(wall_ms, text);
	jsonw_key_str(w, key, str_from(text));
}

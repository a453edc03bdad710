/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers in OpenSandbox's forms. An error is {"code","message"}, of the API in words of its own
 * and of execd in others (components/execd/pkg/web/model/error.go).
 */
#include "face/opensandbox/state.h"

#include "base/auto.h"
#include "base/clock.h"
#include "wire/url.h"

#include <stdarg.h>

static const struct {
	enum error_code code;
	const char *api, *execd;
} words[] = {
	{ ERROR_INVALID, "INVALID_REQUEST", "INVALID_REQUEST_BODY" },
	{ ERROR_UNAUTHORIZED, "UNAUTHORIZED", "UNAUTHORIZED" },
	{ ERROR_FORBIDDEN, "FORBIDDEN", "FORBIDDEN" },
	{ ERROR_NOT_FOUND, "NOT_FOUND", "FILE_NOT_FOUND" },
	{ ERROR_METHOD, "METHOD_NOT_ALLOWED", "NOT_SUPPORTED" },
	{ ERROR_EXISTS, "CONFLICT", "CONFLICT" },
	{ ERROR_CONFLICT, "CONFLICT", "CONFLICT" },
	{ ERROR_GONE, "NOT_FOUND", "CONTEXT_NOT_FOUND" },
	{ ERROR_TOO_LARGE, "INVALID_REQUEST", "INVALID_REQUEST_BODY" },
	{ ERROR_LIMIT, "LIMIT_REACHED", "LIMIT_REACHED" },
	{ ERROR_UNSUPPORTED, "NOT_SUPPORTED", "NOT_SUPPORTED" },
};

static const char *word_of(enum error_code code, bool is_execd)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i].code == code)
			return is_execd ? words[i].execd : words[i].api;
	return is_execd ? "RUNTIME_ERROR" : "INTERNAL_ERROR";
}

const char *osb_code(enum error_code code)
{
	return word_of(code, false);
}

void osb_put_error(struct buf *b, const char *code, const char *text)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "code", str_from(code));
	jsonw_key_str(&w, "message", str_from(text));
	jsonw_close(&w);
}

static void reply_error(struct http_request *r, int status, const char *code, const char *text)
{
	auto_buf struct buf body = BUF_INIT(64 * 1024);
	osb_put_error(&body, code, text);
	http_reply(r, status, "application/json", buf_str(&body));
}

void osb_fail(struct http_request *r, int status, const char *code, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(8192);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	reply_error(r, status, code, text.ptr);
}

void osb_fail_error(struct http_request *r, const struct error *err)
{
	reply_error(r, error_http(err->code), word_of(err->code, false), err->text);
}

void osb_execd_error(struct http_request *r, const struct error *err)
{
	reply_error(r, error_http(err->code), word_of(err->code, true), err->text);
}

void osb_execd_invalid(struct http_request *r, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(8192);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	reply_error(r, 400, "INVALID_REQUEST_BODY", text.ptr);
}

void osb_empty(struct http_request *r, int status)
{
	http_reply(r, status, NULL, STR(""));
}

struct json *osb_body_of(struct http_request *r, enum json_kind kind)
{
	struct json *body = NULL;
	struct error err;
	struct str text = str_trim(r->body).len ? r->body : STR("{}");
	if (json_parse(text, &body, &err) < 0) {
		osb_execd_invalid(r, "error parsing request: %s", err.text);
		return NULL;
	}
	if (json_kind(body) == kind)
		return body;
	json_free(body);
	osb_execd_invalid(r, "error parsing request: it is no JSON %s", json_kind_name(kind));
	return NULL;
}

struct json *osb_body(struct http_request *r)
{
	return osb_body_of(r, JSON_KIND_OBJECT);
}

/* Files may be of any year, and executors are not believed: clients read dates of four digits. */
void osb_key_time(struct jsonw *w, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX];
	clock_text(wall_ms, text);
	jsonw_key_str(w, key, str_from(text));
}

void osb_key_json(struct jsonw *w, const char *key, const struct json *value)
{
	auto_buf struct buf b = BUF_INIT(CREATE_NOTE_BYTES);
	jsonw_key(w, key);
	if (!value)
		jsonw_null(w);
	else if (json_write(value, &b) == 0)
		jsonw_raw(w, buf_str(&b));
	else
		w->b->is_full = true; /* to be told as null it would be another one */
}

bool osb_need_query(struct http_request *r, const char *key, struct str *ret)
{
	*ret = http_query(r, key);
	if (ret->len && !str_has_nul(*ret))
		return true;
	osb_fail(r, 400, "MISSING_QUERY", "missing query parameter '%s'", key);
	return false;
}

bool osb_next_query(struct http_request *r, const char *name, size_t *i, struct str *ret)
{
	struct str rest = str_skip(r->query, *i), key, value;
	while (url_query_next(&rest, &key, &value)) {
		auto_buf struct buf b = BUF_INIT(HTTP_HEAD_MAX);
		*i = r->query.len - rest.len;
		if (!str_is(key, name) || url_decode(value, URL_QUERY, &b, NULL) < 0 ||
			!arena_has_room(&r->arena, b.len + 1))
			continue;
		*ret = str_from_len(arena_str(&r->arena, buf_str(&b)), b.len);
		return true;
	}
	return false;
}

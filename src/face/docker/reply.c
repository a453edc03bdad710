/* SPDX-License-Identifier: Apache-2.0 */
#include "face/docker/state.h"

#include "base/auto.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void docker_put_message(struct buf *b, const char *text)
{
	struct jsonw w = JSONW(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "message", str_from(text));
	jsonw_close(&w);
}

void docker_fail(struct http_request *r, int status, const char *fmt, ...)
{
	auto_buf struct buf text = BUF_INIT(4096), body = BUF_INIT(HTTP_HEAD_MAX);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	docker_put_message(&body, text.ptr);
	http_reply(r, status, "application/json", buf_str(&body));
}

void docker_fail_error(struct http_request *r, const struct error *err)
{
	docker_fail(r, error_http(err->code), "%s", err->text);
}

bool docker_flag(struct http_request *r, const char *name, bool standard)
{
	struct str value = http_query(r, name);
	if (!value.ptr)
		return standard;
	return value.len && !str_is(value, "0") && !str_eq_nocase(value, STR("false"));
}

void docker_key_time(struct jsonw *w, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_MAX] = "0001-01-01T00:00:00Z";
	if (wall_ms)
		clock_text(wall_ms, text);
	jsonw_key_str(w, key, str_from(text));
}

void docker_key_json(struct jsonw *w, const char *key, const struct json *value)
{
	auto_buf struct buf b = BUF_INIT(DOCKER_BODY_MAX);
	jsonw_key(w, key);
	if (!value || json_write(value, &b) < 0)
		jsonw_null(w);
	else
		jsonw_raw(w, buf_str(&b));
}

int docker_body(struct http_request *r, struct json **ret)
{
	struct error err;
	*ret = NULL;
	if (str_trim(r->body).len == 0)
		return 0;
	if (json_parse(r->body, ret, &err) == 0 &&
		(json_kind(*ret) == JSON_KIND_OBJECT || json_kind(*ret) == JSON_KIND_NULL))
		return 0;
	docker_fail(r, 400, "the body is no JSON object%s%s", *ret ? "" : ": ",
		*ret ? "" : err.text);
	json_free(take_ptr(*ret));
	return -1;
}

struct json *docker_filters(struct http_request *r)
{
	struct json *filters = NULL;
	struct str text = http_query(r, "filters");
	if (text.len)
		json_parse(text, &filters, NULL);
	return filters;
}

/* Both forms: {"key":["a"]} and the older {"key":{"a":true}}. */
bool docker_filter(const struct json *filters, const char *key, struct str value)
{
	const struct json *wanted = json_find(filters, key);
	struct str item;
	void *it = NULL;
	const struct json *flag;
	if (!wanted)
		return true;
	if (json_kind(wanted) == JSON_KIND_OBJECT) {
		while ((flag = json_next(wanted, &it, &item)))
			if (json_bool(flag) && str_eq(item, value))
				return true;
		return false;
	}
	for (size_t i = 0; i < json_len(wanted); i++)
		if (str_eq(json_str(json_at(wanted, i)), value))
			return true;
	return false;
}

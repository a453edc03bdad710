/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The face keeps nothing: which tools there are the sandbox knows, and every
 * request asks it. The same handlers serve the main port, below /camel/{sandbox}, and the root of
 * lent servers (lend.c).
 */
#include "face/camel/camel.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/camel/state.h"
#include "wire/base64.h"

enum { CREDENTIALS_MAX = 4096 };

/* ---- routes ---- */

/* clang-format off */
#define ROUTES(prefix) \
	{ "GET", prefix "/health", camel_health, .role = ROLE_SANDBOX, .summary = "tell which tools there are" }, \
	{ "GET", prefix "/docs", camel_docs, .role = ROLE_SANDBOX, .summary = "show the tools as a page" }, \
	{ "GET", prefix "/redoc", camel_docs, .role = ROLE_SANDBOX, .summary = "show the tools as a page" }, \
	{ "GET", prefix "/openapi.json", camel_openapi, .role = ROLE_SANDBOX, .summary = "describe the tools" }, \
	{ "GET", prefix "/{tool}", camel_get_tool, .role = ROLE_SANDBOX, .summary = "refuse what is no POST" }, \
	{ "POST", prefix "/{tool}", camel_call, HTTP_TAKES_TEXT, .body_max = CAMEL_BODY_MAX, .role = ROLE_SANDBOX, .summary = "call a tool" }
/* clang-format on */

const struct http_route camel_root_routes[] = { ROUTES(""), { 0 } };

const struct http_route camel_routes[] = {
	ROUTES("/camel/{sandbox}"),
	{ 0 },
};

/* ---- what all handlers share ---- */

void camel_reply_detail(struct http_request *r, int status, const char *text)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "detail", str_from(text));
	jsonw_close(&w);
	http_reply_json(r, status, &b);
}

struct sandbox *camel_sandbox(struct http_request *r)
{
	const struct camel_view *view = camel_view_of(r);
	struct error err;
	struct str key = view->id[0] ? str_from(view->id) : http_param(r, "sandbox");
	struct sandbox *s = runtime_find(view->camel->rt, key, &err);
	if (!s)
		camel_reply_detail(r, 404, err.text);
	return s;
}

const char *camel_sandbox_of(const struct http_request *r)
{
	const struct camel_view *view = camel_view_of(r);
	struct str key = view->id[0] ? str_from(view->id) : http_param(r, "sandbox");
	const struct sandbox *s = runtime_find(view->camel->rt, key, NULL);
	return s ? s->id : NULL;
}

/* The password of "Basic dXNlcjpwYXNz"; STR_NONE if it is none. Lives in the request's arena. */
static struct str basic_password(struct http_request *r)
{
	struct str header = http_header(r, "Authorization");
	auto_buf struct buf text = BUF_INIT(CREDENTIALS_MAX);
	if (!str_eq_nocase(str_first(header, 6), STR("Basic ")) ||
		base64_decode(str_trim(str_skip(header, 6)), &text, NULL) < 0)
		return STR_NONE;
	ptrdiff_t at = str_find_char(buf_str(&text), ':');
	if (at < 0)
		return STR_NONE;
	struct str password = str_skip(buf_str(&text), (size_t)at + 1);
	return str_from_len(arena_str(&r->arena, password), password.len);
}

int camel_authorize(struct http_request *r, struct error *err)
{
	struct str password = basic_password(r);
	if (http_token_is_valid(r, password.ptr ? password : http_bearer(r)))
		return 0;
	return error_set(err, ERROR_UNAUTHORIZED,
		"a token is wanted: as a bearer token, or as the password in http://user:TOKEN@host");
}

/* ---- the face ---- */

struct camel *camel_new(struct runtime *rt)
{
	struct camel *camel = mem_new(struct camel);
	struct camel_view *view = mem_new(struct camel_view);
	camel->rt = rt;
	list_init(&camel->servers);
	view->camel = camel;
	camel->face = (struct http_face){
		.name = "camel",
		.prefix = "/camel/",
		.routes = camel_routes,
		.arg = view,
		.authorize = camel_authorize,
		.sandbox_of = camel_sandbox_of,
		.sandbox_param = "sandbox",
		.render_error = fastapi_render_error,
	};
	return camel;
}

void camel_free(struct camel *camel)
{
	if (!camel)
		return;
	camel_lend_free_all(camel);
	free(camel->face.arg);
	free(camel);
}

const struct http_face *camel_face(const struct camel *camel)
{
	return &camel->face;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "face/swerex/swerex.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/fastapi.h"
#include "face/swerex/state.h"

#define UPLOAD_MAX ((int64_t)64 << 30)
#define BODY       .body_max = SWEREX_BODY_MAX

/* ---- routes ---- */

static void get_root(struct http_request *r)
{
	http_reply(r, 200, "application/json", STR("{\"message\":\"hello world\"}"));
}

/* clang-format off */
#define ROUTES(prefix, who) \
	{ "GET", prefix "/", get_root, .role = who, .summary = "greet" }, \
	{ "GET", prefix "/is_alive", place_is_alive, .role = who, .summary = "tell whether the sandbox is there" }, \
	{ "POST", prefix "/create_session", swerex_create_session, BODY, .role = who, .summary = "open a session" }, \
	{ "POST", prefix "/run_in_session", swerex_run_in_session, BODY, .role = who, .summary = "run a command in it, or interrupt one" }, \
	{ "POST", prefix "/close_session", swerex_close_session, BODY, .role = who, .summary = "end it" }, \
	{ "POST", prefix "/execute", swerex_execute, BODY, .role = who, .summary = "run a command without a session" }, \
	{ "POST", prefix "/read_file", swerex_read_file, BODY, .role = who, .summary = "read a file as text" }, \
	{ "POST", prefix "/write_file", swerex_write_file, BODY, .role = who, .summary = "write a file" }, \
	{ "POST", prefix "/upload", swerex_upload, HTTP_STREAMS_BODY, .body_max = UPLOAD_MAX, .role = who, \
		.summary = "take in a file, or a directory as a zip" }, \
	{ "POST", prefix "/close", swerex_close, BODY, .role = who, .summary = "end the sessions, and a sandbox that was made here" }

const struct http_route swerex_routes[] = {
	ROUTES("/swerex/{sandbox}", ROLE_SANDBOX),
	ROUTES("/swerex/new/{image}/{sandbox}", ROLE_ADMIN),
	ROUTES("", ROLE_SANDBOX),
	{ 0 },
};
/* clang-format on */

void swerex_detail(struct http_request *r, int status, const char *text)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_str(&w, "detail", str_from(text));
	jsonw_close(&w);
	http_reply_json(r, status, &b);
}

/* ---- who comes in ---- */

static int authorize(struct http_request *r, struct error *err)
{
	struct str key = http_header(r, "X-API-Key");
	if (!key.ptr)
		key = http_bearer(r);
	if (http_token_is_valid(r, key))
		return 0;
	if (!key.len)
		return error_set(err, ERROR_FORBIDDEN, "Not authenticated");
	return error_set(err, ERROR_UNAUTHORIZED, "Invalid API Key");
}

static const char *sandbox_of(const struct http_request *r)
{
	const struct sandbox *s = place_find(r);
	return s ? s->id : NULL;
}

/* What is wrong with these at the root is told in this face's words: a method, a slash too many. */
static bool owns_path(const struct http_face *face, struct str path)
{
	while (str_starts(path, STR("/")))
		path = str_skip(path, 1);
	for (const struct http_route *row = face->routes; row->pattern; row++)
		if (str_is(path, row->pattern + 1))
			return true;
	return false;
}

/* ---- the face ---- */

struct swerex *swerex_new(struct runtime *rt)
{
	struct swerex *x = mem_new(struct swerex);
	x->rt = rt;
	list_init(&x->turns);
	list_init(&x->makings);
	list_init(&x->replays);
	x->face = (struct http_face){
		.name = "swerex",
		.prefix = "/swerex/",
		.owns_path = owns_path,
		.routes = swerex_routes,
		.arg = x,
		.authorize = authorize,
		.sandbox_of = sandbox_of,
		.sandbox_param = "sandbox",
		.render_error = fastapi_render_error,
	};
	return x;
}

void swerex_free(struct swerex *x)
{
	if (!x)
		return;
	places_free_all(x);
	turns_free_all(x);
	free(x);
}

const struct http_face *swerex_face(const struct swerex *x)
{
	return &x->face;
}

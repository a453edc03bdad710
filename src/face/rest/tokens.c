/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST …/tokens makes a narrower token (http/role.h), which is kept nowhere. One for a file is a
 * link as well: /v1/links/TOKEN needs no header, so a browser, or curl in a sandbox elsewhere, can
 * follow it.
 */
#include "face/rest/handlers.h"

#include "base/auto.h"
#include "base/clock.h"
#include "http/origin.h"

enum { LIFETIME_MAX_MS = 30 * 24 * 3600 * 1000LL };

struct token_params {
	struct str role, path;
	int64_t lifetime_ms;
};

static const char *const roles[] = { "sandbox", "read", "write", NULL };

const struct field token_fields[] = {
	{ "role", FIELD_STRING, FIELD_AT(struct token_params, role), .standard = "sandbox",
		.words = roles,
		.help = "sandbox: everything in it and about it; read, write: one file" },
	{ "path", FIELD_STRING, FIELD_AT(struct token_params, path), FIELD_PATH,
		.help = "read, write: the file" },
	{ "lifetime_ms", FIELD_INT, FIELD_AT(struct token_params, lifetime_ms), .min = 1000,
		.max = LIFETIME_MAX_MS, .standard = "3600000", .help = "how long it is good" },
	{ 0 },
};

/* ---- making ---- */

static void put_address(const struct http_request *r, struct str path, struct buf *b)
{
	struct str host = http_header(r, "Host");
	if (!http_tcp_port(r))
		return;
	/* Who comes over the Unix socket says no port: then as a browser would come. */
	if (!host.len || str_is(host, "localhost"))
		buf_printf(b, "http://localhost:%d", http_tcp_port(r));
	else
		http_put_origin(r, b);
	buf_put(b, path);
}

static void reply_token(struct http_request *r, const struct grant *g, struct str token)
{
	auto_buf struct buf b = BUF_INIT(4 * ROLE_TOKEN_MAX);
	auto_buf struct buf path = BUF_INIT(ROLE_TOKEN_MAX + 64);
	auto_buf struct buf link = BUF_INIT(ROLE_TOKEN_MAX + 512);
	char until[CLOCK_TEXT_MAX];
	struct jsonw w = JSONW(&b);
	clock_text(g->until_s * 1000, until);
	jsonw_open(&w);
	jsonw_key_str(&w, "token", token);
	jsonw_key_str(&w, "role", str_from(role_name(g->role)));
	jsonw_key_str(&w, "sandbox", g->sandbox);
	jsonw_key_str(&w, "expires_at", str_from(until));
	if (g->role != ROLE_SANDBOX) {
		buf_printf(&path, "/v1/links/%.*s", STR_ARG(token));
		put_address(r, buf_str(&path), &link);
		jsonw_key_str(&w, "path", buf_str(&path));
		if (link.len)
			jsonw_key_str(&w, "link", buf_str(&link));
	}
	jsonw_close(&w);
	http_reply_json(r, 201, &b);
}

static int make_grant(const struct token_params *p, const struct sandbox *s, struct grant *ret,
	struct error *err)
{
	*ret = (struct grant){
		.sandbox = str_from(s->id),
		.until_s = (clock_wall_ms() + p->lifetime_ms + 999) / 1000,
		.path = p->path,
	};
	if (role_parse(p->role, &ret->role, err) < 0)
		return -1;
	if (ret->role == ROLE_SANDBOX && p->path.len)
		return error_set(err, ERROR_INVALID,
			"path: a token for a sandbox is for all of it");
	return 0;
}

void tokens_post(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	auto_buf struct buf token = BUF_INIT(ROLE_TOKEN_MAX);
	auto_json struct json *body = NULL;
	struct token_params *params;
	struct grant grant;
	struct error err;
	if (!s)
		return;
	if (json_parse(r->body.len ? r->body : STR("{}"), &body, &err) < 0 ||
		fields_decode(token_fields, sizeof(*params), "tokens", body, &r->arena,
			(void **)&params, &err) < 0 ||
		make_grant(params, s, &grant, &err) < 0 ||
		http_put_token(r, &grant, &token, &err) < 0)
		http_reply_error(r, &err);
	else
		reply_token(r, &grant, buf_str(&token));
}

/* ---- following ---- */

/*
 * The sandbox of a file's token, and the parameters for its file. NULL: the request has been
 * answered.
 */
static struct sandbox *follow(struct http_request *r, struct buf *params)
{
	struct jsonw w = JSONW(params);
	struct error err;
	struct sandbox *s = NULL;
	if (r->grant.role != ROLE_READ && r->grant.role != ROLE_WRITE)
		error_set(&err, ERROR_FORBIDDEN, "this takes a token for a file");
	else
		s = runtime_find(rest_of(r)->runtime, r->grant.sandbox, &err);
	if (!s)
		http_reply_error(r, &err);
	jsonw_open(&w);
	jsonw_key_str(&w, "path", r->grant.path);
	jsonw_close(&w);
	return s;
}

void links_get(struct http_request *r)
{
	auto_buf struct buf params = BUF_INIT(8 * ROLE_PATH_MAX);
	struct sandbox *s = follow(r, &params);
	if (s)
		files_download(r, s, &params);
}

void links_put(struct http_request *r)
{
	auto_buf struct buf params = BUF_INIT(8 * ROLE_PATH_MAX);
	struct sandbox *s = follow(r, &params);
	if (s)
		files_upload(r, s, &params);
}

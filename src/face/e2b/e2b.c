/* SPDX-License-Identifier: Apache-2.0 */
#include "face/e2b/e2b.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/e2b/handlers.h"

#define KEY_PREFIX "e2b_"

static void render_error(const struct http_face *face, const struct error *e, int *status,
	struct buf *body)
{
	*status = e2b_status(e->code);
	e2b_put_error(body, *status, e->text);
}

static int digit_of(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * An API key is the server's token as it is or, for SDKs that want theirs to look like one of
 * E2B's, "e2b_" and the token's bytes in hex: the same secret in another spelling.
 */
static struct str take_key(struct http_request *r)
{
	struct str key = http_header(r, "X-API-KEY");
	if (!key.ptr)
		return http_bearer(r);
	struct str hex = str_skip(key, sizeof(KEY_PREFIX) - 1);
	if (!str_starts(key, STR(KEY_PREFIX)) || hex.len % 2)
		return key;
	char *plain = arena_alloc(&r->arena, hex.len / 2 + 1);
	for (size_t i = 0; i < hex.len; i += 2) {
		int high = digit_of(hex.ptr[i]), low = digit_of(hex.ptr[i + 1]);
		if (high < 0 || low < 0)
			return key;
		plain[i / 2] = (char)(high << 4 | low);
	}
	return str_from_len(plain, hex.len / 2);
}

static int authorize_data(struct http_request *r, enum e2b_kind kind, struct error *err)
{
	struct str id = e2b_id_of_data(r), shown = http_header(r, "X-Access-Token");
	struct str token = shown.ptr ? shown : http_bearer(r);
	struct str traffic = http_header(r, "E2b-Traffic-Access-Token");
	if (id.len &&
		(e2b_token_is_valid(r, id, token) ||
			(kind == E2B_CODE && e2b_traffic_is_valid(r, id, traffic)))) {
		http_be_guest(r, id);
		return 0;
	}
	if (http_token_is_valid(r, token))
		return 0; /* the server's own, or one of cay's for this sandbox */
	if (kind == E2B_FILES && !token.ptr) {
		const struct e2b_box *b = e2b_signed_box(r, err);
		if (b)
			http_be_guest(r, str_from(b->id));
		return b ? 0 : -1;
	}
	return error_set(err, ERROR_UNAUTHORIZED,
		"unauthorized access, please provide a valid access token or method signing if supported");
}

static int authorize(struct http_request *r, struct error *err)
{
	enum e2b_kind kind = r->route && r->route->data ? *(const enum e2b_kind *)r->route->data
							: E2B_CONTROL;
	struct str key = take_key(r);
	if (kind != E2B_CONTROL)
		return authorize_data(r, kind, err);
	if (http_token_is_valid(r, key))
		return 0;
	return error_set(err, ERROR_UNAUTHORIZED,
		key.ptr ? "Invalid API key" : "an API key is wanted, in X-API-KEY");
}

/* One that another face made is none of this one's, whatever token is shown for it. */
static const char *sandbox_of(const struct http_request *r)
{
	struct str id = http_param(r, "id");
	const struct e2b_box *b = e2b_box_find(e2b_of(r), id.ptr ? id : e2b_id_of_data(r));
	return b ? b->id : NULL;
}

/* What signed links lead to: SDKs make them of the host alone. */
static bool owns_path(const struct http_face *face, struct str path)
{
	return str_is(path, "/files");
}

/*
 * Names below a domain that clients are told of by E2B_DOMAIN: of the API, and of a sandbox's envd
 * and interpreter, also when that is gone. In a sandbox of others these are ports like any.
 */
static bool takes_label(const struct http_face *face, struct str label)
{
	const struct e2b *e = face->arg;
	struct str id = e2b_id_of_label(label);
	struct error err;
	return str_is(label, "api") ||
		(id.len && (map_find(&e->by_id, id) || !runtime_find(e->rt, id, &err)));
}

struct e2b *e2b_new(struct runtime *rt)
{
	struct e2b *e = mem_new(struct e2b);
	e->rt = rt;
	e->loop = runtime_loop(rt);
	list_init(&e->boxes);
	list_init(&e->lists);
	e->face = (struct http_face){
		.name = "e2b",
		.prefix = "/e2b/",
		.owns_path = owns_path,
		.routes = e2b_routes,
		.arg = e,
		.authorize = authorize,
		.sandbox_of = sandbox_of,
		.sandbox_param = "id",
		.render_error = render_error,
		.takes_label = takes_label,
		.host_prefix = "/e2b",
	};
	e2b_boxes_adopt(e);
	return e;
}

void e2b_free(struct e2b *e)
{
	if (!e)
		return;
	while (!list_is_empty(&e->boxes))
		e2b_box_free(list_get_first(&e->boxes, struct e2b_box, link));
	map_fini(&e->by_id);
	free(e);
}

const struct http_face *e2b_face(const struct e2b *e)
{
	return &e->face;
}

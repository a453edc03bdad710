/* SPDX-License-Identifier: Apache-2.0 */
#include "face/rest/ports.h"

#include "base/auto.h"
#include "face/rest/handlers.h"
#include "http/origin.h"
#include "http/ticket.h"
#include "runtime/port.h"
#include "wire/url.h"

#define COOKIE PORT_COOKIE
#define QUERY  PORT_QUERY

enum { SEGMENTS_BEFORE = 5 /* /v1/sandboxes/ID/ports/PORT */ };

struct place {
	struct sandbox *sandbox;
	int port;
	char purpose[PORT_PURPOSE_SIZE]; /* of a ticket */
};

static int find_place(struct runtime *rt, struct str sandbox, struct str port, struct place *ret,
	struct error *err)
{
	if (port_parse(port, &ret->port, err) < 0)
		return -1;
	ret->sandbox = runtime_find(rt, sandbox, err);
	if (!ret->sandbox)
		return -1;
	port_purpose(ret->sandbox, ret->port, ret->purpose);
	return 0;
}

static int place_of_path(struct http_request *r, struct place *ret)
{
	struct error err;
	if (find_place(rest_of(r)->runtime, http_param(r, "id"), http_param(r, "port"), ret,
		    &err) == 0)
		return 0;
	http_reply_error(r, &err);
	return -1;
}

/* Where the part that is upstream's begins in the path, as it was sent. */
static size_t path_at(struct str path)
{
	int slashes = 0;
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '/' && ++slashes > SEGMENTS_BEFORE)
			return i;
	return path.len;
}

void ports_pass(struct http_request *r)
{
	struct place place;
	if (place_of_path(r, &place) < 0)
		return;
	size_t at = path_at(r->path);
	const struct port_view view = {
		.path = str_skip(r->path, at),
		.prefix = arena_str(&r->arena, str_first(r->path, at)),
		.cookie = COOKIE,
		.query = QUERY,
	};
	port_forward(place.sandbox, r, place.port, &view);
}

static void put_links(struct jsonw *w, const struct http_request *r, const struct place *place)
{
	auto_buf struct buf url = BUF_INIT(1024);
	port_put_url(r, place->sandbox, place->port, &url);
	if (url.len) {
		jsonw_key_str(w, "url", buf_str(&url));
		buf_reset(&url);
		port_put_link(r, place->sandbox, place->port, &url);
		jsonw_key_str(w, "link", buf_str(&url));
	}
	buf_reset(&url);
	buf_printf(&url, "/v1/sandboxes/%s/ports/%d/", place->sandbox->id, place->port);
	jsonw_key_str(w, "path", buf_str(&url));
}

void ports_describe(struct http_request *r)
{
	struct place place;
	if (place_of_path(r, &place) < 0)
		return;
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_int(&w, "port", place.port);
	jsonw_key_str(&w, "sandbox", str_from(place.sandbox->id));
	put_links(&w, r, &place);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* ---- by name ---- */

/* "8080-ID" taken apart. */
static bool split_label(struct str label, struct str *ret_port, struct str *ret_sandbox)
{
	ptrdiff_t dash = str_find_char(label, '-');
	if (dash < 1)
		return false;
	*ret_port = str_first(label, (size_t)dash);
	*ret_sandbox = str_skip(label, (size_t)dash + 1);
	for (size_t i = 0; i < ret_port->len; i++)
		if (ret_port->ptr[i] < '0' || ret_port->ptr[i] > '9')
			return false;
	return ret_sandbox->len > 0;
}

static bool takes_label(const struct http_face *face, struct str label)
{
	struct str port, sandbox;
	return split_label(label, &port, &sandbox);
}

static int place_of_host(const struct http_request *r, struct place *ret, struct error *err)
{
	const struct rest *rest = r->face->arg;
	struct str port, sandbox;
	if (!split_label(http_label(r), &port, &sandbox))
		return error_set(err, ERROR_INVALID, "Host names no port of a sandbox");
	return find_place(rest->runtime, sandbox, port, ret, err);
}

static const char *sandbox_of_host(const struct http_request *r)
{
	struct place place;
	struct error err;
	return place_of_host(r, &place, &err) == 0 ? place.sandbox->id : NULL;
}

/* A ticket in the address, in a cookie, or, for all ports, in a header of E2B's clients. */
static bool shows_ticket(struct http_request *r, const struct place *place)
{
	char all[PORT_PURPOSE_SIZE];
	port_purpose_of_all(str_from(place->sandbox->id), all);
	return port_opens(r, place->purpose, port_find_cookie(r, COOKIE)) ||
		port_opens(r, place->purpose, http_query(r, QUERY)) ||
		port_opens(r, all, http_header(r, PORT_HEADER));
}

/* Who may not come in does not learn which sandboxes there are. */
static int authorize(struct http_request *r, struct error *err)
{
	struct place place;
	struct error unknown;
	if (http_token_is_valid(r, http_bearer(r)) ||
		http_token_is_valid(r, http_header(r, "X-Session-API-Key")))
		return 0;
	if (place_of_host(r, &place, &unknown) == 0 &&
		(place.sandbox->has_open_ports || shows_ticket(r, &place))) {
		http_be_guest(r, str_from(place.sandbox->id));
		return 0;
	}
	return error_set(err, ERROR_UNAUTHORIZED,
		"a token, or a link of GET /v1/sandboxes/{id}/ports/{port}, is wanted");
}

static void pass_host(struct http_request *r)
{
	struct place place;
	struct error err;
	struct str ticket = http_query(r, QUERY);
	if (place_of_host(r, &place, &err) < 0) {
		http_reply_error(r, &err);
		return;
	}
	if (ticket.ptr && str_is(r->method, "GET") && !http_header(r, "Upgrade").ptr &&
		port_opens(r, place.purpose, ticket)) {
		port_take_ticket(r, ticket, "/");
		return;
	}
	const struct port_view view = { .path = r->path, .cookie = COOKIE, .query = QUERY };
	port_forward(place.sandbox, r, place.port, &view);
}

const struct http_route ports_host_route = { HTTP_ANY_METHOD, "/", pass_host, HTTP_STREAMS_BODY,
	.body_max = INT64_MAX, .role = ROLE_SANDBOX };
static const struct http_route no_routes[] = { { 0 } };

void ports_face_init(struct http_face *face, struct rest *rest)
{
	*face = (struct http_face){
		.name = "ports",
		.routes = no_routes,
		.arg = rest,
		.authorize = authorize,
		.sandbox_of = sandbox_of_host,
		.takes_label = takes_label,
		.host_route = &ports_host_route,
	};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * router: from method and path to a row of a face.
 *
 * A route is one const row. Its pattern is made of segments: literal ones, `{name}` for exactly one
 * segment that is not empty, and as the last one `{name*}` for the rest of the path (one segment or
 * more). Where several patterns fit a path, the more literal one wins, segment by segment from the
 * left.
 *
 *	static const struct http_route routes[] = {
 *		{ "GET", "/v1/health", health_get, HTTP_NO_AUTH },
 *		{ "PUT", "/v1/sandboxes/{id}/files", files_put, HTTP_STREAMS_BODY, .body_max = 1 << 30 },
 *		{ "GET", "/v1/sandboxes/{id}/stream", stream_get, HTTP_WEBSOCKET },
 *		{ 0 },
 *	};
 *
 * Paths are matched byte for byte after percent-decoding each segment. Refused as ERROR_INVALID
 * before anything is matched: a path that does not start with '/', "%" without two hex digits, NUL
 * and other control bytes, "." and ".." as a segment, and what is not UTF-8. A parameter may hold a
 * decoded '/'.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "http/role.h"

#include <stdint.h>

struct http_request;
struct http_face;

enum http_route_flags {
	HTTP_NO_AUTH = 1,      /* answers without a token */
	HTTP_STREAMS_BODY = 2, /* the handler runs before the body is there: on_body, on_body_end */
	HTTP_WEBSOCKET = 4, /* wants an upgrade; the handler calls ws_accept or replies an error */
	HTTP_PLAIN_TOO =
		8, /* with HTTP_WEBSOCKET: without an Upgrade header it is a request like any other */
	HTTP_TAKES_TEXT =
		16, /* no tree is made of its body: it may hold any number of JSON values */
	HTTP_TAKES_TURNS = 32, /* costs milliseconds, however small its body (http/turns.h) */
};

enum { HTTP_BODY_MAX = 1024 * 1024, HTTP_PARAMS_MAX = 8, HTTP_SEGMENTS_MAX = 64 };

#define HTTP_ANY_METHOD "*"

struct http_route {
	const char *method; /* "GET" answers HEAD as well; HTTP_ANY_METHOD what no other row does */
	const char *pattern; /* "/v1/sandboxes/{id}" */
	void (*handle)(struct http_request *request);
	int flags;
	int64_t body_max; /* bytes; 0: HTTP_BODY_MAX. A larger body is refused with 413 */
	enum role role; /* who may come in beside the server's own token; ROLE_ADMIN (0): nobody */
	const char *summary; /* for the documentation */
	const void *data;    /* of the face: an action, a schema, … */
};

struct http_match {
	const struct http_route *route;
	const struct http_face *face;
	size_t n_params;
	struct str names[HTTP_PARAMS_MAX];  /* point into the pattern */
	struct str values[HTTP_PARAMS_MAX]; /* decoded, NUL-terminated, in the arena */
};

struct router;

struct router *router_new(void);
void router_free(struct router *router);
/* Adds a table of rows, ended by an empty one. Two rows for one method and pattern are a bug. */
void router_add(struct router *router, const struct http_face *face,
	const struct http_route *routes);
/*
 * ERROR_INVALID for a bad path, ERROR_NOT_FOUND if no pattern fits, ERROR_METHOD if one does but
 * none for this method. In the last case ret->face is set, and `allow` (if not NULL) gets "GET,
 * PUT".
 */
int router_match(const struct router *router, struct str method, struct str path,
	struct arena *arena, struct http_match *ret, struct buf *allow, struct error *err);

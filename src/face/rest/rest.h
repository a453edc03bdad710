/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest: cay's own protocol, JSON over HTTP below /v1. Every route is a row of rest_routes
 * (routes.c); the OpenAPI document at /v1/openapi.json is printed from those rows and the rows of
 * the actions.
 *
 *	struct rest rest = { .runtime = rt, .version = "0.1.0" };
 *	const struct http_face face = { .name = "rest", .prefix = "/v1/", .routes = rest_routes, .arg = &rest };
 *	http_server_add_face(server, &face);
 *
 * Errors are {"error":{"code","message"}}, with the status of the code (base/error.def). A sandbox
 * is named by its id, the first four or more characters of it, or its name; one that there is none
 * of is always not_found. Unknown fields and query parameters are errors.
 */
#pragma once

#include "action/action.h"
#include "http/server.h"
#include "runtime/runtime.h"

struct camel;
struct guard;

struct rest {
	struct runtime *runtime;
	const char *version;
	struct guard *guard;        /* NULL: there is none */
	struct camel *camel;        /* lends tool servers */
	const char *approver_token; /* confirms what waits for it; NULL: the server's token does */
};

extern const struct http_route rest_routes[];
/* For http_face::authorize: the server's token, or where it belongs the approver's. */
int rest_authorize(struct http_request *r, struct error *err);

/* For http_face::sandbox_of. */
const char *rest_sandbox_of(const struct http_request *r);

/* What the documentation says about a row beyond its pattern and summary (http_route::data). */
struct rest_doc {
	const struct field *query; /* NULL: takes none */
	const struct field *body;
	const char *body_type; /* of a body that is no JSON */
	const char *result;    /* in words */
	const char *type;      /* of a result that is no JSON */
	bool is_streamed;      /* the result is an event stream if it is asked for */
	int status;            /* of success; 0: 200 */
};

/* Appends the OpenAPI 3.1 document. */
void rest_openapi(const char *version, struct buf *b);

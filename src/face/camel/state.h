/* SPDX-License-Identifier: Apache-2.0 */
/* state: what the files of this face share. */
#pragma once

#include "base/list.h"
#include "face/camel/camel.h"
#include "face/fastapi.h"
#include "runtime/runtime.h"

struct camel {
	struct runtime *rt;
	struct http_face face;
	struct list servers; /* server::link */
	int n_servers;
};

/*
 * What http_face::arg points to: a lent server serves one sandbox, the face of the main port any.
 */
struct camel_view {
	struct camel *camel;
	char id[ID_SIZE]; /* "": the path names it */
};

static inline struct camel_view *camel_view_of(const struct http_request *r)
{
	return r->face->arg;
}

const char *camel_sandbox_of(const struct http_request *r);
int camel_authorize(struct http_request *r, struct error *err);
/* {"detail":"…"} */
void camel_reply_detail(struct http_request *r, int status, const char *text);
/* The sandbox of the request; NULL: it has been answered. */
struct sandbox *camel_sandbox(struct http_request *r);

/* call.c */
void camel_call(struct http_request *r);
/* pages.c */
void camel_health(struct http_request *r);
void camel_openapi(struct http_request *r);
void camel_docs(struct http_request *r);
void camel_get_tool(struct http_request *r);
/* lend.c */
void camel_lend_free_all(struct camel *camel);

/* camel.c: of a server whose root this is. */
extern const struct http_route camel_root_routes[];

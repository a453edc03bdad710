/* SPDX-License-Identifier: Apache-2.0 */
#include "face/opensandbox/opensandbox.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/opensandbox/endpoint.h"
#include "face/opensandbox/handlers.h"
#include "face/opensandbox/pty.h"

enum { REQUEST_ID_MAX = 128 };

static void render_error(const struct http_face *face, const struct error *e, int *status,
	struct buf *body)
{
	osb_put_error(body, osb_code(e->code), e->text);
}

/* Clients tell requests apart by it: theirs comes back, and one without gets one. */
static void answer_request_id(struct http_request *r)
{
	struct str id = http_header(r, "X-Request-ID");
	char own[ID_SIZE];
	bool is_good = id.len && id.len <= REQUEST_ID_MAX;
	for (size_t i = 0; is_good && i < id.len; i++)
		is_good = id.ptr[i] > ' ' && id.ptr[i] < 0x7f;
	id_make(own);
	http_reply_header(r, "X-Request-ID", is_good ? arena_str(&r->arena, id) : own);
}

static struct str take_key(const struct http_request *r)
{
	struct str key = http_header(r, OSB_API_HEADER);
	return key.ptr ? key : http_bearer(r);
}

static int authorize(struct http_request *r, struct error *err)
{
	const enum osb_kind *kind = r->route ? r->route->data : NULL;
	struct str key = take_key(r);
	answer_request_id(r);
	if (http_token_is_valid(r, key))
		return 0;
	if (kind && osb_endpoint_opens(r, *kind)) {
		http_be_guest(r, http_param(r, "id"));
		return 0;
	}
	if (kind)
		return error_set(err, ERROR_UNAUTHORIZED,
			"a header of GET …/endpoints/{port} is wanted");
	return error_set(err, ERROR_UNAUTHORIZED,
		key.ptr ? "Invalid API key" : "an API key is wanted, in " OSB_API_HEADER);
}

/* One that another face made is none of this one's, whatever token is shown for it. */
static const char *sandbox_of(const struct http_request *r)
{
	const struct sandbox *s = osb_find(osb_of(r), http_param(r, "id"));
	return s ? s->id : NULL;
}

struct osb *osb_new(struct runtime *rt)
{
	struct osb *o = mem_new(struct osb);
	o->rt = rt;
	o->loop = runtime_loop(rt);
	list_init(&o->ptys);
	o->face = (struct http_face){
		.name = "opensandbox",
		.prefix = "/opensandbox/",
		.routes = osb_routes,
		.arg = o,
		.authorize = authorize,
		.sandbox_of = sandbox_of,
		.sandbox_param = "id",
		.render_error = render_error,
	};
	return o;
}

void osb_free(struct osb *o)
{
	if (!o)
		return;
	osb_ptys_free(o);
	free(o);
}

const struct http_face *osb_face(const struct osb *o)
{
	return &o->face;
}

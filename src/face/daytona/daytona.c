/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/daytona.h"

#include "base/bug.h"
#include "face/daytona/build.h"
#include "face/daytona/handlers.h"
#include "face/daytona/storage.h"

/* For what the server itself refuses: handlers answer with daytona_fail. */
static void render_error(const struct http_face *face, const struct error *e, int *status,
	struct buf *body)
{
	*status = daytona_status(e->code);
	daytona_put_error(body, NULL, *status, NULL, e->text);
}

static int authorize(struct http_request *r, struct error *err)
{
	bool is_preview = r->route && r->route->data == daytona_preview;
	bool is_storage = r->route && r->route->data == daytona_storage;
	if (http_token_is_valid(r, http_bearer(r)) || (is_preview && previews_may_look(r)) ||
		(is_storage && storage_may(r)))
		return 0;
	return error_set(err, ERROR_UNAUTHORIZED, "%s",
		is_preview ? "a token for this preview is wanted" : "Invalid credentials");
}

/* One that another face made is none of this one's, whatever token is shown for it. */
static const char *sandbox_of(const struct http_request *r)
{
	const struct box *b = box_find(daytona_of(r), http_param(r, "id"));
	return b ? b->id : NULL;
}

struct daytona *daytona_new(struct runtime *rt)
{
	struct daytona *d = mem_new(struct daytona);
	d->rt = rt;
	d->loop = runtime_loop(rt);
	list_init(&d->boxes);
	d->face = (struct http_face){
		.name = "daytona",
		.prefix = "/daytona/",
		.routes = daytona_routes,
		.arg = d,
		.authorize = authorize,
		.sandbox_of = sandbox_of,
		.sandbox_param = "id",
		.render_error = render_error,
	};
	list_init(&d->works);
	list_init(&d->objects);
	boxes_adopt(d);
	return d;
}

void daytona_free(struct daytona *d)
{
	if (!d)
		return;
	works_free_all(d);
	storage_free_all(d);
	while (!list_is_empty(&d->boxes))
		box_free(list_get_first(&d->boxes, struct box, link));
	map_fini(&d->by_id);
	free(d);
}

const struct http_face *daytona_face(const struct daytona *d)
{
	return &d->face;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "face/daytona/daytona.h"

#include "base/bug.h"
#include "face/daytona/handlers.h"

/* For what the server itself refuses: handlers answer with daytona_fail. */
static void render_error(const struct http_face *face, const struct error *e, int *status,
	struct buf *body)
{
	*status = daytona_status(e->code);
	daytona_put_error(body, NULL, *status, NULL, e->text);
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
		.render_error = render_error,
	};
	boxes_adopt(d);
	return d;
}

void daytona_free(struct daytona *d)
{
	if (!d)
		return;
	while (!list_is_empty(&d->boxes))
		box_free(list_get_first(&d->boxes, struct box, link));
	map_fini(&d->by_id);
	free(d);
}

const struct http_face *daytona_face(const struct daytona *d)
{
	return &d->face;
}

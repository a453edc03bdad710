/* SPDX-License-Identifier: Apache-2.0 */
#include "face/docker/docker.h"

#include "base/bug.h"
#include "base/clock.h"
#include "face/docker/handlers.h"

/* The socket's file mode is what keeps others out. */
static int authorize(struct http_request *r, struct error *err)
{
	return 0;
}

static void render_error(const struct http_face *face, const struct error *e, int *status,
	struct buf *body)
{
	docker_put_message(body, e->code == ERROR_NOT_FOUND ? "page not found" : e->text);
}

struct docker *docker_new(struct runtime *rt)
{
	struct docker *d = mem_new(struct docker);
	d->rt = rt;
	d->loop = runtime_loop(rt);
	d->started_ms = clock_mono_ms();
	list_init(&d->containers);
	list_init(&d->followers);
	d->face = (struct http_face){
		.name = "docker",
		.prefix = "/",
		.routes = docker_routes,
		.arg = d,
		.authorize = authorize,
		.render_error = render_error,
	};
	containers_adopt(d);
	return d;
}

void docker_free(struct docker *d)
{
	if (!d)
		return;
	while (!list_is_empty(&d->containers))
		container_free(list_get_first(&d->containers, struct container, link));
	engine_free(d);
	map_fini(&d->execs);
	free(d);
}

const struct http_face *docker_face(const struct docker *d)
{
	return &d->face;
}

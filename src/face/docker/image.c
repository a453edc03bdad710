/* SPDX-License-Identifier: Apache-2.0 */
/* Images, as Docker words them. */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "base/bug.h"

#define HOST_ID "sha256:00000000000000000000000000000000000000000000000000000000686f7374"

int64_t images_count(struct docker *d)
{
	return 1;
}

static bool is_host(struct str ref)
{
	return str_is(ref, "host") || str_is(ref, "host:latest") || str_is(ref, HOST_ID);
}

int image_find(struct docker *d, struct str ref, struct arena *arena, struct spec *spec,
	struct image_facts *ret, struct error *err)
{
	if (!is_host(ref))
		return error_set(err, ERROR_NOT_FOUND, "No such image: %.*s",
			STR_ARG(str_first(ref, 200)));
	spec->image = IMAGE_HOST;
	*ret = (struct image_facts){ arena_str(arena, STR(HOST_ID)), arena_str(arena, ref), NULL };
	return 0;
}

void images_list(struct http_request *r)
{
	http_reply(r, 200, "application/json", STR("[]"));
}
void images_get(struct http_request *r)
{
	not_offered(r);
}
void images_post(struct http_request *r)
{
	not_offered(r);
}
void images_delete(struct http_request *r)
{
	not_offered(r);
}
void images_create(struct http_request *r)
{
	not_offered(r);
}
void images_load(struct http_request *r)
{
	not_offered(r);
}
void images_prune(struct http_request *r)
{
	not_offered(r);
}

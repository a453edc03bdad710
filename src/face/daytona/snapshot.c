/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Daytona's snapshots, which are images to make sandboxes from: the server's images. And what there
 * is none of.
 */
#include "face/daytona/build.h"
#include "face/daytona/handlers.h"

#include "base/auto.h"
#include "base/num.h"
#include "runtime/images.h"

static struct images *images_of(const struct http_request *r)
{
	return runtime_images(daytona_of(r)->rt);
}

/*
 * True: answered. A backend that has images of its own has them listed, named and removed by
 * itself.
 */
static bool are_far(struct http_request *r)
{
	if (!runtime_has_other_images(daytona_of(r)->rt))
		return false;
	daytona_fail(r, 501, NULL,
		"the images are the backend's own: see `cay image`; sandboxes are made of any of them");
	return true;
}

static void put_snapshot(const struct offered *s, struct jsonw *w)
{
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(s->id));
	jsonw_key_str(w, "organizationId", STR("cay"));
	jsonw_key_bool(w, "general", s->is_host);
	jsonw_key_str(w, "name", str_from(s->name));
	jsonw_key_str(w, "imageName", str_from(s->name));
	jsonw_key_str(w, "state", str_from(s->state));
	jsonw_key(w, "size");
	jsonw_real(w, (double)s->size_bytes / (double)(1 << 30));
	jsonw_key(w, "entrypoint");
	jsonw_null(w);
	jsonw_key_int(w, "cpu", 1);
	jsonw_key_int(w, "gpu", 0);
	jsonw_key_int(w, "mem", 1);
	jsonw_key_int(w, "disk", 1);
	jsonw_key(w, "errorReason");
	if (s->reason)
		jsonw_str(w, str_from(s->reason));
	else
		jsonw_null(w);
	daytona_key_time(w, "createdAt", s->created_ms);
	daytona_key_time(w, "updatedAt", s->created_ms);
	jsonw_key(w, "lastUsedAt");
	jsonw_null(w);
	jsonw_key(w, "sourceSandboxId");
	jsonw_null(w);
	jsonw_close(w);
}

/*
 * An image may have several names, and each is a snapshot of its own: what removes one leaves the
 * others.
 */
static struct offered snapshot_of(const struct image *image, const char *name)
{
	return (struct offered){ .id = name ?: image->id,
		.name = name ?: image->id,
		.state = "active",
		.size_bytes = image->size_bytes,
		.created_ms = image->created_ms,
		.is_host = image->is_host };
}

static const char *first_name(struct images *images, const struct image *image)
{
	size_t i = 0;
	return images_next_name(images, image, &i);
}

static int64_t number(struct http_request *r, const char *name, int64_t standard)
{
	int64_t value;
	struct str text = http_query(r, name);
	if (!text.len || num_parse_i64(text, 1, 1000000, &value, NULL) < 0)
		return standard;
	return value;
}

void snapshots_list(struct http_request *r)
{
	struct images *images = images_of(r);
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	int64_t page = number(r, "page", 1), limit = number(r, "limit", 100), total = 0;
	struct str name = http_query(r, "name");
	if (are_far(r))
		return;
	jsonw_open(&w);
	jsonw_key(&w, "items");
	jsonw_open_array(&w);
	for (struct image *image = NULL; (image = images_next(images, image));) {
		size_t i = 0;
		const char *called = images_next_name(images, image, &i);
		if (!called && image->is_fleeting)
			continue; /* of a fork */
		do {
			const struct offered snapshot = snapshot_of(image, called);
			if (name.len && str_find(str_from(snapshot.name), name) < 0)
				continue;
			if (total >= (page - 1) * limit && total < page * limit)
				put_snapshot(&snapshot, &w);
			total++;
		} while (called && (called = images_next_name(images, image, &i)));
	}
	jsonw_close_array(&w);
	jsonw_key_int(&w, "total", total);
	jsonw_key_int(&w, "page", page);
	jsonw_key_int(&w, "totalPages", (total + limit - 1) / limit);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

void snapshot_reply(const struct offered *snapshot, struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&body);
	put_snapshot(snapshot, &w);
	http_reply_json(r, 200, &body);
}

static void reply_snapshot(struct http_request *r, const struct image *image, const char *name)
{
	const struct offered snapshot = snapshot_of(image, name);
	snapshot_reply(&snapshot, r);
}

void snapshot_reply_image(struct http_request *r, struct str image_id, const char *name)
{
	struct error err;
	const struct image *image = images_find(images_of(r), image_id, &err);
	if (image)
		reply_snapshot(r, image, name ?: first_name(images_of(r), image));
	else
		daytona_fail_error(r, &err);
}

static struct image *image_of_request(struct http_request *r)
{
	struct str name = http_param(r, "name");
	struct error err;
	if (are_far(r))
		return NULL;
	struct image *image = images_find(images_of(r), name, &err);
	if (!image)
		daytona_fail(r, 404, NULL, "Snapshot %.*s not found",
			STR_ARG(str_first(name, 200)));
	return image;
}

void snapshots_get(struct http_request *r)
{
	if (works_tell_snapshot(r) || are_far(r))
		return;
	const struct image *image = image_of_request(r);
	if (!image)
		return;
	struct str name = http_param(r, "name");
	bool is_id = str_is(name, image->id);
	reply_snapshot(r, image, is_id ? first_name(images_of(r), image) : name.ptr);
}

static void build_snapshot(struct http_request *r, const struct json *info, struct str name)
{
	struct making m = { .arena = &r->arena };
	struct error err;
	if (make_from_build_info(info, &m, &err) < 0)
		daytona_fail_error(r, &err);
	else
		works_begin_snapshot(r, name, &m);
}

/* A name for an image that is there, or one that is built. */
void snapshots_create(struct http_request *r)
{
	auto_json struct json *body = daytona_body(r);
	struct str name, from = json_str(json_find(body, "imageName"));
	const struct json *info = json_find(body, "buildInfo");
	struct error err;
	if (!body || !daytona_need(r, body, "name", &name))
		return;
	if (json_kind(info) == JSON_KIND_OBJECT) {
		build_snapshot(r, info, name);
		return;
	}
	if (!daytona_need(r, body, "imageName", &from) || are_far(r))
		return;
	struct image *image = images_find(images_of(r), from, &err);
	works_forget_snapshot(daytona_of(r), name);
	if (!image || images_tag(images_of(r), image, &name, 1, &err) < 0)
		daytona_fail_error(r, &err);
	else
		reply_snapshot(r, image, arena_str(&r->arena, name));
}

void snapshots_delete(struct http_request *r)
{
	bool was_a_work = works_forget_snapshot(daytona_of(r), http_param(r, "name"));
	struct error err;
	bool is_gone;
	if (was_a_work && !images_find(images_of(r), http_param(r, "name"), &err)) {
		daytona_empty(r, 200);
		return;
	}
	if (!image_of_request(r))
		return;
	if (images_remove(images_of(r), http_param(r, "name"), false, &is_gone, &err) < 0)
		daytona_fail_error(r, &err);
	else
		daytona_empty(r, 200);
}

void snapshots_activate(struct http_request *r)
{
	const struct image *image = image_of_request(r);
	if (image)
		reply_snapshot(r, image, first_name(images_of(r), image));
}

/* ---- what there is none of ---- */

void empty_list(struct http_request *r)
{
	http_reply(r, 200, "application/json", STR("[]"));
}

void volumes_none(struct http_request *r)
{
	struct str key = http_param(r, "key");
	daytona_fail(r, 404, NULL, "Volume with ID or name %.*s not found: there are no volumes",
		STR_ARG(str_first(key, 200)));
}

void daytona_not_offered(struct http_request *r)
{
	daytona_fail(r, 501, NULL, "%.*s %.*s is not offered by cay", STR_ARG(r->method),
		STR_ARG(str_first(r->path, 200)));
}

void daytona_config(struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(8192), url = BUF_INIT(4096);
	struct jsonw w = JSONW(&body);
	http_put_origin(r, &url);
	buf_puts(&url, "/daytona/toolbox");
	jsonw_open(&w);
	jsonw_key_str(&w, "version", STR("v0.190.0"));
	jsonw_key_str(&w, "proxyToolboxUrl", buf_str(&url));
	jsonw_key_str(&w, "defaultSnapshot", STR("host"));
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

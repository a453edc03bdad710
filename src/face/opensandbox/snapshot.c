/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: images of what sandboxes have changed, by whose id others are made. One is answered
 * for when it is there, so it is never seen on its way. Processes are no part of it.
 */
#include "face/opensandbox/handlers.h"

#include "base/auto.h"
#include "face/opensandbox/list.h"
#include "runtime/snapshot.h"

struct taking {
	struct http_request *r;
	struct osb *osb;
	struct snapshot *snapshot; /* NULL: not under way */
};

static void put_snapshot(struct jsonw *w, struct osb *o, const struct image *image)
{
	size_t i = 0;
	const char *name = images_next_name(runtime_images(o->rt), image, &i);
	jsonw_open(w);
	jsonw_key_str(w, "id", str_from(image->id));
	jsonw_key_str(w, "sandboxId", str_from(image->snapshot_of));
	if (name)
		jsonw_key_str(w, "name", str_from(name));
	jsonw_key(w, "status");
	jsonw_open(w);
	jsonw_key_str(w, "state", STR("Ready"));
	jsonw_key_str(w, "reason", STR("snapshot_ready"));
	jsonw_close(w);
	osb_key_time(w, "createdAt", image->created_ms);
	jsonw_close(w);
}

static void reply_snapshot(struct http_request *r, int status, const struct image *image)
{
	auto_buf struct buf body = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&body);
	put_snapshot(&w, osb_of(r), image);
	http_reply_json(r, status, &body);
}

static void on_closed(void *arg)
{
	struct taking *t = arg;
	snapshot_cancel(take_ptr(t->snapshot));
	osb_fail(t->r, 499, "CANCELLED", "the client went away");
}

static void on_taken(void *arg, const struct image *image, const struct error *err)
{
	struct taking *t = arg;
	t->snapshot = NULL;
	if (err)
		osb_fail_error(t->r, err);
	else
		reply_snapshot(t->r, 202, image);
}

void osb_snapshot_create(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct sandbox *s = osb_sandbox(r);
	auto_json struct json *body = s ? osb_body(r) : NULL;
	const struct snapshot_wish wish = { .name = json_str(json_find(body, "name")) };
	if (!body)
		return;
	if (s->state == SANDBOX_PAUSED) {
		osb_fail(r, 409, "CONFLICT", "Sandbox %s is paused", s->id);
		return;
	}
	struct taking *t = arena_new(&r->arena, struct taking);
	t->r = r;
	t->osb = osb_of(r);
	t->snapshot = snapshot_new(s, &wish, on_taken, t);
	http_listen(r, &ops, t);
}

/* Snapshots alone: what the operator imported is not a client's to look at, or to remove. NULL:
 * answered. */
static struct image *find(struct http_request *r)
{
	struct str id = http_param(r, "snapshot");
	struct error err;
	struct image *image = images_find(runtime_images(osb_of(r)->rt), id, &err);
	if (image && image->snapshot_of && !image->is_fleeting)
		return image;
	osb_fail(r, 404, "NOT_FOUND", "Snapshot %.*s not found", STR_ARG(str_first(id, 100)));
	return NULL;
}

void osb_snapshot_get(struct http_request *r)
{
	const struct image *image = find(r);
	if (image)
		reply_snapshot(r, 200, image);
}

void osb_snapshot_delete(struct http_request *r)
{
	const struct image *image = find(r);
	struct error err;
	bool is_gone;
	if (!image)
		return;
	if (images_remove(runtime_images(osb_of(r)->rt), str_from(image->id), false, &is_gone,
		    &err) < 0)
		osb_fail_error(r, &err);
	else
		osb_empty(r, 204);
}

void osb_snapshots_list(struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	struct osb *o = osb_of(r);
	struct str box = http_query(r, "sandboxId");
	struct osb_pages pages;
	struct error err;
	if (osb_pages_read(r, &pages, &err) < 0) {
		osb_fail_error(r, &err);
		return;
	}
	jsonw_open(&w);
	jsonw_key(&w, "items");
	jsonw_open_array(&w);
	for (struct image *i = NULL; (i = images_next(runtime_images(o->rt), i));)
		if (i->snapshot_of && !i->is_fleeting &&
			(!box.len || str_is(box, i->snapshot_of)) &&
			osb_pages_want(&pages, "Ready") && osb_pages_has(&pages))
			put_snapshot(&w, o, i);
	jsonw_close_array(&w);
	osb_pages_put(&pages, &w);
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The images that the server keeps: list, describe, take in, name, remove, collect. */
#include "face/rest/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/rest/images_far.h"
#include "runtime/import.h"
#include "runtime/inlet.h"

static struct images *images_of(const struct http_request *r)
{
	return runtime_images(rest_of(r)->runtime);
}

static void reply_image(struct http_request *r, int status, const struct image *image)
{
	auto_buf struct buf b = BUF_INIT(REST_JSON_MAX);
	struct jsonw w = JSONW(&b);
	image_write(images_of(r), image, &w);
	http_reply_json(r, status, &b);
}

/* NULL: the request has been answered. */
static struct image *image_of(struct http_request *r)
{
	struct error err;
	struct image *image = images_find(images_of(r), http_param(r, "image"), &err);
	if (!image)
		http_reply_error(r, &err);
	return image;
}

/* True: the backend is asked, and answers. */
static bool is_asked_far(struct http_request *r, enum library_verb what)
{
	const struct library_question question = { .what = what, .name = http_param(r, "image") };
	if (!images_are_far(r))
		return false;
	images_far_ask(r, &question);
	return true;
}

void images_get_all(struct http_request *r)
{
	if (is_asked_far(r, LIBRARY_LIST))
		return;
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "images");
	jsonw_open_array(&w);
	for (struct image *i = NULL; (i = images_next(images_of(r), i));)
		image_write(images_of(r), i, &w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

/* What the server keeps is there, or can be had from nowhere. */
void images_fetch(struct http_request *r)
{
	if (!is_asked_far(r, LIBRARY_FETCH))
		images_get_one(r);
}

void images_get_one(struct http_request *r)
{
	if (is_asked_far(r, LIBRARY_INSPECT))
		return;
	const struct image *image = image_of(r);
	if (image)
		reply_image(r, 200, image);
}

/* ---- take in ---- */

static const char *const kind_words[] = { "any", "tree", "archive", NULL };

struct import_query {
	struct str name, kind;
	int64_t max_bytes;
};

const struct field images_import_query[] = {
	{ "name", FIELD_STRING, FIELD_AT(struct import_query, name),
		.help = "its name; of an archive with several images the first one's; standard: what the archive says" },
	{ "kind", FIELD_STRING, FIELD_AT(struct import_query, kind), .standard = "any",
		.words = kind_words,
		.help = "tree: a root file system; archive: docker save or an OCI layout; any: what it looks like" },
	{ "max_bytes", FIELD_INT, FIELD_AT(struct import_query, max_bytes), .min = 0,
		.max = INT64_MAX / 2, .standard = "0",
		.help = "how much may come out of it; 0: 32 GiB" },
	{ 0 },
};

static void on_done(void *arg, const char *const *ids, size_t n)
{
	struct inlet *t = arg;
	struct images *images = images_of(t->r);
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	struct error err;
	t->to = NULL;
	jsonw_open(&w);
	jsonw_key(&w, "images");
	jsonw_open_array(&w);
	for (size_t i = 0; i < n; i++) {
		const struct image *image = images_find(images, str_from(ids[i]), &err);
		if (image)
			image_write(images, image, &w);
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(t->r, 201, &b);
}

static void on_failed(void *arg, const struct error *err)
{
	struct inlet *t = arg;
	t->to = NULL;
	http_reply_error(t->r, err);
}

static void on_closed(void *arg)
{
	struct inlet *t = arg;
	struct error err;
	import_cancel(take_ptr(t->to));
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(t->r, &err);
}

/* An engine does not look what it is given: with a name it is a tree, unless that is said. */
static void import_far(struct http_request *r, const struct import_query *q)
{
	bool is_tree = str_is(q->kind, "tree") || (str_is(q->kind, "any") && q->name.len);
	const struct library_wish wish = {
		.what = is_tree ? LIBRARY_IMPORT_TREE : LIBRARY_IMPORT_ARCHIVE,
		.name = q->name,
	};
	images_far_work(r, &wish);
}

void images_import(struct http_request *r)
{
	static const struct import_ops import_ops = { inlet_drain, on_done, on_failed };
	static const struct http_ops http_ops = {
		.on_body = inlet_body,
		.on_body_end = inlet_end,
		.on_closed = on_closed,
	};
	struct import_wish wish = { 0 };
	void *query;
	if (rest_query(r, images_import_query, sizeof(struct import_query), &query) < 0)
		return;
	const struct import_query *q = query;
	if (images_are_far(r)) {
		import_far(r, q);
		return;
	}
	while (!str_is(q->kind, kind_words[wish.kind]))
		wish.kind++;
	wish.name = q->name;
	wish.max_bytes = q->max_bytes;
	struct inlet *t = arena_new(&r->arena, struct inlet);
	*t = (struct inlet){ r, &inlet_import, import_new(images_of(r), &wish, &import_ops, t) };
	http_listen(r, &http_ops, t);
}

/* ---- name, remove, collect ---- */

struct tag_body {
	struct str name;
};

const struct field images_tag_fields[] = {
	{ "name", FIELD_STRING, FIELD_AT(struct tag_body, name), FIELD_REQUIRED,
		.help = "one more name, NAME or NAME:TAG; it is taken from who had it" },
	{ 0 },
};

void images_name(struct http_request *r)
{
	auto_json struct json *body = NULL;
	struct error err;
	void *decoded;
	const struct image *image = images_are_far(r) ? NULL : image_of(r);
	if (!image && !images_are_far(r))
		return;
	if (rest_body(r, "image", images_tag_fields, sizeof(struct tag_body), &body, &decoded) < 0)
		return;
	struct str name = ((const struct tag_body *)decoded)->name;
	if (!image)
		images_far_ask(r,
			&(struct library_question){ .what = LIBRARY_TAG,
				.name = http_param(r, "image"),
				.more = name });
	else if (images_tag(images_of(r), image, &name, 1, &err) < 0)
		http_reply_error(r, &err);
	else
		reply_image(r, 200, image);
}

struct remove_query {
	bool force;
};

const struct field images_remove_query[] = {
	{ "force", FIELD_BOOL, FIELD_AT(struct remove_query, force), .standard = "false",
		.help = "by its id also where it has several names" },
	{ 0 },
};

void images_drop(struct http_request *r)
{
	struct error err;
	bool is_gone;
	void *query;
	if (rest_query(r, images_remove_query, sizeof(struct remove_query), &query) < 0)
		return;
	bool is_forced = ((const struct remove_query *)query)->force;
	if (images_are_far(r))
		images_far_ask(r,
			&(struct library_question){ .what = LIBRARY_REMOVE,
				.name = http_param(r, "image"),
				.is_forced = is_forced });
	else if (images_remove(images_of(r), http_param(r, "image"), is_forced, &is_gone, &err) < 0)
		http_reply_error(r, &err);
	else
		http_reply(r, 200, "application/json",
			is_gone ? STR("{\"removed\":true}") : STR("{\"removed\":false}"));
}

void images_gc(struct http_request *r)
{
	int64_t n, layers;
	if (is_asked_far(r, LIBRARY_COLLECT))
		return;
	auto_buf struct buf b = BUF_INIT(256);
	struct jsonw w = JSONW(&b);
	images_collect(images_of(r), &n, &layers);
	jsonw_open(&w);
	jsonw_key_int(&w, "images", n);
	jsonw_key_int(&w, "layers", layers);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

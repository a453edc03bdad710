/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A build where the images are the backend's own (runtime/library.h): the context goes to it as it
 * comes. What a Dockerfile says that is in no context becomes its first file, under a name that
 * nobody else gives one.
 */
#include "runtime/build_internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/id.h"
#include "wire/tarcut.h"

static void on_drain(void *arg)
{
	struct build *b = arg;
	if (b->ops->drain)
		b->ops->drain(b->arg);
}

static void on_said(void *arg, struct str text)
{
	struct build *b = arg;
	if (b->ops->said)
		b->ops->said(b->arg, text);
}

static void on_done(void *arg, struct str json)
{
	struct build *b = arg;
	auto_json struct json *told = NULL;
	struct image image = { 0 };
	b->far = NULL;
	json_parse(json, &told, NULL);
	struct str id = json_str(json_find(told, "id"));
	snprintf(image.id, sizeof(image.id), "%.*s", STR_ARG(id));
	image.size_bytes = json_int(json_find(told, "size_bytes"));
	b->ops->done(b->arg, &image);
	build_cancel(b); /* what is left of it */
}

static void on_failed(void *arg, const struct error *err)
{
	struct build *b = arg;
	b->far = NULL;
	build_fail(b, err);
}

void far_begin(struct build *b)
{
	static const struct library_ops ops = { on_drain, on_said, on_done, on_failed };
	auto_buf struct buf first = BUF_INIT(DOCKERFILE_MAX + 4096);
	struct build_wish wish = b->wish;
	char id[ID_SIZE], name[ID_SIZE + 16];
	id_make(id);
	snprintf(name, sizeof(name), ".dockerfile-%s", id);
	wish.text = STR_NONE;
	if (b->wish.text.ptr)
		wish.dockerfile = str_from(name);
	b->far = library_open(images_runtime(b->images),
		&(struct library_wish){ .what = LIBRARY_BUILD, .build = &wish }, &ops, b);
	if (b->wish.text.ptr) {
		tarcut_put_file(&first, name, b->wish.text);
		library_send(b->far, buf_str(&first));
	}
	if (!b->wish.has_context) {
		library_send(b->far, str_from_len(tarcut_zeros, sizeof(tarcut_zeros)));
		library_eof(b->far);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /build and GET /build_status, as OpenHands' RemoteRuntimeBuilder uses them: a form with the
 * context (the text of a tar.gz in base64), target_image and tags, in any order; the build goes on
 * when the request has its answer.
 *
 * What became of a build is kept for the last BUILDS_MAX of them, in memory: a server that is
 * started again knows none, and what it had begun is gone.
 */
#include "base/auto.h"
#include "base/bug.h"
#include "base/id.h"
#include "face/openhands/handlers.h"
#include "face/openhands/reply.h"
#include "face/openhands/state.h"
#include "runtime/library.h"
#include "wire/base64.h"
#include "wire/multipart.h"

enum { BUILDS_MAX = 64, NAME_MAX_BYTES = 512, PIECE_MAX = 256 * 1024, QUAD = 4 };

enum part { PART_OTHER, PART_CONTEXT, PART_TAG };

struct image_build {
	struct list link; /* openhands::builds, oldest first */
	struct openhands *oh;
	struct http_request *request; /* while it sends the form */
	char id[ID_SIZE];
	struct build *build;        /* NULL: it is over */
	const char *status;         /* of the API; NULL: under way */
	char *tags[BUILD_TAGS_MAX]; /* the first is target_image, where that was sent */
	size_t n_tags;
	char error[ERROR_TEXT_MAX];
	struct multipart multipart;
	bool has_multipart, has_context;
	enum part part;
	struct buf text; /* of a field, or what is no four digits yet */
};

static void end_form(struct image_build *b)
{
	if (b->has_multipart)
		multipart_fini(&b->multipart);
	b->has_multipart = false;
	b->request = NULL;
	buf_fini(&b->text);
}

static void image_build_free(struct image_build *b)
{
	build_cancel(b->build);
	end_form(b);
	for (size_t i = 0; i < b->n_tags; i++)
		free(b->tags[i]);
	list_remove(&b->link);
	free(b);
}

void builds_drop_all(struct openhands *oh)
{
	while (!list_is_empty(&oh->builds))
		image_build_free(list_get_first(&oh->builds, struct image_build, link));
}

/* ---- what becomes of it ---- */

static void fail(struct image_build *b, const char *status, const struct error *err)
{
	b->status = status;
	snprintf(b->error, sizeof(b->error), "%s", err->text);
}

/* Names of an image of the backend's, one after the other. */
struct naming {
	struct openhands *oh;
	char id[ID_SIZE]; /* of the build, which may be gone by then */
	char image[SHA256_HEX_SIZE + 8];
	size_t n;
};

static struct image_build *find_build(struct openhands *oh, struct str id)
{
	struct image_build *b;
	list_for_each(b, &oh->builds, link)
		if (str_is(id, b->id))
			return b;
	return NULL;
}

static void name_next(struct naming *n);

static void on_named(void *arg, struct str json, const struct error *err)
{
	struct naming *n = arg;
	struct image_build *b = find_build(n->oh, str_from(n->id));
	if (!b || err) {
		if (b)
			fail(b, "INTERNAL_ERROR", err);
		free(n);
	} else {
		name_next(n);
	}
}

static void name_next(struct naming *n)
{
	struct image_build *b = find_build(n->oh, str_from(n->id));
	if (n->n == b->n_tags) {
		b->status = "SUCCESS";
		free(n);
		return;
	}
	const struct library_question question = { .what = LIBRARY_TAG,
		.name = str_from(n->image),
		.more = str_from(b->tags[n->n++]) };
	library_ask(n->oh->rt, &question, on_named, n);
}

static void on_done(void *arg, const struct image *image)
{
	struct image_build *b = arg;
	struct error err;
	b->build = NULL;
	if (runtime_has_other_images(b->oh->rt)) {
		struct naming *n = mem_new(struct naming);
		n->oh = b->oh;
		snprintf(n->id, sizeof(n->id), "%s", b->id);
		snprintf(n->image, sizeof(n->image), "sha256:%s", image->id);
		name_next(n);
		return;
	}
	b->status = "SUCCESS";
	struct str tags[BUILD_TAGS_MAX];
	for (size_t i = 0; i < b->n_tags; i++)
		tags[i] = str_from(b->tags[i]);
	if (images_tag(runtime_images(b->oh->rt), image, tags, b->n_tags, &err) < 0)
		fail(b, "INTERNAL_ERROR", &err);
}

static void on_failed(void *arg, const struct error *err)
{
	struct image_build *b = arg;
	b->build = NULL;
	fail(b, err->code == ERROR_TIMEOUT ? "TIMEOUT" : "FAILURE", err);
}

static void on_build_drain(void *arg)
{
	struct image_build *b = arg;
	if (b->request)
		http_pause_body(b->request, false);
}

/* ---- the form ---- */

static int on_part(void *arg, const struct multipart_part *part, struct error *err)
{
	struct image_build *b = arg;
	buf_reset(&b->text);
	b->part = str_is(part->name, "context")                                    ? PART_CONTEXT
		: str_is(part->name, "tags") || str_is(part->name, "target_image") ? PART_TAG
										   : PART_OTHER;
	if (b->part == PART_CONTEXT && b->has_context)
		return error_set(err, ERROR_INVALID, "the form has two contexts");
	b->has_context |= b->part == PART_CONTEXT;
	return 0;
}

/* As many whole quads as there are; the rest waits. */
static int take_context(struct image_build *b, struct str piece, struct error *err)
{
	auto_buf struct buf bytes = BUF_INIT(PIECE_MAX);
	buf_put(&b->text, piece);
	size_t n = b->text.len - b->text.len % QUAD;
	if (b->text.is_full)
		return error_set(err, ERROR_TOO_LARGE, "too much of the context at once");
	if (base64_decode(str_first(buf_str(&b->text), n), &bytes, err) < 0)
		return error_wrap(err, "context");
	buf_drop_front(&b->text, n);
	if (b->build)
		build_send(b->build, buf_str(&bytes));
	return 0;
}

static int on_data(void *arg, struct str piece, struct error *err)
{
	struct image_build *b = arg;
	if (b->part == PART_CONTEXT)
		return take_context(b, piece, err);
	if (b->part == PART_TAG)
		buf_put(&b->text, piece);
	return b->text.len > NAME_MAX_BYTES
		? error_set(err, ERROR_TOO_LARGE, "a name of over %d bytes", NAME_MAX_BYTES)
		: 0;
}

static int add_tag(struct image_build *b, struct error *err)
{
	for (size_t i = 0; i < b->n_tags; i++)
		if (str_is(buf_str(&b->text), b->tags[i]))
			return 0;
	if (b->n_tags == BUILD_TAGS_MAX)
		return error_set(err, ERROR_LIMIT, "over %d names", BUILD_TAGS_MAX);
	if (images_check_name(buf_str(&b->text), err) < 0)
		return -1;
	b->tags[b->n_tags++] = str_dup(buf_str(&b->text));
	return 0;
}

static int on_part_end(void *arg, struct error *err)
{
	struct image_build *b = arg;
	if (b->part == PART_CONTEXT && b->text.len)
		return error_set(err, ERROR_INVALID, "context: base64 that is cut off");
	return b->part == PART_TAG ? add_tag(b, err) : 0;
}

static const struct multipart_ops multipart_ops = { on_part, on_data, on_part_end };

/* ---- the request ---- */

static void refuse(struct image_build *b, const struct error *err)
{
	struct http_request *r = b->request;
	struct error copy = *err;
	image_build_free(b);
	reply_detail(r, error_http(copy.code), "%s", copy.text);
}

static void on_body(void *arg, struct str piece)
{
	struct image_build *b = arg;
	struct error err;
	if (multipart_parse(&b->multipart, piece, &err) < 0) {
		refuse(b, &err);
		return;
	}
	if (b->build && build_is_full(b->build))
		http_pause_body(b->request, true);
}

static void on_body_end(void *arg)
{
	struct image_build *b = arg;
	struct http_request *r = b->request;
	auto_buf struct buf reply = BUF_INIT(256);
	struct jsonw w = JSONW(&reply);
	struct error err;
	int result = multipart_end(&b->multipart, &err);
	if (result == 0 && (!b->has_context || !b->n_tags))
		result = error_set(&err, ERROR_INVALID, "the form has no %s",
			b->has_context ? "target_image" : "context");
	if (result < 0) {
		refuse(b, &err);
		return;
	}
	if (b->build)
		build_eof(b->build);
	end_form(b);
	jsonw_open(&w);
	jsonw_key_str(&w, "build_id", str_from(b->id));
	jsonw_close(&w);
	http_reply_json(r, 200, &reply);
}

static void on_closed(void *arg)
{
	struct error err;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	refuse(arg, &err);
}

/* The oldest of those that are over. */
static bool make_room(struct openhands *oh)
{
	struct image_build *b;
	int n = 0;
	list_for_each(b, &oh->builds, link)
		n++;
	if (n < BUILDS_MAX)
		return true;
	list_for_each(b, &oh->builds, link)
		if (b->status && !b->request) {
			image_build_free(b);
			return true;
		}
	return false;
}

void build_post(struct http_request *r)
{
	static const struct build_ops build_ops = { on_build_drain, NULL, on_done, on_failed };
	static const struct http_ops http_ops = {
		.on_body = on_body,
		.on_body_end = on_body_end,
		.on_closed = on_closed,
	};
	struct openhands *oh = openhands_of(r);
	const struct build_wish wish = { .has_context = true, .network = NETWORK_NONE };
	struct error err;
	if (build_count() >= BUILD_AT_ONCE || !make_room(oh)) {
		reply_detail(r, 429, "%d images are being built: wait for one", build_count());
		return;
	}
	struct image_build *b = mem_new(struct image_build);
	b->oh = oh;
	id_make(b->id);
	b->request = r;
	buf_init(&b->text, PIECE_MAX);
	list_append(&oh->builds, &b->link);
	if (multipart_init(&b->multipart, http_header(r, "Content-Type"), &multipart_ops, b, &err) <
		0) {
		refuse(b, &err);
		return;
	}
	b->has_multipart = true;
	b->build = build_new(runtime_images(oh->rt), &wish, &build_ops, b);
	http_listen(r, &http_ops, b);
}

void build_status(struct http_request *r)
{
	struct str id = http_query(r, "build_id");
	auto_buf struct buf reply = BUF_INIT(4096);
	struct jsonw w = JSONW(&reply);
	const struct image_build *found = id.ptr ? find_build(openhands_of(r), id) : NULL;
	if (!found) {
		reply_detail(r, 404, "no build %.*s", STR_ARG(str_first(id, 100)));
		return;
	}
	jsonw_open(&w);
	jsonw_key_str(&w, "build_id", id);
	jsonw_key_str(&w, "status", str_from(found->status ? found->status : "WORKING"));
	if (found->n_tags)
		jsonw_key_str(&w, "image", str_from(found->tags[0]));
	if (found->error[0])
		jsonw_key_str(&w, "error", str_from(found->error));
	jsonw_close(&w);
	http_reply_json(r, 200, &reply);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots and forks of a sandbox. A client that goes away ends what it asked for. */
#include "face/rest/handlers.h"

#include "base/auto.h"
#include "runtime/fork.h"

struct snapshot_body {
	struct str name;
	bool live;
};

const struct field snapshot_fields[] = {
	{ "name", FIELD_STRING, FIELD_AT(struct snapshot_body, name),
		.help = "of the image, NAME or NAME:TAG; it is taken from who had it. Without one it has only its id" },
	{ "live", FIELD_BOOL, FIELD_AT(struct snapshot_body, live), .standard = "false",
		.help = "do not bring its processes to rest: where that cannot be had, and nobody writes" },
	{ 0 },
};

/* In the request's arena. */
struct taking {
	struct http_request *r;
	struct json *body;
	struct snapshot *snapshot;
	struct fork *fork;
};

static struct taking *taking_new(struct http_request *r)
{
	struct taking *t = arena_new(&r->arena, struct taking);
	t->r = r;
	return t;
}

static void on_closed(void *arg)
{
	struct taking *t = arg;
	struct error err;
	snapshot_cancel(t->snapshot);
	fork_cancel(t->fork);
	t->snapshot = NULL;
	t->fork = NULL;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(t->r, &err);
}

static const struct http_ops ops = { .on_closed = on_closed };

static void on_taken(void *arg, const struct image *image, const struct error *err)
{
	struct taking *t = arg;
	auto_buf struct buf b = BUF_INIT(REST_JSON_MAX);
	struct jsonw w = JSONW(&b);
	t->snapshot = NULL;
	if (err) {
		http_reply_error(t->r, err);
		return;
	}
	image_write(runtime_images(rest_of(t->r)->runtime), image, &w);
	http_reply_json(t->r, 201, &b);
}

void snapshots_post(struct http_request *r)
{
	auto_json struct json *json = NULL;
	void *decoded;
	struct sandbox *s = rest_sandbox(r);
	if (!s ||
		rest_body(r, "snapshot", snapshot_fields, sizeof(struct snapshot_body), &json,
			&decoded) < 0)
		return;
	const struct snapshot_body *body = decoded;
	const struct snapshot_wish wish = { .name = body->name, .is_live = body->live };
	struct taking *t = taking_new(r);
	t->snapshot = snapshot_new(s, &wish, on_taken, t);
	http_listen(r, &ops, t);
}

/* ---- fork ---- */

struct fork_body {
	int64_t count;
	bool live;
	const struct json *create;
};

const struct field fork_fields[] = {
	{ "count", FIELD_INT, FIELD_AT(struct fork_body, count), .min = 1, .max = FORK_MAX,
		.standard = "1", .help = "how many are made of it" },
	{ "live", FIELD_BOOL, FIELD_AT(struct fork_body, live), .standard = "false",
		.help = "as of a snapshot" },
	{ "create", FIELD_JSON, FIELD_AT(struct fork_body, create), FIELD_SECRET,
		.help = "what is to be otherwise than the sandbox was asked for: fields of a create, but for `image`; "
			"with `name` and a count above 1 they are called NAME-1, NAME-2, …" },
	{ 0 },
};

static void on_forked(void *arg, const char (*ids)[ID_SIZE], size_t n, const struct error *err)
{
	struct taking *t = arg;
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	t->fork = NULL;
	if (err) {
		http_reply_error(t->r, err);
		return;
	}
	jsonw_open(&w);
	jsonw_key(&w, "sandboxes");
	jsonw_open_array(&w);
	for (size_t i = 0; i < n; i++) {
		struct sandbox *s = runtime_find(rest_of(t->r)->runtime, str_from(ids[i]), NULL);
		if (s)
			sandbox_write(s, &w);
	}
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(t->r, 201, &b);
}

void forks_post(struct http_request *r)
{
	auto_json struct json *json = NULL;
	void *decoded;
	struct sandbox *s = rest_sandbox(r);
	if (!s || rest_body(r, "fork", fork_fields, sizeof(struct fork_body), &json, &decoded) < 0)
		return;
	const struct fork_body *body = decoded;
	const struct fork_wish wish = { .create = body->create,
		.count = body->count,
		.is_live = body->live };
	struct taking *t = taking_new(r);
	t->fork = fork_new(s, &wish, on_forked, t);
	http_listen(r, &ops, t);
}

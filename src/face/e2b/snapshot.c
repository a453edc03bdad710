/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots and forks: an image of a sandbox's files, by whose id or name others are made as by a
 * template, and sandboxes that begin with the files of another one. Processes are no part of
 * either, nor are variables, which are kept nowhere.
 */
#include "face/e2b/handlers.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
#include "runtime/fork.h"

enum { PAGE_MAX = 100 };

struct taking {
	struct http_request *r;
	struct e2b *e2b;
	struct snapshot *snapshot; /* NULL: not under way */
	struct fork *fork;
	char (*ids)[ID_SIZE]; /* of forks, in the request's arena */
	size_t n, at;
	struct buf body;
	struct jsonw w;
};

static void on_closed(void *arg)
{
	struct taking *t = arg;
	if (!t->snapshot && !t->fork)
		return; /* what was made is being prepared, and then told */
	snapshot_cancel(take_ptr(t->snapshot));
	fork_cancel(take_ptr(t->fork));
	e2b_fail(t->r, 499, "the client went away");
}

static const struct http_ops ops = { .on_closed = on_closed };

static struct taking *taking_new(struct http_request *r)
{
	struct taking *t = arena_new(&r->arena, struct taking);
	t->r = r;
	t->e2b = e2b_of(r);
	return t;
}

/* Of the path, and it may be taken now; NULL: answered. */
static struct e2b_box *box_to_take(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_request(r);
	if (b && (b->is_changing || e2b_box_is_paused(b))) {
		e2b_fail(r, 409, "sandbox %s is paused, or about to be", b->id);
		return NULL;
	}
	return b;
}

/* ---- snapshots ---- */

static void put_snapshot(struct jsonw *w, struct e2b *e, const struct image *image)
{
	struct images *images = runtime_images(e->rt);
	const char *name;
	size_t i = 0;
	jsonw_open(w);
	jsonw_key_str(w, "snapshotID", str_from(image->id));
	jsonw_key(w, "names");
	jsonw_open_array(w);
	while ((name = images_next_name(images, image, &i)))
		jsonw_str(w, str_from(name));
	jsonw_close_array(w);
	jsonw_close(w);
}

static void on_taken(void *arg, const struct image *image, const struct error *err)
{
	struct taking *t = arg;
	auto_buf struct buf body = BUF_INIT(64 * 1024);
	struct jsonw w = JSONW(&body);
	t->snapshot = NULL;
	if (err) {
		e2b_fail_error(t->r, err);
		return;
	}
	put_snapshot(&w, t->e2b, image);
	http_reply_json(t->r, 201, &body);
}

void e2b_snapshots_create(struct http_request *r)
{
	struct e2b_box *b = box_to_take(r);
	auto_json struct json *body = b ? e2b_body(r) : NULL;
	const struct snapshot_wish wish = { .name = json_str(json_find(body, "name")) };
	if (!body)
		return;
	struct taking *t = taking_new(r);
	t->snapshot = snapshot_new(e2b_box_sandbox(b), &wish, on_taken, t);
	http_listen(r, &ops, t);
}

/* By "name" or "name:tag". */
static bool has_name(struct images *images, const struct image *image, struct str wanted)
{
	const char *name;
	size_t i = 0;
	while ((name = images_next_name(images, image, &i))) {
		struct str found = str_from(name);
		ptrdiff_t colon = str_find_char(found, ':');
		if (str_eq(found, wanted) ||
			(colon >= 0 && str_eq(str_first(found, (size_t)colon), wanted)))
			return true;
	}
	return false;
}

void e2b_snapshots_list(struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&body);
	struct e2b *e = e2b_of(r);
	struct images *images = runtime_images(e->rt);
	struct str box = http_query(r, "sandboxID"), name = http_query(r, "name");
	struct str limit_text = http_query(r, "limit"), next = http_query(r, "nextToken");
	int64_t limit = PAGE_MAX, skip = 0, seen = 0, shown = 0;
	struct error err;
	if ((limit_text.len && num_parse_i64(limit_text, 1, PAGE_MAX, &limit, &err) < 0) ||
		(next.len && num_parse_i64(next, 0, INT64_MAX / 2, &skip, &err) < 0)) {
		e2b_fail_error(r, &err);
		return;
	}
	jsonw_open_array(&w);
	for (struct image *i = NULL; (i = images_next(images, i));) {
		if (!i->snapshot_of || i->is_fleeting ||
			(box.len && !str_is(box, i->snapshot_of)) ||
			(name.len && !has_name(images, i, name)) || seen++ < skip)
			continue;
		if (shown == limit) {
			char token[32];
			snprintf(token, sizeof(token), "%lld", (long long)(skip + shown));
			http_reply_header(r, "X-Next-Token", token);
			break;
		}
		shown++;
		put_snapshot(&w, e, i);
	}
	jsonw_close_array(&w);
	http_reply_json(r, 200, &body);
}

/* Snapshots alone: what the operator imported is not a client's to remove. */
void e2b_snapshots_delete(struct http_request *r)
{
	struct images *images = runtime_images(e2b_of(r)->rt);
	struct str id = http_param(r, "name");
	struct error err;
	bool is_gone;
	const struct image *image = images_find(images, id, &err);
	if (!image || !image->snapshot_of) {
		e2b_fail(r, 404, "there is no snapshot %.*s", STR_ARG(str_first(id, 100)));
		return;
	}
	if (images_remove(images, str_from(image->id), false, &is_gone, &err) < 0)
		e2b_fail_error(r, &err);
	else
		e2b_empty(r, 204);
}

/* ---- forks ---- */

static void prepare_next(struct taking *t);

static void on_prepared(void *arg, struct sandbox *s, const struct error *err)
{
	struct taking *t = arg;
	const struct e2b_box *b = s ? e2b_box_new(t->e2b, s) : NULL;
	jsonw_open(&t->w);
	if (b) {
		jsonw_key(&t->w, "sandbox");
		e2b_box_put(b, t->r, &t->w);
	} else {
		jsonw_key(&t->w, "error");
		jsonw_open(&t->w);
		jsonw_key_int(&t->w, "code", err ? e2b_status(err->code) : 500);
		jsonw_key_str(&t->w, "message", str_from(err ? err->text : "the fork is gone"));
		jsonw_close(&t->w);
	}
	jsonw_close(&t->w);
	t->at++;
	prepare_next(t);
}

static void prepare_next(struct taking *t)
{
	struct error err;
	while (t->at < t->n) {
		struct sandbox *s = runtime_find(t->e2b->rt, str_from(t->ids[t->at]), &err);
		if (s) {
			e2b_prepare(t->e2b, s, on_prepared, t);
			return;
		}
		t->at++;
	}
	jsonw_close_array(&t->w);
	auto_buf struct buf body = t->body;
	http_reply_json(t->r, 201, &body);
}

static void on_forked(void *arg, const char (*ids)[ID_SIZE], size_t n, const struct error *err)
{
	struct taking *t = arg;
	t->fork = NULL;
	if (err) {
		e2b_fail_error(t->r, err);
		return;
	}
	t->ids = arena_alloc(&t->r->arena, n * sizeof(*ids));
	memcpy(t->ids, ids, n * sizeof(*ids));
	t->n = n;
	buf_init(&t->body, 1024 * 1024);
	t->w = JSONW(&t->body);
	jsonw_open_array(&t->w);
	prepare_next(t);
}

/* Its labels are the other one's metadata; its time is its own. */
static void put_plan(const struct e2b_box *b, int64_t timeout_s, struct buf *create,
	struct buf *note)
{
	auto_buf struct buf metadata = BUF_INIT(CREATE_NOTE_BYTES);
	struct e2b_box plan = *b;
	plan.started_ms = clock_wall_ms();
	e2b_box_set_end(&plan, timeout_s);
	e2b_box_put_note(&plan, note);
	if (b->metadata && json_write(b->metadata, &metadata) == 0)
		buf_printf(create, "{\"labels\":%s}", metadata.ptr);
	else
		buf_puts(create, "{}");
}

void e2b_boxes_fork(struct http_request *r)
{
	struct e2b_box *b = box_to_take(r);
	auto_json struct json *body = b ? e2b_body(r) : NULL, *create = NULL;
	auto_buf struct buf text = BUF_INIT(CREATE_NOTE_BYTES), note = BUF_INIT(CREATE_NOTE_BYTES);
	const struct json *count = json_find(body, "count"), *timeout = json_find(body, "timeout");
	if (!body)
		return;
	int64_t n = json_kind(count) == JSON_KIND_INT ? json_int(count) : 1;
	int64_t timeout_s = json_kind(timeout) == JSON_KIND_INT ? json_int(timeout) : E2B_TIMEOUT_S;
	if (n < 1 || n > FORK_MAX || timeout_s < 0 || timeout_s > E2B_TIMEOUT_MAX_S) {
		e2b_fail(r, 400, "count is 1 to %d, timeout 0 to %d seconds", FORK_MAX,
			E2B_TIMEOUT_MAX_S);
		return;
	}
	put_plan(b, timeout_s, &text, &note);
	json_parse(buf_str(&text), &create, NULL);
	const struct fork_wish wish = { .create = create, .note = buf_str(&note), .count = n };
	struct taking *t = taking_new(r);
	t->fork = fork_new(e2b_box_sandbox(b), &wish, on_forked, t);
	http_listen(r, &ops, t);
}

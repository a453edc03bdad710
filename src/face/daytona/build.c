/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A work is one build (runtime/build.h) with the text of its Dockerfile and
 * the archives that its client has sent before (storage.h), put together to one context. Its
 * request has an answer once it is over, or a command of it runs, or ANSWER_MS have passed; from
 * then on the work goes on for itself.
 *
 * A sandbox is made of the image under the id that was told; the wish is read again from its body
 * then, so that nothing of it is kept in two forms. A snapshot is the image under the name that was
 * asked for. Steps have the network that the sandbox will have.
 *
 * Logs are kept to the end of the work, their middle left out if they are long; who follows them
 * gets what comes.
 */
#include "face/daytona/build.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/id.h"
#include "face/daytona/handlers.h"
#include "face/daytona/outlog.h"
#include "face/daytona/storage.h"
#include "runtime/build.h"
#include "wire/tarcut.h"

enum { WORKS_MAX = 64, FOLLOWERS_MAX = 16, ANSWER_MS = 5000, PIECE = 64 * 1024 };

enum work_state { WORK_BUILDING, WORK_MAKING, WORK_DONE, WORK_FAILED };

struct follower {
	struct list link; /* work::followers */
	struct http_request *r;
};

struct work {
	struct list link; /* daytona::works */
	struct daytona *daytona;
	char id[ID_SIZE]; /* of the sandbox or snapshot that it becomes */
	enum work_state state;
	bool is_snapshot, is_deleted;
	char *body, *name;            /* as it was sent; what a snapshot is to be called, or NULL */
	struct build *build;          /* NULL: it is over */
	struct http_request *request; /* without an answer; NULL: it has one */
	struct timer *timer;          /* … for it */
	struct stored *contexts[BUILD_CONTEXTS_MAX];
	size_t n_contexts, at_context;
	int64_t position; /* within that */
	struct tarcut cut;
	bool is_sent; /* all of them */
	struct outlog log;
	struct list followers;
	size_t n_followers;
	char image_id[SHA256_HEX_SIZE]; /* "" */
	char error[ERROR_TEXT_MAX];
	int64_t created_ms;
};

/* ---- works ---- */

static void end_followers(struct work *w)
{
	while (!list_is_empty(&w->followers)) {
		struct follower *f = list_get_first(&w->followers, struct follower, link);
		list_remove(&f->link);
		w->n_followers--;
		http_stream_end(f->r, true);
		free(f);
	}
}

static void drop_contexts(struct work *w)
{
	for (size_t i = 0; i < w->n_contexts; i++)
		storage_release(w->contexts[i]);
	w->n_contexts = 0;
}

static void work_free(struct work *w)
{
	build_cancel(take_ptr(w->build));
	end_followers(w);
	drop_contexts(w);
	timer_free(w->timer);
	outlog_fini(&w->log);
	list_remove(&w->link);
	free(w->body);
	free(w->name);
	free(w);
}

void works_free_all(struct daytona *d)
{
	while (!list_is_empty(&d->works))
		work_free(list_get_first(&d->works, struct work, link));
}

static bool is_over(const struct work *w)
{
	return (w->state == WORK_DONE || w->state == WORK_FAILED) && !w->request;
}

static bool make_room(struct daytona *d)
{
	struct work *w, *oldest = NULL;
	int n = 0;
	list_for_each(w, &d->works, link) {
		n++;
		if (!oldest && is_over(w))
			oldest = w;
	}
	if (n >= WORKS_MAX && oldest)
		work_free(oldest);
	return n < WORKS_MAX || oldest;
}

static struct work *find_work(const struct http_request *r, bool is_snapshot)
{
	struct str key = http_param(r, is_snapshot ? "name" : "id");
	struct work *w, *found = NULL;
	list_for_each(w, &daytona_of(r)->works, link)
		if (w->is_snapshot == is_snapshot && key.ptr &&
			(str_is(key, w->id) || (w->name && str_is(key, w->name))))
			found = w;
	return found;
}

/* ---- what is told of one ---- */

static const char *state_name(const struct work *w)
{
	static const char *const names[] = {
		[WORK_BUILDING] = "building_snapshot",
		[WORK_MAKING] = "creating",
		[WORK_DONE] = "started",
		[WORK_FAILED] = "build_failed",
	};
	if (w->is_deleted)
		return "destroyed";
	if (!w->is_snapshot && w->state == WORK_FAILED && w->image_id[0])
		return "error";
	return names[w->state];
}

struct wish {
	struct json *body;
	struct box plan;
	struct making making;
};

/* Reads the body once more. built: the image that came of it, or STR_NONE. */
static int read_wish(struct work *w, struct arena *arena, struct str built, struct wish *wish,
	struct error *err)
{
	*wish = (struct wish){ .making = { .arena = arena, .box = &wish->plan, .built = built } };
	if (json_parse(str_from(w->body), &wish->body, err) < 0)
		return -1;
	wish->making.body = wish->body;
	wish->making.create = arena_new(arena, struct create);
	return make_from_body(w->daytona, &wish->making, err);
}

static void wish_fini(struct wish *wish)
{
	making_fini(&wish->making);
	json_free(wish->body);
}

static void tell_box(struct work *w, struct http_request *r, const char *state)
{
	const struct pending pending = { .id = w->id,
		.state = state,
		.reason = w->error[0] ? w->error : NULL,
		.created_ms = w->created_ms };
	struct wish wish;
	struct error err;
	if (read_wish(w, &r->arena, STR_NONE, &wish, &err) < 0)
		daytona_fail_error(r, &err);
	else
		box_reply_wish(&wish.making, &pending, r);
	wish_fini(&wish);
}

static void tell_snapshot(struct work *w, struct http_request *r)
{
	static const char *const names[] = { "building", "building", "active", "build_failed" };
	const struct offered snapshot = { .id = w->id,
		.name = w->name,
		.state = names[w->state],
		.reason = w->error[0] ? w->error : NULL,
		.created_ms = w->created_ms };
	if (w->state == WORK_DONE && !runtime_has_other_images(w->daytona->rt))
		snapshot_reply_image(r, str_from(w->image_id), w->name);
	else
		snapshot_reply(&snapshot, r);
}

/* What the request that began it gets, if it still waits. */
static void answer(struct work *w)
{
	struct http_request *r = take_ptr(w->request);
	struct box *b = w->is_snapshot ? NULL : box_find(w->daytona, str_from(w->id));
	if (!r)
		return;
	timer_clear(w->timer);
	http_listen(r, NULL, NULL);
	if (w->is_snapshot)
		tell_snapshot(w, r);
	else if (b && w->state == WORK_DONE)
		box_reply(b, r);
	else
		tell_box(w, r, "pending_build");
}

static void on_answer_time(void *arg)
{
	answer(arg);
}

/* ---- its end ---- */

static void work_end(struct work *w, enum work_state state)
{
	w->state = state;
	w->build = NULL;
	drop_contexts(w);
	end_followers(w);
}

/* Who still waits gets the error itself, and nothing is left of the work. */
static void work_fail(struct work *w, const struct error *err)
{
	struct http_request *r = take_ptr(w->request);
	snprintf(w->error, sizeof(w->error), "%s", err->text);
	outlog_add(&w->log, 1, str_from(w->error));
	outlog_add(&w->log, 1, STR("\n"));
	struct follower *f;
	list_for_each(f, &w->followers, link)
		http_stream_write(f->r, str_from(w->error));
	work_end(w, WORK_FAILED);
	if (!r)
		return;
	http_listen(r, NULL, NULL);
	daytona_fail(r, err->code == ERROR_BUILD ? 400 : daytona_status(err->code), NULL, "%s",
		err->text);
	work_free(w);
}

static void on_destroyed(void *arg, const struct error *err)
{
}

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct work *w = arg;
	if (err) {
		work_fail(w, err);
		return;
	}
	work_end(w, WORK_DONE);
	answer(w);
	if (w->is_deleted) {
		runtime_destroy(s, on_destroyed, NULL);
		work_free(w);
	}
}

static void make_box(struct work *w, const struct image *image)
{
	struct arena arena = ARENA_INIT(2 * DAYTONA_BODY_MAX);
	auto_free char *ref = mem_printf("sha256:%s", image->id);
	struct wish wish;
	struct error err;
	w->state = WORK_MAKING;
	int result = read_wish(w, &arena, str_from(ref), &wish, &err);
	if (result == 0) {
		wish.making.create->id = str_from(w->id);
		result = box_begin(w->daytona, &wish.making, on_made, w, &err);
	}
	wish_fini(&wish);
	arena_fini(&arena);
	if (result < 0)
		work_fail(w, &err);
}

static void on_done(void *arg, const struct image *image)
{
	struct work *w = arg;
	w->build = NULL;
	snprintf(w->image_id, sizeof(w->image_id), "%s", image->id);
	if (w->is_snapshot) {
		work_end(w, WORK_DONE);
		answer(w);
	} else {
		make_box(w, image);
	}
}

static void on_failed(void *arg, const struct error *err)
{
	struct work *w = arg;
	w->build = NULL;
	work_fail(w, err);
}

/* ---- while it is built ---- */

static void on_said(void *arg, struct str text)
{
	struct work *w = arg;
	struct follower *f;
	outlog_add(&w->log, 1, text);
	list_for_each(f, &w->followers, link)
		http_stream_write(f->r, text);
	if (str_starts(text, STR(" ---> Running in")))
		answer(w); /* it takes a while */
}

/* 1: there was something to be sent; 0: that was all. */
static int send_piece(struct work *w, struct error *err)
{
	auto_buf struct buf out = BUF_INIT(PIECE + TARCUT_BLOCK);
	auto_free char *bytes = mem_alloc(PIECE);
	struct stored *o = w->at_context < w->n_contexts ? w->contexts[w->at_context] : NULL;
	if (!o) {
		build_send(w->build, str_from_len(tarcut_zeros, sizeof(tarcut_zeros)));
		return 0;
	}
	int n = w->cut.has_ended ? 0 : storage_read(o, &w->position, bytes, PIECE, err);
	if (n < 0)
		return -1;
	if (n == 0) {
		if (tarcut_end(&w->cut, err) < 0)
			return -1;
		w->cut = (struct tarcut){ 0 };
		w->position = 0;
		w->at_context++;
		return 1;
	}
	if (tarcut_feed(&w->cut, str_from_len(bytes, (size_t)n), &out, err) < 0)
		return -1;
	build_send(w->build, buf_str(&out));
	return 1;
}

static void on_drain(void *arg)
{
	struct work *w = arg;
	struct error err;
	int r = 1;
	while (w->build && !w->is_sent && r > 0 && !build_is_full(w->build))
		r = send_piece(w, &err);
	if (r == 0) {
		w->is_sent = true;
		build_eof(w->build);
	} else if (r < 0) {
		build_cancel(take_ptr(w->build));
		work_fail(w, &err);
	}
}

/* ---- the beginning ---- */

static int take_contexts(struct work *w, const struct json *hashes, struct error *err)
{
	BUG_IF(json_len(hashes) > BUILD_CONTEXTS_MAX,
		"more contexts than make_from_build_info lets in");
	for (size_t i = 0; i < json_len(hashes); i++) {
		struct str hash = json_str(json_at(hashes, i));
		struct stored *o = storage_hold(w->daytona, hash);
		if (!o)
			return error_set(err, ERROR_NOT_FOUND,
				"the files of context %.*s are not here: send them again",
				STR_ARG(str_first(hash, 100)));
		w->contexts[w->n_contexts++] = o;
	}
	return 0;
}

/* Nobody knows of it but who has left. */
static void on_gone(void *arg)
{
	struct work *w = arg;
	struct error err;
	if (w->build) {
		build_cancel(take_ptr(w->build));
		error_set(&err, ERROR_CANCELLED, "the client went away");
		work_fail(w, &err);
	} else {
		w->is_deleted = w->state == WORK_MAKING;
	}
}

static int check(struct daytona *d, struct error *err)
{
	if (build_count() >= BUILD_AT_ONCE || !make_room(d))
		return error_set(err, ERROR_LIMIT, "%d images are being built: wait for one",
			build_count());
	return 0;
}

static void work_begin(struct http_request *r, struct work *w, const struct making *m)
{
	static const struct build_ops build_ops = { on_drain, on_said, on_done, on_failed };
	static const struct http_ops http_ops = { .on_closed = on_gone };
	struct daytona *d = daytona_of(r);
	struct create *create = arena_new(&r->arena, struct create);
	struct error err;
	if (m->create)
		*create = *m->create;
	create_fill(create, &r->arena);
	w->daytona = d;
	w->created_ms = clock_wall_ms();
	w->body = str_dup(r->body);
	id_make(w->id);
	list_init(&w->followers);
	outlog_init(&w->log);
	w->timer = timer_new(d->loop, on_answer_time, w);
	list_append(&d->works, &w->link);
	if (take_contexts(w, m->contexts, &err) < 0) {
		work_free(w);
		daytona_fail_error(r, &err);
		return;
	}
	struct str name = str_from(w->name ?: "");
	const struct build_wish wish = { .text = m->dockerfile,
		.has_context = w->n_contexts > 0,
		.tags = { &name, w->is_snapshot },
		.network = create->spec.network,
		.allow = create->allow };
	w->request = r;
	timer_set(w->timer, ANSWER_MS);
	http_listen(r, &http_ops, w);
	w->build = build_new(runtime_images(d->rt), &wish, &build_ops, w);
	if (w->n_contexts)
		on_drain(w);
}

void works_begin_box(struct http_request *r, const struct making *m)
{
	struct error err;
	if (check(daytona_of(r), &err) < 0)
		daytona_fail_error(r, &err);
	else
		work_begin(r, mem_new(struct work), m);
}

void works_begin_snapshot(struct http_request *r, struct str name, const struct making *m)
{
	struct error err;
	if (check(daytona_of(r), &err) < 0 || images_check_name(name, &err) < 0) {
		daytona_fail_error(r, &err);
		return;
	}
	works_forget_snapshot(daytona_of(r), name);
	struct work *w = mem_new(struct work);
	w->is_snapshot = true;
	w->name = str_dup(name);
	work_begin(r, w, m);
}

/* ---- asked for ---- */

bool works_tell_box(struct http_request *r)
{
	struct work *w = find_work(r, false);
	if (!w || w->state == WORK_DONE)
		return false;
	tell_box(w, r, state_name(w));
	return true;
}

bool works_end_box(struct http_request *r)
{
	struct work *w = find_work(r, false);
	if (!w || w->state == WORK_DONE)
		return false;
	w->is_deleted = true;
	answer(w); /* who began it, if that is not known to be over */
	tell_box(w, r, state_name(w));
	if (w->state != WORK_MAKING)
		work_free(w);
	return true;
}

bool works_tell_snapshot(struct http_request *r)
{
	struct work *w = find_work(r, true);
	bool is_image = w && w->state == WORK_DONE && !str_is(http_param(r, "name"), w->id) &&
		!runtime_has_other_images(w->daytona->rt);
	if (w && !is_image)
		tell_snapshot(w, r);
	return w && !is_image;
}

bool works_forget_snapshot(struct daytona *d, struct str name)
{
	struct work *w, *next;
	bool was_any = false;
	list_for_each_safe(w, next, &d->works, link) {
		if (!w->is_snapshot || !is_over(w) ||
			(!str_is(name, w->name) && !str_is(name, w->id)))
			continue;
		work_free(w);
		was_any = true;
	}
	return was_any;
}

/* ---- logs ---- */

static struct work *work_of_logs(struct http_request *r)
{
	bool is_snapshot = http_param(r, "name").ptr;
	struct work *w = find_work(r, is_snapshot);
	if (!w)
		daytona_fail(r, 404, NULL, "there are no logs of a build of %.*s",
			STR_ARG(str_first(http_param(r, is_snapshot ? "name" : "id"), 100)));
	return w;
}

void build_logs_url(struct http_request *r)
{
	auto_buf struct buf body = BUF_INIT(8192), url = BUF_INIT(4096);
	struct jsonw w = JSONW(&body);
	const struct work *work = work_of_logs(r);
	if (!work)
		return;
	http_put_origin(r, &url);
	buf_printf(&url, "/daytona/api/%s/%s/build-logs",
		work->is_snapshot ? "snapshots" : "sandbox", work->id);
	jsonw_open(&w);
	jsonw_key_str(&w, "url", buf_str(&url));
	jsonw_close(&w);
	http_reply_json(r, 200, &body);
}

static void on_follower_gone(void *arg)
{
	struct http_request *r = arg;
	struct work *w;
	struct follower *f;
	list_for_each(w, &daytona_of(r)->works, link)
		list_for_each(f, &w->followers, link)
			if (f->r == r) {
				list_remove(&f->link);
				w->n_followers--;
				free(f);
				http_stream_end(r, false);
				return;
			}
}

void build_logs(struct http_request *r)
{
	static const struct http_ops ops = { .on_closed = on_follower_gone };
	auto_buf struct buf text = BUF_INIT(4 * OUTLOG_HALF);
	struct work *w = work_of_logs(r);
	if (!w)
		return;
	bool follows = str_is(http_query(r, "follow"), "true") && w->state == WORK_BUILDING;
	outlog_put(&w->log, 0, &text);
	if (!follows) {
		http_reply(r, 200, "text/plain; charset=utf-8", buf_str(&text));
	} else if (w->n_followers == FOLLOWERS_MAX) {
		daytona_fail(r, 429, NULL, "%d others follow these logs", FOLLOWERS_MAX);
	} else {
		struct follower *f = mem_new(struct follower);
		f->r = r;
		list_append(&w->followers, &f->link);
		w->n_followers++;
		http_listen(r, &ops, r);
		http_stream_begin(r, 200, "text/plain; charset=utf-8", -1);
		http_stream_write(r, buf_str(&text));
	}
}

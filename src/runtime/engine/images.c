/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A shelf is one question or one work about images. A question is one request,
 * and, where the answer shall be the image as it is now, a second one that inspects it. A work's
 * body is pulled from what was sent to us and not yet taken; what the engine says meanwhile is read
 * as it comes, and names what was made.
 */
#include "runtime/engine/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "runtime/engine/said.h"
#include "wire/url.h"

enum { INPUT_HIGH = 1024 * 1024, INPUT_MAX = 32 * 1024 * 1024, PATH_MAX_BYTES = 64 * 1024 };

struct shelf {
	struct library_work work; /* first */
	struct list link;         /* engine::shelves */
	struct engine *engine;
	enum library_verb verb;
	char *name, *more;
	bool was_fetched;
	library_fn *answered;
	/* Of a work: */
	const struct library_ops *ops;
	bool is_import, is_tree;
	struct ask *ask;
	struct buf input; /* not taken yet */
	bool has_eof, was_full;
	struct said said;
	size_t n_shown; /* of what was made, the images that are in `list` */
	struct buf list;
	void *arg;
};

static struct shelf *shelf_of(struct library_work *w)
{
	BUG_IF(w->library != &engine_library, "a work of another backend");
	return (struct shelf *)(void *)w;
}

static struct shelf *shelf_new(struct engine *e, void *arg)
{
	struct shelf *s = mem_new(struct shelf);
	s->work.library = &engine_library;
	s->engine = e;
	s->arg = arg;
	buf_init(&s->input, INPUT_MAX);
	buf_init(&s->list, ASK_REPLY_MAX);
	list_append(&e->shelves, &s->link);
	return s;
}

static void shelf_free(struct shelf *s)
{
	list_remove(&s->link);
	loop_undefer(s->engine->loop, s);
	questions_forget(&s->engine->questions, s);
	ask_drop(s->ask);
	buf_fini(&s->input);
	buf_fini(&s->list);
	said_fini(&s->said);
	free(s->name);
	free(s->more);
	free(s);
}

void shelves_free(struct engine *e)
{
	while (!list_is_empty(&e->shelves))
		shelf_free(list_get_first(&e->shelves, struct shelf, link));
}

/* ---- answering ---- */

static void fail(struct shelf *s, const struct error *err)
{
	struct error kept = *err;
	struct shelf copy = *s;
	shelf_free(s);
	if (copy.ops)
		copy.ops->failed(copy.arg, &kept);
	else
		copy.answered(copy.arg, STR_NONE, &kept);
}

static void answer(struct shelf *s, struct buf *b)
{
	auto_buf struct buf text = *b;
	struct shelf copy = *s;
	buf_init(b, ASK_REPLY_MAX);
	shelf_free(s);
	if (copy.ops)
		copy.ops->done(copy.arg, buf_str(&text));
	else
		copy.answered(copy.arg, buf_str(&text), NULL);
}

static void request(struct shelf *s, const char *method, const char *path, answer_fn *done)
{
	const struct engine_request r = { .method = method, .path = path };
	engine_ask(s->engine, &r, done, s);
}

static void put_reference(struct buf *path, const char *before, const char *name, const char *after)
{
	buf_puts(path, before);
	url_encode(str_from(name), path);
	buf_puts(path, after);
}

/* 409 is the caller's: it is in use. True: that was it. */
static bool has_failed(struct shelf *s, int status, const struct error *err)
{
	struct error own;
	if (!err)
		return false;
	own = *err;
	if (status == 409)
		own.code = ERROR_CONFLICT;
	fail(s, &own);
	return true;
}

/* ---- one image as it is now ---- */

static void fetch(struct shelf *s);

static void on_inspected(void *arg, int status, const struct json *json, const struct error *err)
{
	struct shelf *s = arg;
	if (err && status == 404 && s->verb == LIBRARY_FETCH && !s->was_fetched) {
		fetch(s);
		return;
	}
	if (has_failed(s, status, err))
		return;
	auto_buf struct buf b = BUF_INIT(ASK_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	said_put_image(json, &w);
	answer(s, &b);
}

static void inspect(struct shelf *s, const char *name, answer_fn *done)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	put_reference(&path, "/images/", name, "/json");
	request(s, "GET", path.ptr, done);
}

static void on_fetched(void *arg, int status, const struct json *json, const struct error *err)
{
	struct shelf *s = arg;
	s->was_fetched = true;
	if (!has_failed(s, status, err))
		inspect(s, s->name, on_inspected);
}

static void fetch(struct shelf *s)
{
	auto_buf struct buf reference = BUF_INIT(4096), path = BUF_INIT(PATH_MAX_BYTES);
	engine_put_reference(str_from(s->name), &reference);
	put_reference(&path, "/images/create?fromImage=", reference.ptr, "");
	const struct engine_request r = { .method = "POST",
		.path = path.ptr,
		.timeout_ms = -1,
		.is_progress = true };
	engine_ask(s->engine, &r, on_fetched, s);
}

static void on_tagged(void *arg, int status, const struct json *json, const struct error *err)
{
	struct shelf *s = arg;
	if (!has_failed(s, status, err))
		inspect(s, s->more, on_inspected);
}

static void tag(struct shelf *s, const char *image, const char *name, answer_fn *done)
{
	auto_buf struct buf reference = BUF_INIT(4096), path = BUF_INIT(PATH_MAX_BYTES);
	engine_put_reference(str_from(name), &reference);
	struct str whole = buf_str(&reference);
	size_t colon = whole.len;
	while (colon > 0 && whole.ptr[colon - 1] != ':')
		colon--;
	auto_free char *repository = str_dup(str_first(whole, colon - 1));
	auto_free char *last = str_dup(str_skip(whole, colon));
	put_reference(&path, "/images/", image, "/tag?repo=");
	put_reference(&path, "", repository, "&tag=");
	put_reference(&path, "", last, "");
	request(s, "POST", path.ptr, done);
}

/* ---- the other questions ---- */

static void on_list(void *arg, int status, const struct json *json, const struct error *err)
{
	struct shelf *s = arg;
	if (has_failed(s, status, err))
		return;
	auto_buf struct buf b = BUF_INIT(ASK_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "images");
	jsonw_open_array(&w);
	for (size_t i = 0; i < json_len(json); i++)
		said_put_image(json_at(json, i), &w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	answer(s, &b);
}

static void on_removed(void *arg, int status, const struct json *json, const struct error *err)
{
	struct shelf *s = arg;
	bool is_gone = false;
	if (has_failed(s, status, err))
		return;
	for (size_t i = 0; i < json_len(json); i++)
		is_gone |= json_str(json_find(json_at(json, i), "Deleted")).len > 0;
	auto_buf struct buf b = BUF_INIT(256);
	buf_printf(&b, "{\"removed\":%s}", is_gone ? "true" : "false");
	answer(s, &b);
}

static void on_collected(void *arg, int status, const struct json *json, const struct error *err)
{
	struct shelf *s = arg;
	if (has_failed(s, status, err))
		return;
	auto_buf struct buf b = BUF_INIT(256);
	buf_printf(&b, "{\"images\":%zu,\"layers\":0}", json_len(json_find(json, "ImagesDeleted")));
	answer(s, &b);
}

static void begin(struct shelf *s, bool is_forced)
{
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	switch (s->verb) {
	case LIBRARY_LIST:
		request(s, "GET", "/images/json", on_list);
		break;
	case LIBRARY_INSPECT:
	case LIBRARY_FETCH:
		inspect(s, s->name, on_inspected);
		break;
	case LIBRARY_TAG:
		tag(s, s->name, s->more, on_tagged);
		break;
	case LIBRARY_REMOVE:
		put_reference(&path, "/images/", s->name, is_forced ? "?force=1" : "");
		request(s, "DELETE", path.ptr, on_removed);
		break;
	case LIBRARY_COLLECT:
		request(s, "POST", "/images/prune", on_collected);
		break;
	}
}

/* What has no form of a name is not put into a path. */
static int check_names(const struct shelf *s, struct error *err)
{
	if (s->name[0] && engine_check_name(str_from(s->name), err) < 0)
		return -1;
	return s->more[0] ? engine_check_name(str_from(s->more), err) : 0;
}

static void on_refused(void *arg)
{
	struct shelf *s = arg;
	struct error err = { 0 };
	check_names(s, &err);
	fail(s, &err);
}

static void library_ask_engine(struct backend *b, const struct library_question *q,
	library_fn *done, void *arg)
{
	struct engine *e = engine_from(b);
	struct shelf *s = shelf_new(e, arg);
	s->verb = q->what;
	s->answered = done;
	s->name = str_dup(q->name.ptr ? q->name : STR(""));
	s->more = str_dup(q->more.ptr ? q->more : STR(""));
	if (check_names(s, NULL) < 0)
		loop_defer(e->loop, on_refused, s);
	else
		begin(s, q->is_forced);
}

/* ---- a work: what comes after the body ---- */

static void show_next(struct shelf *s);

static void end_import(struct shelf *s)
{
	auto_buf struct buf b = BUF_INIT(ASK_REPLY_MAX);
	buf_printf(&b, "{\"images\":[%s]}", s->list.ptr);
	answer(s, &b);
}

static void on_shown(void *arg, int status, const struct json *json, const struct error *err)
{
	struct shelf *s = arg;
	if (has_failed(s, status, err))
		return;
	if (s->list.len)
		buf_putc(&s->list, ',');
	struct jsonw w = JSONW(&s->list);
	said_put_image(json, &w);
	s->n_shown++;
	show_next(s);
}

static void show_next(struct shelf *s)
{
	if (s->n_shown == s->said.n_made)
		end_import(s);
	else
		inspect(s, s->said.made[s->n_shown], on_shown);
}

static void on_named(void *arg, int status, const struct json *json, const struct error *err)
{
	struct shelf *s = arg;
	if (!has_failed(s, status, err))
		show_next(s);
}

static int judge_work(struct shelf *s, const struct error *failure, struct error *err)
{
	said_end(&s->said);
	if (failure)
		*err = *failure;
	else if (s->said.error.code != ERROR_OK)
		*err = s->said.error;
	else if (!s->said.n_made)
		error_set(err, ERROR_PROTOCOL, "it does not say what it made");
	else
		return 0;
	questions_name(&s->engine->questions, err);
	return -1;
}

static void on_work_done(void *arg, int status, struct str body, const struct error *failure)
{
	struct shelf *s = arg;
	struct error err;
	s->ask = NULL;
	if (judge_work(s, failure, &err) < 0) {
		fail(s, &err);
	} else if (!s->is_import) {
		inspect(s, s->said.made[s->said.n_made - 1], on_inspected);
	} else if (s->is_tree) {
		/* It is told as the status and as the id. */
		s->said.n_made = 1;
		tag(s, s->said.made[0], s->name, on_named);
	} else {
		show_next(s);
	}
}

/* ---- a work: its body ---- */

static ssize_t on_pull(void *arg, char *to, size_t size, struct error *err)
{
	struct shelf *s = arg;
	size_t n = MIN(size, s->input.len);
	if (!n)
		return s->has_eof ? 0 : FETCH_WAIT;
	memcpy(to, s->input.ptr, n);
	buf_drop_front(&s->input, n);
	if (s->was_full && s->input.len < INPUT_HIGH / 2) {
		s->was_full = false;
		s->ops->drain(s->arg);
	}
	return (ssize_t)n;
}

static int on_said(void *arg, struct str piece, struct error *err)
{
	struct shelf *s = arg;
	said_take(&s->said, piece);
	return 0;
}

static void on_show(void *arg, struct str text)
{
	const struct shelf *s = arg;
	if (s->ops->said)
		s->ops->said(s->arg, text);
}

static void put_query(struct buf *path, const char *key, struct str value)
{
	if (!value.len)
		return;
	buf_printf(path, "&%s=", key);
	url_encode(value, path);
}

static void put_map(struct buf *path, const char *key, const struct field_map *map)
{
	auto_buf struct buf b = BUF_INIT(PATH_MAX_BYTES);
	struct jsonw w = JSONW(&b);
	if (!map->n)
		return;
	jsonw_open(&w);
	for (size_t i = 0; i < map->n; i++) {
		jsonw_key_dyn(&w, map->keys[i]);
		jsonw_str(&w, map->values[i]);
	}
	jsonw_close(&w);
	put_query(path, key, buf_str(&b));
}

static int put_build(struct buf *path, const struct build_wish *b, struct error *err)
{
	if (b->text.len)
		return error_set(err, ERROR_UNSUPPORTED,
			"an engine builds with a Dockerfile in the context alone");
	if (b->network == NETWORK_PROXY || b->limits.disk_bytes > 0)
		return error_set(err, ERROR_UNSUPPORTED,
			"an engine builds without a list of what is allowed, and without a disk limit");
	buf_puts(path, "/build?rm=1&forcerm=1");
	put_query(path, "dockerfile", b->dockerfile);
	for (size_t i = 0; i < b->tags.n; i++)
		put_query(path, "t", b->tags.items[i]);
	put_map(path, "buildargs", &b->args);
	put_map(path, "labels", &b->labels);
	put_query(path, "target", b->target);
	put_query(path, "platform", b->platform);
	put_query(path, "networkmode", b->network == NETWORK_HOST ? STR("host") : STR("none"));
	if (b->no_cache)
		buf_puts(path, "&nocache=1");
	if (b->limits.memory_bytes > 0)
		buf_printf(path, "&memory=%lld", (long long)b->limits.memory_bytes);
	return 0;
}

static int put_work(struct shelf *s, const struct library_wish *wish, struct buf *path,
	struct error *err)
{
	if (wish->what == LIBRARY_BUILD)
		return put_build(path, wish->build, err);
	s->is_import = true;
	s->is_tree = wish->what == LIBRARY_IMPORT_TREE;
	if (s->is_tree && engine_check_name(wish->name, err) < 0)
		return -1;
	return buf_puts(path, s->is_tree ? "/images/create?fromSrc=-" : "/images/load?quiet=1");
}

static void on_unwanted(void *arg)
{
	struct shelf *s = arg;
	fail(s, &s->said.error);
}

static struct library_work *open_work(struct backend *backend, const struct library_wish *wish,
	const struct library_ops *ops, void *arg)
{
	struct engine *e = engine_from(backend);
	struct shelf *s = shelf_new(e, arg);
	auto_buf struct buf path = BUF_INIT(PATH_MAX_BYTES);
	struct error err;
	s->ops = ops;
	s->name = str_dup(wish->name.ptr ? wish->name : STR(""));
	said_init(&s->said, on_show, s);
	if (put_work(s, wish, &path, &err) < 0 ||
		(path.is_full && error_set(&err, ERROR_TOO_LARGE, "too many arguments"))) {
		s->said.error = err;
		loop_defer(e->loop, on_unwanted, s);
		return &s->work;
	}
	auto_free char *url = mem_printf("http://docker%s%s", e->version, path.ptr);
	const struct ask_plan plan = {
		.method = "POST",
		.url = url,
		.unix_path = e->socket,
		.timeout_ms = wish->what == LIBRARY_BUILD && wish->build->timeout_ms
			? wish->build->timeout_ms
			: -1,
		.tries = 1,
		.pull = on_pull,
		.content_type = "application/x-tar",
		.on_body = on_said,
		.done = on_work_done,
		.arg = s,
	};
	s->ask = ask_new(&e->asker, &plan);
	return &s->work;
}

static void send_work(struct library_work *w, struct str bytes)
{
	struct shelf *s = shelf_of(w);
	if (!s->ask)
		return;
	buf_put(&s->input, bytes);
	s->was_full |= s->input.len >= INPUT_HIGH;
	ask_wake(s->ask);
}

static void eof_work(struct library_work *w)
{
	struct shelf *s = shelf_of(w);
	s->has_eof = true;
	if (s->ask)
		ask_wake(s->ask);
}

static bool work_is_full(const struct library_work *w)
{
	return shelf_of((struct library_work *)(uintptr_t)w)->was_full;
}

static void cancel_work(struct library_work *w)
{
	shelf_free(shelf_of(w));
}

const struct library engine_library = {
	.ask = library_ask_engine,
	.open = open_work,
	.send = send_work,
	.eof = eof_work,
	.is_full = work_is_full,
	.cancel = cancel_work,
};

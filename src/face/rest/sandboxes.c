/* SPDX-License-Identifier: Apache-2.0 */
#include "face/rest/handlers.h"

#include "base/auto.h"

/* In the request's arena. */
struct making {
	struct http_request *r;
	struct json *body;
};

static void on_gone(void *arg, const struct error *err)
{
	struct http_request *r = arg;
	if (err)
		http_reply_error(r, err);
	else
		http_reply(r, 204, NULL, STR_NONE);
}

static void on_made(void *arg, struct sandbox *s, const struct error *err)
{
	struct making *m = arg;
	auto_json struct json *body = m->body; /* the arena goes with the answer */
	struct http_request *r = m->r;
	if (!err && http_is_closed(r)) {
		runtime_destroy(s, on_gone, r); /* its caller never learns its id */
		return;
	}
	if (err)
		http_reply_error(r, err);
	else if (!workspace_prepare(r, s, body))
		rest_reply_sandbox(r, 201, s);
}

void sandboxes_create(struct http_request *r)
{
	struct error err;
	struct create *create = arena_new(&r->arena, struct create);
	struct making *m = arena_new(&r->arena, struct making);
	m->r = r;
	if ((r->body.len && json_parse(r->body, &m->body, &err) < 0) ||
		create_from_json(m->body, &r->arena, create, &err) < 0 ||
		workspace_check(create->repo, &r->arena, &err) < 0) {
		json_free(m->body);
		http_reply_error(r, &err);
		return;
	}
	runtime_create(rest_of(r)->runtime, create, on_made, m);
}

void sandboxes_list(struct http_request *r)
{
	auto_buf struct buf b = BUF_INIT(HTTP_REPLY_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key(&w, "sandboxes");
	jsonw_open_array(&w);
	for (struct sandbox *s = NULL; (s = runtime_next(rest_of(r)->runtime, s));)
		sandbox_write(s, &w);
	jsonw_close_array(&w);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

void sandboxes_get(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	if (s)
		rest_reply_sandbox(r, 200, s);
}

void sandboxes_delete(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	if (s)
		runtime_destroy(s, on_gone, r);
}

/* Replies with the sandbox as it is now. r->state is its id: {id} may have named it otherwise. */
static void on_changed(void *arg, const struct error *err)
{
	struct http_request *r = arg;
	struct error gone;
	struct sandbox *s = NULL;
	if (!err && !(s = runtime_find(rest_of(r)->runtime, str_from(r->state), &gone)))
		err = &gone;
	if (err)
		http_reply_error(r, err);
	else
		rest_reply_sandbox(r, 200, s);
}

static struct sandbox *sandbox_to_change(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	if (s)
		r->state = arena_str(&r->arena, str_from(s->id));
	return s;
}

void sandboxes_stop(struct http_request *r)
{
	struct sandbox *s = sandbox_to_change(r);
	if (s)
		runtime_stop(s, on_changed, r);
}

void sandboxes_pause(struct http_request *r)
{
	struct sandbox *s = sandbox_to_change(r);
	if (s)
		runtime_pause(s, true, on_changed, r);
}

void sandboxes_resume(struct http_request *r)
{
	struct sandbox *s = sandbox_to_change(r);
	if (s)
		runtime_pause(s, false, on_changed, r);
}

static void put_usage(struct jsonw *w, const char *key, int64_t value)
{
	jsonw_key(w, key);
	if (value < 0)
		jsonw_null(w);
	else
		jsonw_int(w, value);
}

static void on_usage(void *arg, const struct monitor_usage *usage, const struct error *err)
{
	struct http_request *r = arg;
	if (err) {
		http_reply_error(r, err);
		return;
	}
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	put_usage(&w, "memory_bytes", usage->memory_bytes);
	put_usage(&w, "memory_peak_bytes", usage->memory_peak_bytes);
	put_usage(&w, "pids", usage->pids);
	put_usage(&w, "cpu_us", usage->cpu_us);
	put_usage(&w, "disk_bytes", usage->disk_bytes);
	put_usage(&w, "disk_inodes", usage->disk_inodes);
	put_usage(&w, "oom_kills", usage->oom_kills);
	jsonw_close(&w);
	http_reply_json(r, 200, &b);
}

void sandboxes_usage(struct http_request *r)
{
	struct sandbox *s = rest_sandbox(r);
	if (s)
		runtime_usage(s, on_usage, r);
}

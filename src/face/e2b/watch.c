/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes in a directory: told as it happens (WatchDir), or kept for who asks for it now and
 * then (CreateWatcher, GetWatcherEvents, RemoveWatcher). A watcher that nobody asks forgets what it
 * has kept when that is half of EVENTS_MAX, or when those of its sandbox, or of all, keep too much
 * together; it is this server's, and ends with it.
 */
#include "face/e2b/handlers.h"
#include "face/e2b/rpc.h"

#include "action/file_actions.h"
#include "base/auto.h"
#include "base/bug.h"

enum { EVENTS_MAX = 4 * 1024 * 1024, ASKERS_MAX = 8 };

static const struct {
	const char *word, *name;
} kinds[] = {
	{ "create", "EVENT_TYPE_CREATE" },
	{ "write", "EVENT_TYPE_WRITE" },
	{ "remove", "EVENT_TYPE_REMOVE" },
	{ "rename", "EVENT_TYPE_RENAME" },
	{ "chmod", "EVENT_TYPE_CHMOD" },
};

/* False: it is no event of a file. */
static bool put_event(struct jsonw *w, const struct json *event)
{
	const struct json *entry = json_find(event, "entry");
	struct str word = json_str(json_find(event, "event")),
		   name = json_str(json_find(event, "name"));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!str_is(word, kinds[i].word))
			continue;
		jsonw_open(w);
		jsonw_key_str(w, "name", name);
		jsonw_key_str(w, "type", str_from(kinds[i].name));
		if (json_kind(entry) == JSON_KIND_OBJECT) {
			jsonw_key(w, "entry");
			e2b_put_entry(w, entry, json_str(json_find(entry, "name")),
				json_str(json_find(entry, "path")));
		}
		jsonw_close(w);
		return true;
	}
	return false;
}

static void put_params(struct http_request *r, const char *home, const struct json *body,
	struct buf *params)
{
	struct jsonw w = JSONW(params);
	bool wants_entry = json_bool(e2b_field(body, "includeEntry", "include_entry"));
	struct str path = e2b_path(&r->arena, home, json_str(json_find(body, "path")));
	jsonw_open(&w);
	jsonw_key_str(&w, "path", path);
	jsonw_key_bool(&w, "recursive", json_bool(json_find(body, "recursive")));
	jsonw_key_bool(&w, "entries", wants_entry);
	jsonw_key_str(&w, "xattrs", wants_entry ? STR("user.e2b.") : STR(""));
	jsonw_close(&w);
}

/* ---- as it happens ---- */

struct tail {
	struct e2b_stream stream;
	struct e2b *e2b;
	char id[ID_SIZE];
	struct runtime_call *call;
};

static void tail_free(struct tail *t)
{
	if (t->call)
		runtime_call_cancel(t->call);
	free(t);
}

static void on_event(void *arg, struct str text)
{
	struct tail *t = arg;
	auto_json struct json *event = NULL;
	auto_buf struct buf b = BUF_INIT(E2B_PARAMS_MAX);
	struct jsonw w = JSONW(&b);
	if (json_parse(text, &event, NULL) < 0)
		return;
	if (str_is(json_str(json_find(event, "event")), "started")) {
		e2b_stream_send(&t->stream, STR("{\"start\":{}}"));
		return;
	}
	buf_puts(&b, "{\"filesystem\":");
	if (!put_event(&w, event))
		return;
	buf_puts(&b, "}");
	e2b_stream_send(&t->stream, buf_str(&b));
	if (e2b_stream_is_full(&t->stream))
		runtime_call_pause(t->call, true);
}

static void on_drain(void *arg)
{
	struct tail *t = arg;
	if (t->call)
		runtime_call_pause(t->call, false);
}

static void on_closed(void *arg)
{
	tail_free(arg);
}

static void on_end(void *arg, struct str result)
{
	struct tail *t = arg;
	t->call = NULL;
	e2b_stream_end(&t->stream, NULL);
	tail_free(t);
}

static void on_error(void *arg, const struct error *err)
{
	struct tail *t = arg;
	t->call = NULL;
	if (!e2b_box_find(t->e2b, str_from(t->id)))
		e2b_stream_cut(&t->stream);
	else
		e2b_stream_end(&t->stream, err);
	tail_free(t);
}

void e2b_watch_dir(struct http_request *r)
{
	static const struct call_sink sink = {
		.event = on_event,
		.result = on_end,
		.error = on_error,
	};
	const struct e2b_box *b = e2b_box_of_data(r);
	auto_json struct json *body = b ? e2b_stream_request(r) : NULL;
	auto_buf struct buf params = BUF_INIT(16 * E2B_PATH_MAX);
	struct str user;
	const char *home;
	struct error err;
	if (!body)
		return;
	struct tail *t = mem_new(struct tail);
	t->e2b = b->e2b;
	snprintf(t->id, sizeof(t->id), "%s", b->id);
	e2b_stream_init(&t->stream, r, b->e2b->loop);
	t->stream.keepalive = "{\"keepalive\":{}}";
	t->stream.on_drain = on_drain;
	t->stream.on_closed = on_closed;
	t->stream.arg = t;
	if (e2b_take_user(r, &user, &home, &err) < 0) {
		e2b_stream_end(&t->stream, &err);
		tail_free(t);
		return;
	}
	put_params(r, home, body, &params);
	e2b_stream_set_deadline(&t->stream, b->e2b->loop, e2b_stream_timeout_ms(r));
	t->call = runtime_perform(e2b_box_sandbox(b), &watch_action, buf_str(&params), &sink, t);
}

/* ---- kept ---- */

struct watcher {
	struct list link; /* e2b_box::watchers */
	struct e2b_box *box;
	char id[ID_SIZE];
	struct runtime_call *call; /* NULL: it has ended, and what it has told is still there */
	struct chore *creator;     /* to be answered once it watches; NULL */
	struct http_request *askers[ASKERS_MAX]; /* until all is told that was done before */
	int n_askers;
	struct buf events; /* of a list */
	size_t counted;    /* of their memory, in the box and in the face */
	struct jsonw w;
	bool has_ended;
	struct error failure; /* ERROR_OK: the directory is gone */
};

/* After what it keeps has changed. */
static void count(struct watcher *w)
{
	size_t more = w->events.cap - w->counted; /* modulo 2^64: it may be less */
	w->counted += more;
	w->box->kept_bytes += more;
	w->box->e2b->kept_bytes += more;
}

static void forget(struct watcher *w)
{
	buf_fini(&w->events);
	buf_init(&w->events, EVENTS_MAX);
	w->w = JSONW(&w->events);
	count(w);
}

static bool keeps_too_much(const struct watcher *w)
{
	return w->events.is_full || w->events.len > EVENTS_MAX / 2 ||
		w->box->kept_bytes > E2B_KEPT_OF_ONE || w->box->e2b->kept_bytes > E2B_KEPT_OF_ALL;
}

static void watcher_free(struct watcher *w)
{
	if (w->call)
		runtime_call_cancel(w->call);
	forget(w);
	list_remove(&w->link);
	w->box->n_watchers--;
	free(w);
}

/* The first who asked. */
static void answer(struct watcher *w)
{
	auto_buf struct buf body = BUF_INIT(EVENTS_MAX + 256);
	struct http_request *r = w->askers[0];
	w->n_askers--;
	for (size_t i = 0; i < (size_t)w->n_askers; i++)
		w->askers[i] = w->askers[i + 1];
	if (w->has_ended && w->failure.code != ERROR_OK) {
		e2b_rpc_fail(r, &w->failure);
		return;
	}
	buf_puts(&body, "{\"events\":[");
	buf_put(&body, buf_str(&w->events));
	buf_puts(&body, "]}");
	forget(w);
	http_reply(r, 200, "application/json", buf_str(&body));
}

static void end_watcher(struct watcher *w)
{
	w->call = NULL;
	w->has_ended = true;
	while (w->n_askers)
		answer(w);
}

void e2b_watchers_drop(struct e2b_box *b)
{
	while (!list_is_empty(&b->watchers)) {
		struct watcher *w = list_get_first(&b->watchers, struct watcher, link);
		struct chore *creator = take_ptr(w->creator);
		while (w->n_askers)
			answer(w);
		watcher_free(w);
		if (creator)
			e2b_gone(creator->r, str_from(creator->id));
	}
}

static void on_kept_event(void *arg, struct str text)
{
	struct watcher *w = arg;
	auto_json struct json *event = NULL;
	struct chore *creator = take_ptr(w->creator);
	auto_buf struct buf body = BUF_INIT(256);
	if (json_parse(text, &event, NULL) == 0)
		put_event(&w->w, event);
	count(w);
	if (w->n_askers && str_is(json_str(json_find(event, "event")), "synced"))
		answer(w);
	if (keeps_too_much(w))
		forget(w); /* nobody asks: what is old goes */
	if (!creator)
		return;
	buf_printf(&body, "{\"watcherId\":\"%s\"}", w->id);
	e2b_rpc_reply(creator, &body);
}

static void on_kept_end(void *arg, struct str result)
{
	end_watcher(arg);
}

static void on_kept_error(void *arg, const struct error *err)
{
	struct watcher *w = arg;
	struct chore *creator = take_ptr(w->creator);
	w->failure = *err;
	end_watcher(w);
	if (!creator)
		return;
	watcher_free(w);
	e2b_rpc_fail(creator->r, err);
}

void e2b_watcher_create(struct http_request *r)
{
	static const struct call_sink sink = {
		.event = on_kept_event,
		.result = on_kept_end,
		.error = on_kept_error,
	};
	struct chore *e = e2b_chore(r);
	auto_json struct json *body = e ? e2b_body(r) : NULL;
	auto_buf struct buf params = BUF_INIT(16 * E2B_PATH_MAX);
	struct e2b_box *b = body ? e2b_box_find(e2b_of(e->r), str_from(e->id)) : NULL;
	struct error err;
	if (!b)
		return;
	if (b->n_watchers >= E2B_WATCHERS_MAX) {
		error_set(&err, ERROR_LIMIT, "%d watchers are there; that is the limit",
			E2B_WATCHERS_MAX);
		e2b_rpc_fail(r, &err);
		return;
	}
	struct watcher *w = mem_new(struct watcher);
	w->box = b;
	w->creator = e;
	id_make(w->id);
	buf_init(&w->events, EVENTS_MAX);
	w->w = JSONW(&w->events);
	list_append(&b->watchers, &w->link);
	b->n_watchers++;
	put_params(r, e2b_home(e->r), body, &params);
	w->call = runtime_perform(e2b_box_sandbox(b), &watch_action, buf_str(&params), &sink, w);
}

/* NULL: answered. */
static struct watcher *watcher_of(struct http_request *r)
{
	struct e2b_box *b = e2b_box_of_data(r);
	auto_json struct json *body = b ? e2b_body(r) : NULL;
	struct str id = json_str(e2b_field(body, "watcherId", "watcher_id"));
	struct watcher *w;
	struct error err;
	if (!body)
		return NULL;
	list_for_each(w, &b->watchers, link)
		if (str_is(id, w->id) && !w->creator)
			return w;
	error_set(&err, ERROR_NOT_FOUND, "watcher with id %.*s not found",
		STR_ARG(str_first(id, 60)));
	e2b_rpc_fail(r, &err);
	return NULL;
}

void e2b_watcher_events(struct http_request *r)
{
	struct watcher *w = watcher_of(r);
	struct error err;
	if (!w)
		return;
	if (w->n_askers == ASKERS_MAX) {
		error_set(&err, ERROR_LIMIT, "%d ask this watcher already", ASKERS_MAX);
		e2b_rpc_fail(r, &err);
		return;
	}
	w->askers[w->n_askers++] = r;
	if (w->call)
		runtime_call_control(w->call, STR("{\"sync\":true}"));
	else
		answer(w);
}

void e2b_watcher_remove(struct http_request *r)
{
	struct watcher *w = watcher_of(r);
	if (!w)
		return;
	while (w->n_askers)
		answer(w);
	watcher_free(w);
	http_reply(r, 200, "application/json", STR("{}"));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. All pods of this server are listed, a page at a time; from the version of
 * that list on they are watched. Whatever ends a watch (its time, a cut, 410, a line that is none)
 * leads to a new list, after a pause that grows while watches end early. So nothing that was missed
 * stays missed, and the versions of single pods do not matter.
 */
#include "runtime/kube/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/url.h"

enum {
	PAGE = 200,
	PAGES_MAX = 64,
	LINE_MAX_BYTES = 4 * 1024 * 1024,
	WATCH_S = 240,
	WATCH_MS = (WATCH_S + 60) * 1000,
	EARLY_MS = 5000,
	PAUSE_MS = 100,
	PAUSE_MAX_MS = 15000,
	VERSION_SIZE = 128,
};

struct kube_watch {
	struct kube *kube;
	struct ask *stream; /* NULL: no watch is under way */
	struct timer *timer;
	struct buf line; /* of the watch, not whole yet */
	struct map seen; /* ids of the list under way → the same */
	char version[VERSION_SIZE];
	int n_pages;
	int64_t pause_ms, began_ms;
};

static void list(struct kube_watch *w, struct str more);

static void on_pause(void *arg)
{
	list(arg, STR_NONE);
}

static void again(struct kube_watch *w)
{
	bool is_early = clock_mono_ms() - w->began_ms < EARLY_MS;
	if (!is_early)
		w->pause_ms = PAUSE_MS;
	timer_set(w->timer, w->pause_ms);
	w->pause_ms = MIN(2 * w->pause_ms, PAUSE_MAX_MS);
}

/* ---- the watch ---- */

/* Negative: the watch is of no use any more. */
static int take_event(struct kube_watch *w, struct str line, struct error *err)
{
	auto_json struct json *event = NULL;
	const struct json *pod;
	struct pod_state state;
	if (!str_trim(line).len)
		return 0;
	if (json_parse_loose(line, &event, err) < 0)
		return -1;
	enum watch_kind kind = watch_read(event, &pod, err);
	if (kind == WATCH_EXPIRED)
		return error_set(err, ERROR_GONE, "the version is too old");
	if (kind == WATCH_FAILED)
		return -1;
	if (kind == WATCH_BOOKMARK || !pod_read(pod, w->kube->id, &state))
		return 0;
	if (kind == WATCH_DELETED)
		kube_miss(w->kube, state.id);
	else
		kube_see(w->kube, &state);
	return 0;
}

static int on_piece(void *arg, struct str piece, struct error *err)
{
	struct kube_watch *w = arg;
	while (piece.len) {
		ptrdiff_t end = str_find_char(piece, '\n');
		struct str part = end < 0 ? piece : str_first(piece, (size_t)end);
		if (buf_put(&w->line, part) < 0)
			return error_set(err, ERROR_TOO_LARGE, "a line of more than %d bytes",
				LINE_MAX_BYTES);
		if (end < 0)
			return 0;
		int r = take_event(w, buf_str(&w->line), err);
		buf_reset(&w->line);
		if (r < 0)
			return -1;
		piece = str_skip(piece, (size_t)end + 1);
	}
	return 0;
}

static void on_watch_end(void *arg, int status, struct str body, const struct error *err)
{
	struct kube_watch *w = arg;
	w->stream = NULL;
	buf_reset(&w->line);
	if (err && err->code != ERROR_GONE)
		log_warn("kube.watch", "%s", err->text);
	again(w);
}

static void watch(struct kube_watch *w)
{
	struct kube *k = w->kube;
	auto_buf struct buf path = BUF_INIT(KUBE_PATH_MAX);
	buf_printf(&path, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d&labelSelector=%s",
		k->pods, WATCH_S, KUBE_LABEL_SERVER "%3D");
	buf_printf(&path, "%s&resourceVersion=", k->id);
	url_encode(str_from(w->version), &path);
	w->began_ms = clock_mono_ms();
	w->stream = cluster_stream(&k->cluster, path.ptr, WATCH_MS, on_piece, on_watch_end, w);
}

/* ---- the list ---- */

static void fail_list(struct kube_watch *w, const struct error *err)
{
	struct kube *k = w->kube;
	if (!k->has_started) {
		kube_list_failed(k, err);
		return;
	}
	log_warn("kube.list", "%s", err->text);
	again(w);
}

static void on_page(void *arg, int status, const struct json *page, const struct error *err)
{
	struct kube_watch *w = arg;
	const struct json *items = json_find(page, "items"),
			  *metadata = json_find(page, "metadata");
	struct str version = json_str(json_find(metadata, "resourceVersion"));
	struct str more = json_str(json_find(metadata, "continue"));
	struct error own;
	if (!err &&
		(json_kind(items) != JSON_KIND_ARRAY || !version.len ||
			version.len >= VERSION_SIZE || str_has_nul(version) ||
			w->n_pages >= PAGES_MAX)) {
		error_set(&own, ERROR_PROTOCOL, "what it answers is no list of pods");
		questions_name(&w->kube->cluster.questions, &own);
		err = &own;
	}
	if (err) {
		fail_list(w, err);
		return;
	}
	for (size_t i = 0; i < json_len(items); i++) {
		struct pod_state state;
		if (!pod_read(json_at(items, i), w->kube->id, &state))
			continue;
		map_put(&w->seen, str_from(state.id), w);
		kube_see(w->kube, &state);
	}
	if (more.len) {
		list(w, more);
		return;
	}
	snprintf(w->version, sizeof(w->version), "%.*s", STR_ARG(version));
	kube_listed(w->kube, &w->seen);
	map_fini(&w->seen);
	w->seen = (struct map){ 0 };
	watch(w);
}

static void list(struct kube_watch *w, struct str more)
{
	struct kube *k = w->kube;
	auto_buf struct buf path = BUF_INIT(2 * KUBE_PATH_MAX);
	if (!more.len) {
		map_fini(&w->seen);
		w->seen = (struct map){ 0 };
		w->n_pages = 0;
		w->began_ms = clock_mono_ms();
		kube_list_begins(k);
	}
	w->n_pages++;
	buf_printf(&path, "%s?limit=%d&labelSelector=" KUBE_LABEL_SERVER "%%3D%s", k->pods, PAGE,
		k->id);
	if (more.len) {
		buf_puts(&path, "&continue=");
		url_encode(more, &path);
	}
	const struct cluster_request request = { .method = "GET", .path = path.ptr };
	cluster_ask(&k->cluster, &request, on_page, w);
}

struct kube_watch *kube_watch_new(struct kube *k)
{
	struct kube_watch *w = mem_new(struct kube_watch);
	w->kube = k;
	w->pause_ms = PAUSE_MS;
	buf_init(&w->line, LINE_MAX_BYTES);
	w->timer = timer_new(k->loop, on_pause, w);
	list(w, STR_NONE);
	return w;
}

void kube_watch_free(struct kube_watch *w)
{
	if (!w)
		return;
	questions_forget(&w->kube->cluster.questions, w);
	ask_drop(w->stream);
	timer_free(w->timer);
	buf_fini(&w->line);
	map_fini(&w->seen);
	free(w);
}

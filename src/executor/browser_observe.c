/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Everything that a look needs is asked for at once, so that the browser's
 * processes work side by side: the snapshot and the accessibility trees come from the page's
 * process while the picture is encoded in another. The frames' trees need the frames' ids, which
 * come first and cost little.
 *
 * A page that does not answer is busy with a script of its own. That is stopped
 * (Runtime.terminateExecution); if it does not answer then either, the tab is closed, another is
 * opened, and the step says so.
 */
#include "executor/browser_driver.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/file.h"
#include "executor/browser_axtree.h"
#include "executor/browser_image.h"
#include "executor/browser_markdown.h"
#include "wire/base64.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
	PICTURE_MAX = 5 * 1024 * 1024, /* bytes of a PNG */
	OBJECT_MAX = 3 * 1024 * 1024,  /* axtree_object, elements: bytes of JSON */
	LOOK_PATIENCE_MS = 8000,
	LOOK_LEAST_MS =
		2500, /* however little is left of the step: its caller waits a little longer */
};

/* What the browser said about a page. */
struct look {
	struct cdp_reply frames, snapshot, picture;
	struct cdp_reply trees[AXTREE_FRAMES_MAX];
	const struct json *nodes[AXTREE_FRAMES_MAX];
	struct str ids[AXTREE_FRAMES_MAX];
	size_t n_trees;
	bool has_picture;
};

static void look_fini(struct look *l)
{
	cdp_reply_fini(&l->frames);
	cdp_reply_fini(&l->snapshot);
	cdp_reply_fini(&l->picture);
	for (size_t i = 0; i < l->n_trees; i++)
		cdp_reply_fini(&l->trees[i]);
}

struct wanted {
	bool axtree, content, screenshot, marks, object, elements;
};

static struct wanted wanted_of(const struct browse_params *p)
{
	struct wanted w = { .axtree = !p->parts.items,
		.content = !p->parts.items,
		.screenshot = !p->parts.items,
		.marks = !p->parts.items };
	for (size_t i = 0; i < p->parts.n; i++) {
		struct str part = p->parts.items[i];
		w.axtree |= str_is(part, "axtree");
		w.content |= str_is(part, "content");
		w.screenshot |= str_is(part, "screenshot");
		w.marks |= str_is(part, "marks");
		w.object |= str_is(part, "axtree_object");
		w.elements |= str_is(part, "elements");
	}
	return w;
}

/* ---- asking ---- */

static int64_t send(struct driver *d, const char *method, const char *params_json,
	struct error *err)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	buf_puts(&params, params_json);
	return cdp_send(d->cdp, d->active->session, method, &params, err);
}

static int64_t send_tree(struct driver *d, struct str frame, struct error *err)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "frameId", frame);
	jsonw_close(&w);
	return cdp_send(d->cdp, d->active->session, "Accessibility.getFullAXTree", &params, err);
}

static void collect_frames(const struct json *tree, struct look *l, int depth)
{
	const struct json *children = json_find(tree, "childFrames");
	struct str id = json_str(json_find(json_find(tree, "frame"), "id"));
	if (l->n_trees < AXTREE_FRAMES_MAX && id.len)
		l->ids[l->n_trees++] = id;
	for (size_t i = 0; depth < JSON_DEPTH_MAX && i < json_len(children); i++)
		collect_frames(json_at(children, i), l, depth + 1);
}

/* Keeps the first failure; waits all the same, so that no answer is left for later. */
static int settle(struct driver *d, int64_t id, int64_t deadline_ms, struct cdp_reply *ret, int r,
	struct error *err)
{
	struct error own;
	if (id < 0 || cdp_wait(d->cdp, id, deadline_ms, ret, r < 0 ? &own : err) < 0)
		return -1;
	return r;
}

static int64_t patience_ms(const struct driver *d)
{
	int64_t left_ms = d->deadline_ms - clock_mono_ms();
	return MAX(MIN(left_ms, (int64_t)LOOK_PATIENCE_MS), (int64_t)LOOK_LEAST_MS);
}

static int look_at(struct driver *d, const struct wanted *wanted, struct look *l, struct error *err)
{
	int64_t deadline_ms = clock_mono_ms() + patience_ms(d), trees[AXTREE_FRAMES_MAX] = { 0 };
	*l = (struct look){ 0 };
	if (cdp_call(d->cdp, d->active->session, "Page.getFrameTree", NULL, deadline_ms, &l->frames,
		    err) < 0)
		return -1;
	collect_frames(json_find(l->frames.result, "frameTree"), l, 0);
	l->n_trees = MIN(l->n_trees, (size_t)CDP_WAITING_MAX - 4);
	int64_t snapshot = send(d, "DOMSnapshot.captureSnapshot",
		"{\"computedStyles\":[\"cursor\",\"pointer-events\",\"visibility\"],"
		"\"includePaintOrder\":true}",
		err);
	int64_t picture = wanted->screenshot || wanted->marks
		? send(d, "Page.captureScreenshot",
			  "{\"format\":\"png\",\"optimizeForSpeed\":true}", err)
		: 0;
	for (size_t i = 0; i < l->n_trees; i++)
		trees[i] = send_tree(d, l->ids[i], err);
	int r = settle(d, snapshot, deadline_ms, &l->snapshot, 0, err);
	for (size_t i = 0; i < l->n_trees; i++) {
		/* Only the top frame's tree must come: others go while we look. */
		int tree = settle(d, trees[i], deadline_ms, &l->trees[i], r, err);
		r = i == 0 || r < 0 ? tree : 0;
		l->nodes[i] = l->trees[i].result;
	}
	struct error blind;
	if (picture > 0 && cdp_wait(d->cdp, picture, deadline_ms, &l->picture, &blind) == 0)
		l->has_picture = true;
	return r;
}

/* ---- writing ---- */

struct view {
	struct driver *d;
	const struct browse_params *params;
	struct wanted wanted;
	struct page *page;
	struct axtree *tree;
	struct jsonw *w;
	const char *truncated[8];
	int n_truncated;
};

static void cut(struct view *v, const char *part)
{
	if (v->n_truncated < (int)ARRAY_LEN(v->truncated))
		v->truncated[v->n_truncated++] = part;
}

static void put_texts(struct view *v)
{
	if (v->wanted.axtree) {
		auto_buf struct buf text = BUF_INIT(2 * AXTREE_TEXT_MAX);
		if (!axtree_put_text(v->tree, &text))
			cut(v, "axtree");
		jsonw_key_str(v->w, "axtree", buf_str(&text));
	}
	if (v->wanted.content) {
		auto_buf struct buf text = BUF_INIT(2 * MARKDOWN_MAX);
		if (!markdown_put(v->page, &text))
			cut(v, "content");
		jsonw_key_str(v->w, "content", buf_str(&text));
	}
}

/* An object that does not fit is an empty one. */
static void put_object(struct view *v, const char *key, const struct buf *object)
{
	jsonw_key(v->w, key);
	jsonw_raw(v->w, object->is_full ? STR("{}") : buf_str(object));
	if (object->is_full)
		cut(v, key);
}

static void put_objects(struct view *v)
{
	if (v->wanted.object) {
		auto_buf struct buf object = BUF_INIT(OBJECT_MAX);
		struct jsonw w = JSONW(&object);
		axtree_put_object(v->tree, &w);
		put_object(v, "axtree_object", &object);
	}
	if (v->wanted.elements) {
		auto_buf struct buf object = BUF_INIT(OBJECT_MAX);
		struct jsonw w = JSONW(&object);
		page_put_elements(v->page, &w);
		put_object(v, "elements", &object);
	}
}

static void save(struct view *v, struct str png)
{
	auto_buf struct buf path = BUF_INIT(4095), dir = BUF_INIT(4095);
	struct str wish = v->params->screenshot_path;
	struct error err;
	if (!str_starts(wish, STR("/")))
		buf_printf(&path, "%s/", v->d->workdir);
	buf_put(&path, wish);
	const char *slash = path.is_full ? NULL : strrchr(path.ptr, '/');
	if (!slash)
		return;
	buf_put(&dir, str_first(buf_str(&path), (size_t)(slash - path.ptr)));
	if (dir.len && file_mkdirs(dir.ptr, 0755, &err) < 0)
		return;
	auto_fd int fd = open(path.ptr, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK,
		0644);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		file_write_all(fd, png, &err) < 0)
		return;
	jsonw_key_str(v->w, "screenshot_path", buf_str(&path));
}

static void put_marks(struct view *v, struct str png)
{
	auto_buf struct buf marked = BUF_INIT(PICTURE_MAX), text = BUF_INIT(2 * PICTURE_MAX);
	if (image_put_marks(v->page, png, &marked, NULL) < 0) {
		cut(v, "marks");
		return;
	}
	base64_encode(buf_str(&marked), &text);
	jsonw_key_str(v->w, "marks", buf_str(&text));
}

static void put_pictures(struct view *v, const struct look *l)
{
	struct str data = json_str(json_find(l->picture.result, "data"));
	auto_buf struct buf png = BUF_INIT(PICTURE_MAX);
	if (!v->wanted.screenshot && !v->wanted.marks)
		return;
	if (!l->has_picture || base64_decode(data, &png, NULL) < 0) {
		cut(v, "screenshot");
		return;
	}
	if (v->wanted.screenshot)
		jsonw_key_str(v->w, "screenshot", data);
	if (v->wanted.marks)
		put_marks(v, buf_str(&png));
	if (v->params->screenshot_path.len)
		save(v, buf_str(&png));
}

static void put_truncated(const struct view *v)
{
	jsonw_key(v->w, "truncated");
	jsonw_open_array(v->w);
	for (int i = 0; i < v->n_truncated; i++)
		jsonw_str(v->w, str_from(v->truncated[i]));
	jsonw_close_array(v->w);
}

static int put_look(struct driver *d, const struct browse_params *params,
	const struct wanted *wanted, const struct look *l, struct jsonw *w, struct error *err)
{
	auto_page struct page page = { 0 };
	if (page_read(l->snapshot.result, d->width, d->height, &page, err) < 0)
		return -1;
	page_assign(&page, l->frames.result, &d->active->marks);
	struct axtree *tree = axtree_new(&page, l->nodes, l->ids, l->n_trees);
	struct view v = { .d = d,
		.params = params,
		.wanted = *wanted,
		.page = &page,
		.tree = tree,
		.w = w };
	buf_reset(&d->active->url);
	buf_put(&d->active->url, str_first(page.documents[0].url, DRIVER_URL_MAX));
	jsonw_key_str(w, "title", page.documents[0].title);
	jsonw_key_str(w, "focused", axtree_focused(tree));
	put_texts(&v);
	put_objects(&v);
	put_pictures(&v, l);
	put_truncated(&v);
	axtree_free(tree);
	return 0;
}

/* ---- a page that does not answer ---- */

static int replace(struct driver *d, const char *why, struct error *err)
{
	struct tab *tab = d->active;
	if (tabs_open(d, "about:blank", err) < 0 || tabs_close(d, tab, err) < 0)
		return -1;
	complain(d, "Error", "%s; its tab was closed and a new one opened", why);
	return 0;
}

static int look_patiently(struct driver *d, const struct wanted *wanted, struct look *l,
	struct error *err)
{
	if (d->active->is_crashed) {
		if (replace(d, "Page crashed", err) < 0)
			return -1;
	}
	int64_t look_ms = patience_ms(d);
	if (look_at(d, wanted, l, err) == 0)
		return 0;
	if (cdp_is_gone(d->cdp))
		return -1;
	look_fini(l);
	if (err->code == ERROR_TIMEOUT && !d->active->is_crashed) {
		cdp_tell(d->cdp, d->active->session, "Runtime.terminateExecution", NULL);
		complain(d, "TimeoutError",
			"the page did not answer for %lld ms; its script was stopped",
			(long long)look_ms);
	}
	/* It may have navigated away in the middle, too: once more. */
	if (!d->active->is_crashed && look_at(d, wanted, l, err) == 0)
		return 0;
	if (cdp_is_gone(d->cdp))
		return -1;
	look_fini(l);
	const char *why = d->active->is_crashed ? "Page crashed"
		: err->code == ERROR_TOO_LARGE  ? "the page is too large to be looked at"
						: "the page did not answer";
	if (replace(d, why, err) < 0)
		return -1;
	return look_at(d, wanted, l, err);
}

static void put_tabs(const struct driver *d, struct jsonw *w)
{
	const struct tab *tab;
	jsonw_key_str(w, "url", d->active ? buf_str(&d->active->url) : STR(""));
	jsonw_key(w, "pages");
	jsonw_open_array(w);
	list_for_each(tab, &d->tabs, link)
		jsonw_str(w, buf_str(&tab->url));
	jsonw_close_array(w);
	jsonw_key_int(w, "active", tabs_index(d));
}

int observe(struct driver *d, const struct browse_params *params, struct jsonw *w,
	struct error *err)
{
	struct wanted wanted = wanted_of(params);
	struct look l = { 0 };
	if (tabs_tidy(d, err) < 0 || look_patiently(d, &wanted, &l, err) < 0)
		return -1;
	size_t start = w->b->len;
	int r = put_look(d, params, &wanted, &l, w, err);
	look_fini(&l);
	if (r < 0) { /* too many nodes */
		buf_cut(w->b, start);
		if (replace(d, "the page is too large to be looked at", err) < 0 ||
			look_at(d, &wanted, &l, err) < 0)
			return -1;
		r = put_look(d, params, &wanted, &l, w, err);
		look_fini(&l);
	}
	put_tabs(d, w);
	return r;
}

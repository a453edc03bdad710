/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. Every page that is opened, by whomever, is told; we attach to it then, and
 * it becomes a tab, and active, as with a person who sees it come up. (The browser could attach us
 * by itself, Target.setAutoAttach: but with that a page that opens a window stands still for ever
 * in Chromium 156.) What follows is told as events of its session: which document it loads and how
 * far that is, what it has on the network, dialogs, file choosers. Dialogs are answered at once,
 * since a page stands still until then: an alert is accepted, a question is not.
 *
 * Nothing here waits within an event: what has to be said then is told (cdp_tell).
 */
#include "executor/browser_driver.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <stdio.h>

enum { DOWNLOADS_MAX = 32, DOWNLOAD_PATIENCE_MS = 30000 };

struct download {
	struct list link; /* driver::pending_downloads */
	char guid[CDP_ID_SIZE];
	struct buf url, name;
};

static void copy_id(char to[CDP_ID_SIZE], struct str id)
{
	snprintf(to, CDP_ID_SIZE, "%.*s", STR_ARG(id));
}

static void set_text(struct buf *b, struct str text)
{
	buf_reset(b);
	buf_put(b, str_first(text, b->limit));
}

static struct str text_at(const struct json *params, const char *key)
{
	struct str s = json_str(json_find(params, key));
	return s.ptr ? s : STR("");
}

/* ---- tabs ---- */

static struct tab *find_session(struct driver *d, struct str session)
{
	struct tab *tab;
	if (session.len)
		list_for_each(tab, &d->tabs, link)
			if (str_is(session, tab->session))
				return tab;
	return NULL;
}

static struct tab *find_target(struct driver *d, struct str target)
{
	struct tab *tab;
	list_for_each(tab, &d->tabs, link)
		if (str_is(target, tab->target))
			return tab;
	return NULL;
}

static void tell_bool(struct driver *d, const char *session, const char *method, const char *key,
	bool value)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	buf_printf(&params, "{\"%s\":%s}", key, value ? "true" : "false");
	cdp_tell(d->cdp, session, method, &params);
}

static void tell_size(struct driver *d, const struct tab *tab)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	buf_printf(&params, "{\"width\":%d,\"height\":%d,\"deviceScaleFactor\":1,\"mobile\":false}",
		d->width, d->height);
	cdp_tell(d->cdp, tab->session, "Emulation.setDeviceMetricsOverride", &params);
}

/* Its events are wanted, not the bodies that it would keep for who asks. */
static void tell_network(struct driver *d, const struct tab *tab)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	buf_puts(&params, "{\"maxTotalBufferSize\":1,\"maxResourceBufferSize\":1}");
	cdp_tell(d->cdp, tab->session, "Network.enable", &params);
}

static void set_up(struct driver *d, const struct tab *tab)
{
	cdp_tell(d->cdp, tab->session, "Page.enable", NULL);
	tell_bool(d, tab->session, "Page.setLifecycleEventsEnabled", "enabled", true);
	tell_network(d, tab);
	cdp_tell(d->cdp, tab->session, "Inspector.enable", NULL);
	tell_bool(d, tab->session, "Page.setInterceptFileChooserDialog", "enabled", true);
	/* Every page believes that a person is looking at it. */
	tell_bool(d, tab->session, "Emulation.setFocusEmulationEnabled", "enabled", true);
	tell_size(d, tab);
}

static void on_created(struct driver *d, const struct json *params)
{
	const struct json *info = json_find(params, "targetInfo");
	auto_buf struct buf attach = DRIVER_PARAMS;
	if (!str_is(text_at(info, "type"), "page"))
		return;
	struct jsonw w = JSONW(&attach);
	jsonw_open(&w);
	jsonw_key_str(&w, "targetId", text_at(info, "targetId"));
	jsonw_key_bool(&w, "flatten", true);
	jsonw_close(&w);
	cdp_tell(d->cdp, "", "Target.attachToTarget", &attach);
}

static void on_attached(struct driver *d, const struct json *params)
{
	const struct json *info = json_find(params, "targetInfo");
	struct str target = text_at(info, "targetId");
	if (!str_is(text_at(info, "type"), "page") || find_target(d, target))
		return;
	if (d->n_tabs >= DRIVER_TABS_MAX) { /* a page that opens windows without end */
		auto_buf struct buf close = DRIVER_PARAMS;
		buf_printf(&close, "{\"targetId\":\"%.*s\"}", STR_ARG(target));
		cdp_tell(d->cdp, "", "Target.closeTarget", &close);
		return;
	}
	struct tab *tab = mem_new(struct tab);
	tab->driver = d;
	copy_id(tab->target, target);
	copy_id(tab->session, text_at(params, "sessionId"));
	buf_init(&tab->url, DRIVER_URL_MAX);
	buf_init(&tab->drag_json, 1024 * 1024);
	set_text(&tab->url, text_at(info, "url")); /* how far it is, is told on enabling */
	tab->has_content = tab->is_loaded = str_is(buf_str(&tab->url), "about:blank");
	list_append(&d->tabs, &tab->link);
	d->n_tabs++;
	d->active = tab;
	set_up(d, tab);
}

/* ---- events of a page ---- */

static void on_lifecycle(struct tab *tab, const struct json *params)
{
	struct str name = text_at(params, "name"), loader = text_at(params, "loaderId");
	if (!str_is(text_at(params, "frameId"), tab->target))
		return;
	/* "commit" alone if the document was there when we came */
	bool is_start = str_is(name, "init") || str_is(name, "commit");
	if (is_start && !str_is(loader, tab->loader)) {
		copy_id(tab->loader, loader);
		tab->has_content = tab->is_loaded = false;
		tab->n_requests = 0;
	}
	if (!str_is(loader, tab->loader))
		return;
	tab->has_content |= str_is(name, "DOMContentLoaded");
	tab->is_loaded |= str_is(name, "load");
}

static void on_requests(struct tab *tab, int change)
{
	tab->n_requests = MAX(tab->n_requests + change, 0);
	tab->quiet_since_ms = clock_mono_ms();
}

static void on_request(struct tab *tab, const struct json *params)
{
	bool is_redirect = json_find(params, "redirectResponse");
	struct str url = text_at(json_find(params, "request"), "url");
	if (!is_redirect && !str_starts(url, STR("data:")))
		on_requests(tab, 1);
}

static void on_dialog(struct tab *tab, const struct json *params)
{
	struct driver *d = tab->driver;
	struct str type = text_at(params, "type");
	bool is_accepted = str_is(type, "alert") || str_is(type, "beforeunload");
	tell_bool(d, tab->session, "Page.handleJavaScriptDialog", "accept", is_accepted);
	if (d->n_dialogs >= DRIVER_NOTES_MAX)
		return;
	struct jsonw w = JSONW(&d->dialogs);
	w.needs_comma = d->n_dialogs++ > 0;
	jsonw_open(&w);
	jsonw_key_str(&w, "type", type);
	jsonw_key_str(&w, "message", str_first(text_at(params, "message"), 2000));
	jsonw_key_bool(&w, "accepted", is_accepted);
	jsonw_close(&w);
}

static void on_navigated(struct tab *tab, const struct json *params)
{
	const struct json *frame = json_find(params, "frame");
	if (str_is(text_at(frame, "id"), tab->target))
		set_text(&tab->url, text_at(frame, "url"));
}

static void on_moved(struct tab *tab, const struct json *params) /* pushState and fragments */
{
	if (str_is(text_at(params, "frameId"), tab->target))
		set_text(&tab->url, text_at(params, "url"));
}

static void on_loading(struct tab *tab, const struct json *params)
{
	if (str_is(text_at(params, "frameId"), tab->target))
		tab->is_loading = true;
}

static void on_stopped(struct tab *tab, const struct json *params)
{
	if (str_is(text_at(params, "frameId"), tab->target))
		tab->is_loading = false;
}

static void on_request_end(struct tab *tab, const struct json *params)
{
	on_requests(tab, -1);
}

static void on_crashed(struct tab *tab, const struct json *params)
{
	tab->is_crashed = true;
}

static void on_chooser(struct tab *tab, const struct json *params)
{
	tab->chooser_backend = json_int(json_find(params, "backendNodeId"));
}

static void on_drag(struct tab *tab, const struct json *params)
{
	tab->has_drag = true;
	buf_reset(&tab->drag_json);
	json_write(json_find(params, "data"), &tab->drag_json);
}

/* ---- downloads ---- */

static struct download *find_download(struct driver *d, struct str guid)
{
	struct download *download;
	list_for_each(download, &d->pending_downloads, link)
		if (str_is(guid, download->guid))
			return download;
	return NULL;
}

static void on_download(struct driver *d, const struct json *params)
{
	d->has_downloads = true;
	if (d->n_pending_downloads >= DOWNLOADS_MAX)
		return;
	struct download *download = mem_new(struct download);
	copy_id(download->guid, text_at(params, "guid"));
	buf_init(&download->url, DRIVER_URL_MAX);
	buf_init(&download->name, DRIVER_URL_MAX);
	set_text(&download->url, text_at(params, "url"));
	set_text(&download->name, text_at(params, "suggestedFilename"));
	list_append(&d->pending_downloads, &download->link);
	d->n_pending_downloads++;
}

static void note_download(struct driver *d, const struct download *download, struct str state,
	struct str path)
{
	if (d->n_downloads >= DRIVER_NOTES_MAX)
		return;
	struct jsonw w = JSONW(&d->downloads);
	w.needs_comma = d->n_downloads++ > 0;
	jsonw_open(&w);
	jsonw_key(&w, "path");
	if (path.len) {
		jsonw_str(&w, path);
	} else {
		auto_buf struct buf made = BUF_INIT(2 * DRIVER_URL_MAX);
		buf_printf(&made, "%s/%s", d->download_dir ? d->download_dir : "",
			download->name.ptr);
		jsonw_str(&w, buf_str(&made));
	}
	jsonw_key_str(&w, "url", buf_str(&download->url));
	jsonw_key_str(&w, "state", state);
	jsonw_close(&w);
}

static void on_progress(struct driver *d, const struct json *params)
{
	struct download *download = find_download(d, text_at(params, "guid"));
	struct str state = text_at(params, "state");
	if (!download || str_is(state, "inProgress"))
		return;
	note_download(d, download, state, text_at(params, "filePath"));
	list_remove(&download->link);
	d->n_pending_downloads--;
	buf_fini(&download->url);
	buf_fini(&download->name);
	free(download);
}

/* ---- events ---- */

static void on_destroyed(struct driver *d, const struct json *params)
{
	struct tab *tab = find_target(d, text_at(params, "targetId"));
	if (tab)
		tab->is_gone = true;
}

static void on_detached(struct driver *d, const struct json *params)
{
	struct tab *tab = find_session(d, text_at(params, "sessionId"));
	if (tab)
		tab->is_gone = true;
}

static const struct {
	const char *method;
	void (*fn)(struct driver *d, const struct json *params);
} browser_events[] = {
	{ "Target.attachedToTarget", on_attached },
	{ "Target.detachedFromTarget", on_detached },
	{ "Target.targetCreated", on_created },
	{ "Target.targetDestroyed", on_destroyed },
	{ "Browser.downloadWillBegin", on_download },
	{ "Browser.downloadProgress", on_progress },
};

static const struct {
	const char *method;
	void (*fn)(struct tab *tab, const struct json *params);
} page_events[] = {
	{ "Input.dragIntercepted", on_drag },
	{ "Inspector.targetCrashed", on_crashed },
	{ "Network.loadingFailed", on_request_end },
	{ "Network.loadingFinished", on_request_end },
	{ "Network.requestWillBeSent", on_request },
	{ "Page.fileChooserOpened", on_chooser },
	{ "Page.frameNavigated", on_navigated },
	{ "Page.frameStartedLoading", on_loading },
	{ "Page.frameStoppedLoading", on_stopped },
	{ "Page.javascriptDialogOpening", on_dialog },
	{ "Page.lifecycleEvent", on_lifecycle },
	{ "Page.navigatedWithinDocument", on_moved },
};

void tabs_on_event(void *arg, struct str session, struct str method, const struct json *params)
{
	struct driver *d = arg;
	struct tab *tab = find_session(d, session);
	for (size_t i = 0; i < ARRAY_LEN(browser_events); i++)
		if (str_is(method, browser_events[i].method))
			browser_events[i].fn(d, params);
	for (size_t i = 0; tab && i < ARRAY_LEN(page_events); i++)
		if (str_is(method, page_events[i].method))
			page_events[i].fn(tab, params);
}

static bool has_no_download(void *arg)
{
	return ((struct driver *)arg)->n_pending_downloads == 0;
}

void tabs_wait_downloads(struct driver *d)
{
	if (d->n_pending_downloads)
		cdp_wait_until(d->cdp, driver_deadline(d, DOWNLOAD_PATIENCE_MS), has_no_download, d,
			NULL);
	struct download *download;
	list_for_each(download, &d->pending_downloads, link)
		note_download(d, download, STR("inProgress"), STR(""));
}

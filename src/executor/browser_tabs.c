/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tabs are opened, closed and waited for here; how far each of them is, browser_events.c is told.
 */
#include "executor/browser_driver.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

enum {
	OPEN_PATIENCE_MS = 20000,
	LOAD_PATIENCE_MS = 3000, /* for a page that an action made load */
	QUIET_MS = 50,           /* without anything on the network, after there was */
	QUIET_PATIENCE_MS = 500,
};

static void tab_free(struct tab *tab)
{
	if (tab->driver->active == tab)
		tab->driver->active = NULL;
	tab->driver->n_tabs--;
	list_remove(&tab->link);
	buf_fini(&tab->url);
	buf_fini(&tab->drag_json);
	page_marks_fini(&tab->marks);
	free(tab);
}

void tabs_drop_all(struct driver *d)
{
	struct tab *tab;
	while ((tab = list_first(&d->tabs, struct tab, link)))
		tab_free(tab);
}

/* ---- opening and closing ---- */

static bool has_tab(void *arg)
{
	return ((struct driver *)arg)->active;
}

int tabs_start(struct driver *d, struct error *err)
{
	int64_t deadline_ms = clock_mono_ms() + OPEN_PATIENCE_MS;
	auto_buf struct buf discover = DRIVER_PARAMS;
	buf_puts(&discover, "{\"discover\":true}");
	cdp_tell(d->cdp, "", "Target.setDiscoverTargets", &discover);
	return cdp_wait_until(d->cdp, deadline_ms, has_tab, d, err);
}

int tabs_open(struct driver *d, const char *url, struct error *err)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	if (d->n_tabs >= DRIVER_TABS_MAX)
		return error_set(err, ERROR_LIMIT, "%d tabs are open; that is the limit",
			DRIVER_TABS_MAX);
	jsonw_open(&w);
	jsonw_key_str(&w, "url", str_from(url));
	jsonw_close(&w);
	int64_t deadline_ms = clock_mono_ms() + OPEN_PATIENCE_MS;
	d->active = NULL;
	if (cdp_call(d->cdp, "", "Target.createTarget", &params, deadline_ms, NULL, err) < 0)
		return -1;
	return cdp_wait_until(d->cdp, deadline_ms, has_tab, d, err);
}

int tabs_activate(struct driver *d, struct tab *tab, struct error *err)
{
	d->active = tab;
	return cdp_call(d->cdp, tab->session, "Page.bringToFront", NULL,
		clock_mono_ms() + DRIVER_ANSWER_MS, NULL, err);
}

static bool is_gone(void *arg)
{
	return ((struct tab *)arg)->is_gone;
}

int tabs_close(struct driver *d, struct tab *tab, struct error *err)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	buf_printf(&params, "{\"targetId\":\"%s\"}", tab->target);
	int64_t deadline_ms = clock_mono_ms() + DRIVER_ANSWER_MS;
	/* The last tab takes the browser along: there is another first. */
	if (d->n_tabs == 1 && tabs_open(d, "about:blank", err) < 0)
		return -1;
	struct error refused;
	if (cdp_call(d->cdp, "", "Target.closeTarget", &params, deadline_ms, NULL, &refused) < 0 ||
		cdp_wait_until(d->cdp, deadline_ms, is_gone, tab, &refused) < 0) {
		if (cdp_is_gone(d->cdp))
			return error_set(err, ERROR_UNAVAILABLE, "the browser has ended");
	}
	tab_free(tab);
	return tabs_tidy(d, err);
}

int tabs_index(const struct driver *d)
{
	struct tab *tab;
	int i = 0;
	list_for_each(tab, &d->tabs, link) {
		if (tab == d->active)
			return i;
		i++;
	}
	return -1;
}

int tabs_tidy(struct driver *d, struct error *err)
{
	struct tab *tab, *tmp;
	list_for_each_safe(tab, tmp, &d->tabs, link)
		if (tab->is_gone)
			tab_free(tab);
	if (d->active)
		return 0;
	if (list_is_empty(&d->tabs))
		return tabs_open(d, "about:blank", err);
	d->active = list_entry(d->tabs.prev, struct tab, link);
	return tabs_activate(d, d->active, err);
}

/* ---- waiting ---- */

struct load {
	struct tab *tab;
	const char *loader;
};

static bool is_loaded(void *arg)
{
	const struct load *load = arg;
	const struct tab *tab = load->tab;
	return tab->is_gone || tab->is_crashed ||
		(tab->is_loaded && strcmp(tab->loader, load->loader) == 0);
}

int tabs_wait_loaded(struct tab *tab, const char *loader, int64_t deadline_ms, struct error *err)
{
	struct load load = { tab, loader };
	return cdp_wait_until(tab->driver->cdp, deadline_ms, is_loaded, &load, err);
}

/* Two frames are drawn; with interaction also until nothing in the document changed for 50 ms. */
static void wait_for_frames(struct driver *d, const struct tab *tab, bool is_interactive)
{
	static const char brief[] =
		"new Promise(r=>{setTimeout(r,100);requestAnimationFrame(()=>requestAnimationFrame(r))})";
	static const char thorough[] =
		"new Promise(r=>{let t,o,e=()=>{o.disconnect();r()},n=()=>{clearTimeout(t);t=setTimeout(e,50)};"
		"o=new MutationObserver(n);o.observe(document,{subtree:true,childList:true,attributes:true,"
		"characterData:true});setTimeout(e,500);n()})";
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "expression", str_from(is_interactive ? thorough : brief));
	jsonw_key_bool(&w, "awaitPromise", true);
	jsonw_close(&w);
	/* A page that navigates away, or hangs: the next look at it will tell. */
	cdp_call(d->cdp, tab->session, "Runtime.evaluate", &params, driver_deadline(d, 1000), NULL,
		NULL);
}

static bool is_at_rest(void *arg)
{
	const struct driver *d = arg;
	const struct tab *tab = d->active;
	return !tab || tab->is_gone || tab->is_crashed || (!tab->is_loading && tab->has_content);
}

static bool is_quiet(void *arg)
{
	const struct driver *d = arg;
	return !d->active || d->active->is_gone || d->active->n_requests == 0;
}

static bool never(void *arg)
{
	return false;
}

/* Until the network was quiet for a moment: what comes on a request often makes another. */
static void wait_for_network(struct driver *d)
{
	int64_t end_ms = driver_deadline(d, QUIET_PATIENCE_MS);
	while (d->active && d->active->quiet_since_ms && clock_mono_ms() < end_ms) {
		if (cdp_wait_until(d->cdp, end_ms, is_quiet, d, NULL) < 0 || !d->active)
			return;
		int64_t quiet_at_ms = d->active->quiet_since_ms + QUIET_MS;
		if (clock_mono_ms() >= quiet_at_ms)
			return;
		cdp_wait_until(d->cdp, MIN(quiet_at_ms, end_ms), never, NULL, NULL);
		if (cdp_is_gone(d->cdp))
			return;
	}
}

void tabs_settle(struct driver *d, bool is_interactive)
{
	struct tab *before = d->active;
	if (!before)
		return;
	wait_for_frames(d, before, is_interactive);
	bool had_to_load = !is_at_rest(d);
	cdp_wait_until(d->cdp, driver_deadline(d, LOAD_PATIENCE_MS), is_at_rest, d, NULL);
	if (d->active && (had_to_load || d->active != before))
		wait_for_frames(d, d->active, false);
	wait_for_network(d);
}

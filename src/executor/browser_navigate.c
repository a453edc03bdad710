/* SPDX-License-Identifier: Apache-2.0 */
/* Where a tab goes, and which tab is looked at. Failures are told in the words of Playwright. */
#include "executor/browser_functions.h"

#include "base/auto.h"
#include "base/clock.h"

#include <stdio.h>

enum { HISTORY_PATIENCE_MS = 5000 };

static bool is_open_url(struct str url)
{
	static const char *const schemes[] = { "http:", "https:", "file:", "data:", "blob:",
		"about:" };
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		if (str_eq_nocase(str_first(url, strlen(schemes[i])), str_from(schemes[i])))
			return true;
	return false;
}

static int goto_failed(struct driver *d, struct str url, const char *why)
{
	return complain(d, "Error",
		"Page.goto: %s\nCall log:\n  - navigating to \"%.*s\", waiting until \"load\"\n",
		why, STR_ARG(url));
}

static int goto_timed_out(struct driver *d, struct str url, int64_t since_ms)
{
	cdp_tell(d->cdp, d->active->session, "Page.stopLoading", NULL);
	return complain(d, "TimeoutError",
		"Page.goto: Timeout %lldms exceeded.\nCall log:\n  - navigating to \"%.*s\", waiting "
		"until \"load\"\n",
		(long long)(clock_mono_ms() - since_ms), STR_ARG(url));
}

static int navigate(struct driver *d, struct str url, struct cdp_reply *ret, struct error *err)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "url", url);
	jsonw_close(&w);
	return cdp_call(d->cdp, d->active->session, "Page.navigate", &params, d->deadline_ms, ret,
		err);
}

int perform_goto(struct driver *d, const struct py_value *const *v)
{
	struct str url = str_trim(v[0]->text);
	struct tab *tab = d->active; /* the page may open another, which is then the active one */
	int64_t since_ms = clock_mono_ms();
	auto_cdp_reply struct cdp_reply reply = { 0 };
	struct error err;
	if (str_find_char(url, ':') >= 0 && !is_open_url(url))
		return goto_failed(d, url, "only http, https, file, data and about:blank are open");
	if (navigate(d, url, &reply, &err) < 0) {
		if (err.code == ERROR_TIMEOUT)
			return goto_timed_out(d, url, since_ms);
		return err.code == ERROR_PROTOCOL ? goto_failed(d, url, err.text)
						  : complain_error(d, "goto", &err);
	}
	struct str loader = json_str(json_find(reply.result, "loaderId")),
		   failure = json_str(json_find(reply.result, "errorText"));
	if (json_bool(json_find(reply.result, "isDownload")) || d->has_downloads)
		return goto_failed(d, url, "Download is starting");
	if (failure.len) {
		char why[200];
		snprintf(why, sizeof(why), "%.*s at %.*s", STR_ARG(str_first(failure, 60)),
			STR_ARG(str_first(url, 120)));
		return goto_failed(d, url, why);
	}
	if (!loader.len)
		return 0; /* within the document */
	char copy[CDP_ID_SIZE];
	snprintf(copy, sizeof(copy), "%.*s", STR_ARG(loader));
	if (tabs_wait_loaded(tab, copy, d->deadline_ms, &err) < 0)
		return err.code == ERROR_TIMEOUT ? goto_timed_out(d, url, since_ms)
						 : complain_error(d, "goto", &err);
	if (tab->is_crashed || tab->is_gone)
		return goto_failed(d, url, "Page crashed");
	return 0;
}

struct arrival {
	const struct tab *tab;
	struct str url;
};

static bool has_arrived(void *arg)
{
	const struct arrival *a = arg;
	return a->tab->is_gone || a->tab->is_crashed ||
		(str_eq(buf_str(&a->tab->url), a->url) && a->tab->has_content &&
			!a->tab->is_loading);
}

/* A step beyond either end does nothing, as in a browser. */
static int walk_history(struct driver *d, int step)
{
	auto_cdp_reply struct cdp_reply reply = { 0 };
	auto_buf struct buf params = DRIVER_PARAMS;
	struct error err;
	int64_t deadline_ms = driver_deadline(d, DRIVER_ANSWER_MS);
	if (cdp_call(d->cdp, d->active->session, "Page.getNavigationHistory", NULL, deadline_ms,
		    &reply, &err) < 0)
		return complain_error(d, "look at the history", &err);
	const struct json *entries = json_find(reply.result, "entries");
	int64_t at = json_int(json_find(reply.result, "currentIndex")) + step;
	const struct json *entry = at >= 0 ? json_at(entries, (size_t)at) : NULL;
	if (!entry)
		return 0;
	buf_printf(&params, "{\"entryId\":%lld}", (long long)json_int(json_find(entry, "id")));
	if (cdp_call(d->cdp, d->active->session, "Page.navigateToHistoryEntry", &params,
		    deadline_ms, NULL, &err) < 0)
		return complain_error(d, "navigate", &err);
	struct arrival arrival = { d->active, json_str(json_find(entry, "url")) };
	cdp_wait_until(d->cdp, driver_deadline(d, HISTORY_PATIENCE_MS), has_arrived, &arrival,
		NULL);
	return 0;
}

int perform_go_back(struct driver *d, const struct py_value *const *v)
{
	return walk_history(d, -1);
}

int perform_go_forward(struct driver *d, const struct py_value *const *v)
{
	return walk_history(d, 1);
}

int perform_new_tab(struct driver *d, const struct py_value *const *v)
{
	struct error err;
	return tabs_open(d, "about:blank", &err) < 0 ? complain_error(d, "open a tab", &err) : 0;
}

int perform_tab_close(struct driver *d, const struct py_value *const *v)
{
	struct error err;
	return tabs_close(d, d->active, &err) < 0 ? complain_error(d, "close a tab", &err) : 0;
}

int perform_tab_focus(struct driver *d, const struct py_value *const *v)
{
	int64_t index = v[0]->integer;
	struct tab *tab;
	struct error err;
	if (index < 0)
		index += d->n_tabs;
	list_for_each(tab, &d->tabs, link)
		if (index-- == 0)
			return tabs_activate(d, tab, &err) < 0
				? complain_error(d, "focus a tab", &err)
				: 0;
	return complain(d, "IndexError", "list index out of range");
}

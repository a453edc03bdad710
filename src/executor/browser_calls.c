/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A call of a program is a row: its parameters as a Python function would have them, and who
 * performs it. What does not fit the row is refused in Python's words (TypeError), what does not work in those of
 * Playwright, since that is what agents were trained to read.
 */
#include "executor/browser_driver.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>

enum { PARAMETERS_MAX = 3, HISTORY_PATIENCE_MS = 5000, CHOOSER_PATIENCE_MS = 2000, FILES_MAX = 64 };

#define KIND(k) (1 << PY_##k)

struct parameter {
	const char *name;
	int kinds;
	bool is_optional;
};

/* Values by parameter; NULL: not given. */
typedef int perform_fn(struct driver *d, const struct py_value *const *values);

struct function {
	const char *name;
	perform_fn *fn;
	struct parameter parameters[PARAMETERS_MAX];
	bool is_interactive; /* it may set a page's scripts going */
};

/* ---- navigation ---- */

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

static int perform_goto(struct driver *d, const struct py_value *const *v)
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

static int perform_go_back(struct driver *d, const struct py_value *const *v)
{
	return walk_history(d, -1);
}

static int perform_go_forward(struct driver *d, const struct py_value *const *v)
{
	return walk_history(d, 1);
}

static int perform_new_tab(struct driver *d, const struct py_value *const *v)
{
	struct error err;
	return tabs_open(d, "about:blank", &err) < 0 ? complain_error(d, "open a tab", &err) : 0;
}

static int perform_tab_close(struct driver *d, const struct py_value *const *v)
{
	struct error err;
	return tabs_close(d, d->active, &err) < 0 ? complain_error(d, "close a tab", &err) : 0;
}

static int perform_tab_focus(struct driver *d, const struct py_value *const *v)
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

static bool never(void *arg)
{
	return false;
}

static int perform_noop(struct driver *d, const struct py_value *const *v)
{
	enum { WAIT_MAX_MS = 600000 };
	double wait_ms = v[0] ? v[0]->real : 1000;
	int64_t ms = wait_ms > 0 ? (int64_t)MIN(wait_ms, (double)WAIT_MAX_MS) : 0;
	cdp_wait_until(d->cdp, driver_deadline(d, ms), never, NULL, NULL);
	return 0;
}

static int perform_scroll(struct driver *d, const struct py_value *const *v)
{
	return input_wheel(d, v[0]->real, v[1]->real);
}

/* ---- mouse ---- */

static int modifiers_of(struct driver *d, const struct py_value *list, int *ret)
{
	*ret = 0;
	for (size_t i = 0; list && i < list->n; i++) {
		int bit = list->items[i].kind == PY_STR ? input_modifier(list->items[i].text) : 0;
		if (!bit)
			return complain(d, "Error",
				"Locator.click: modifiers: expected one of (Alt|Control|ControlOrMeta|Meta|Shift)");
		*ret |= bit;
	}
	return 0;
}

static const char *button_of(struct driver *d, const struct py_value *v)
{
	static const char *const buttons[] = { "left", "middle", "right" };
	for (size_t i = 0; v && i < ARRAY_LEN(buttons); i++)
		if (str_is(v->text, buttons[i]))
			return buttons[i];
	if (!v)
		return "left";
	complain(d, "Error", "Locator.click: button: expected one of (left|right|middle)");
	return NULL;
}

static int move_to(struct driver *d, struct str bid, const char *what, struct element *ret)
{
	double x, y;
	if (element_find(d, bid, ret) < 0 || element_point(d, ret, what, &x, &y) < 0)
		return -1;
	return input_move(d, x, y, NULL);
}

static int click(struct driver *d, const struct py_value *const *v, const char *what, int count)
{
	struct element e;
	int modifiers;
	const char *button = button_of(d, v[1]);
	if (!button || modifiers_of(d, v[2], &modifiers) < 0 ||
		move_to(d, v[0]->text, what, &e) < 0)
		return -1;
	return input_click(d, button, modifiers, count);
}

static int perform_click(struct driver *d, const struct py_value *const *v)
{
	return click(d, v, "click", 1);
}

static int perform_dblclick(struct driver *d, const struct py_value *const *v)
{
	return click(d, v, "dblclick", 2);
}

static int perform_hover(struct driver *d, const struct py_value *const *v)
{
	struct element e;
	return move_to(d, v[0]->text, "hover", &e);
}

/* The target is scrolled to first: then what is dragged may still move, and is looked for last. */
static int perform_drag(struct driver *d, const struct py_value *const *v)
{
	struct element from, to;
	double x, y;
	if (element_find(d, v[1]->text, &to) < 0 || element_point(d, &to, "hover", &x, &y) < 0 ||
		move_to(d, v[0]->text, "hover", &from) < 0 || element_place(d, &to, &x, &y) < 0)
		return -1;
	return input_drag(d, x, y);
}

/* ---- forms ---- */

/* Calls a function of one value on the element; what it returns is a word. */
static int form(struct driver *d, const struct element *e, const char *function,
	const struct buf *value, struct cdp_reply *ret)
{
	auto_buf struct buf arguments = DRIVER_PARAMS;
	buf_puts(&arguments, "[{\"value\":");
	buf_put(&arguments, buf_str(value));
	buf_puts(&arguments, "}]");
	return element_call(d, e, function, &arguments, ret);
}

static int not_fillable(struct driver *d, const char *what, struct str why)
{
	static const struct {
		const char *word, *text;
	} reasons[] = {
		{ "kind", "Element is not an <input>, <textarea> or [contenteditable] element" },
		{ "type", "Input of this type cannot be filled" },
		{ "number", "Cannot type text into input[type=number]" },
		{ "value", "Malformed value" },
		{ "off", "Element is not enabled, or read-only" },
	};
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (str_is(why, reasons[i].word))
			return complain(d, "Error", "Locator.%s: Error: %s", what, reasons[i].text);
	return complain(d, "Error", "Locator.%s: Error: the element changed meanwhile", what);
}

static int fill(struct driver *d, struct str bid, struct str text, const char *what)
{
	static const char prepare[] =
		"function(v){const e=this,t=e.nodeName.toLowerCase();if(e.disabled||e.readOnly)return'off';"
		"if(t==='input'){const k=e.type;"
		"if(['color','date','time','datetime-local','month','range','week'].includes(k)){"
		"v=v.trim();e.focus();e.value=v;if(e.value!==v)return'value';"
		"e.dispatchEvent(new Event('input',{bubbles:true,composed:true}));"
		"e.dispatchEvent(new Event('change',{bubbles:true}));return'done'}"
		"if(!['email','number','password','search','tel','text','url'].includes(k))return'type';"
		"if(k==='number'&&isNaN(Number(v.trim())))return'number';e.focus();e.select();return'insert'}"
		"if(t==='textarea'){e.focus();e.select();return'insert'}"
		"if(e.isContentEditable){e.focus();const r=document.createRange();r.selectNodeContents(e);"
		"const s=getSelection();s.removeAllRanges();s.addRange(r);return'insert'}return'kind'}";
	struct element e;
	auto_buf struct buf value = DRIVER_PARAMS;
	auto_cdp_reply struct cdp_reply reply = { 0 };
	struct jsonw w = JSONW(&value);
	double x, y;
	jsonw_str(&w, text);
	if (element_find(d, bid, &e) < 0 || element_point(d, &e, what, &x, &y) < 0 ||
		form(d, &e, prepare, &value, &reply) < 0)
		return -1;
	struct str answer = json_str(reply.result);
	if (str_is(answer, "done"))
		return 0;
	if (!str_is(answer, "insert"))
		return not_fillable(d, what, answer);
	return text.len ? input_text(d, text) : input_press(d, STR("Delete"), what);
}

static int perform_fill(struct driver *d, const struct py_value *const *v)
{
	return fill(d, v[0]->text, v[1]->text, "fill");
}

static int perform_clear(struct driver *d, const struct py_value *const *v)
{
	return fill(d, v[0]->text, STR(""), "clear");
}

static int perform_focus(struct driver *d, const struct py_value *const *v)
{
	struct element e;
	return element_find(d, v[0]->text, &e) < 0 ? -1 : element_focus(d, &e, "focus");
}

static int perform_press(struct driver *d, const struct py_value *const *v)
{
	struct element e;
	if (element_find(d, v[0]->text, &e) < 0 || element_focus(d, &e, "press") < 0)
		return -1;
	return input_press(d, v[1]->text, "press");
}

static int perform_type(struct driver *d, const struct py_value *const *v)
{
	struct element e;
	if (element_find(d, v[0]->text, &e) < 0 || element_focus(d, &e, "type") < 0)
		return -1;
	return input_type(d, v[1]->text);
}

/* One string or a list of them, as a JSON array; false if it is anything else. */
static bool put_strings(const struct py_value *v, struct jsonw *w)
{
	const struct py_value *items = v->kind == PY_STR ? v : v->items;
	size_t n = v->kind == PY_STR ? 1 : v->n;
	jsonw_open_array(w);
	for (size_t i = 0; i < n; i++) {
		if (items[i].kind != PY_STR)
			return false;
		jsonw_str(w, items[i].text);
	}
	jsonw_close_array(w);
	return true;
}

static int perform_select(struct driver *d, const struct py_value *const *v)
{
	static const char select[] =
		"function(w){const e=this.nodeName==='LABEL'&&this.control?this.control:this;"
		"if(e.nodeName!=='SELECT')return'kind';if(e.disabled)return'off';const o=[...e.options];"
		"const f=w.map(x=>o.find(y=>y.value===x)||o.find(y=>y.label.trim()===x.trim()));"
		"if(f.includes(undefined))return'none';const c=e.multiple?f:f.slice(0,1);"
		"for(const y of o)y.selected=c.includes(y);e.focus();"
		"e.dispatchEvent(new Event('input',{bubbles:true,composed:true}));"
		"e.dispatchEvent(new Event('change',{bubbles:true}));return'done'}";
	struct element e;
	auto_buf struct buf value = DRIVER_PARAMS;
	auto_cdp_reply struct cdp_reply reply = { 0 };
	struct jsonw w = JSONW(&value);
	if (!put_strings(v[1], &w))
		return complain(d, "TypeError", "options: expected a string or a list of strings");
	if (element_find(d, v[0]->text, &e) < 0 || form(d, &e, select, &value, &reply) < 0)
		return -1;
	struct str answer = json_str(reply.result);
	if (str_is(answer, "none"))
		return complain(d, "TimeoutError",
			"Locator.select_option: Timeout 500ms exceeded.\nCall log:\n  - did not find some "
			"options\n");
	if (str_is(answer, "kind"))
		return complain(d, "Error",
			"Locator.select_option: Error: Element is not a <select> element");
	return str_is(answer, "done") ? 0 : not_fillable(d, "select_option", answer);
}

/* ---- files ---- */

static int put_file(struct driver *d, struct str path, struct jsonw *w)
{
	auto_buf struct buf absolute = BUF_INIT(4096);
	if (!str_starts(path, STR("/")))
		buf_printf(&absolute, "%s/", d->workdir);
	buf_put(&absolute, path);
	if (absolute.is_full || str_has_nul(path) || faccessat(AT_FDCWD, absolute.ptr, R_OK, 0) < 0)
		return complain(d, "FileNotFoundError",
			"[Errno 2] No such file or directory: '%.*s'",
			STR_ARG(str_first(path, 1000)));
	jsonw_str(w, buf_str(&absolute));
	return 0;
}

static int set_files(struct driver *d, const struct py_value *v, int64_t backend)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	struct error err;
	const struct py_value *items = v->kind == PY_STR ? v : v->items;
	size_t n = v->kind == PY_STR ? 1 : v->n;
	jsonw_open(&w);
	jsonw_key(&w, "files");
	jsonw_open_array(&w);
	for (size_t i = 0; i < n; i++) {
		if (items[i].kind != PY_STR || n > FILES_MAX)
			return complain(d, "TypeError",
				"file: expected a path or a list of at most %d paths", FILES_MAX);
		if (put_file(d, items[i].text, &w) < 0)
			return -1;
	}
	jsonw_close_array(&w);
	jsonw_key_int(&w, "backendNodeId", backend);
	jsonw_close(&w);
	if (cdp_call(d->cdp, d->active->session, "DOM.setFileInputFiles", &params,
		    driver_deadline(d, DRIVER_ANSWER_MS), NULL, &err) < 0)
		return complain_error(d, "upload_file", &err);
	return 0;
}

static bool has_chooser(void *arg)
{
	return ((struct tab *)arg)->chooser_backend;
}

/* Into a file input at once; any other element is clicked, and has to ask for a file. */
static int perform_upload(struct driver *d, const struct py_value *const *v)
{
	struct element e;
	struct tab *tab = d->active;
	auto_cdp_reply struct cdp_reply is_input = { 0 };
	if (element_find(d, v[0]->text, &e) < 0 ||
		element_call(d, &e,
			"function(){return this.nodeName==='INPUT'&&this.type==='file'}", NULL,
			&is_input) < 0)
		return -1;
	if (json_bool(is_input.result))
		return set_files(d, v[1], e.backend);
	tab->chooser_backend = 0;
	if (move_to(d, v[0]->text, "click", &e) < 0 || input_click(d, "left", 0, 1) < 0)
		return -1;
	cdp_wait_until(d->cdp, driver_deadline(d, CHOOSER_PATIENCE_MS), has_chooser, tab, NULL);
	if (!tab->chooser_backend)
		return complain(d, "TimeoutError",
			"Timeout %dms exceeded while waiting for event \"filechooser\"",
			CHOOSER_PATIENCE_MS);
	return set_files(d, v[1], tab->chooser_backend);
}

/* ---- talk ---- */

static int note(struct driver *d, const char *kind, struct str text)
{
	struct jsonw w = JSONW(&d->messages);
	if (d->n_messages >= DRIVER_NOTES_MAX)
		return complain(d, "Error", "more than %d messages", DRIVER_NOTES_MAX);
	w.needs_comma = d->n_messages++ > 0;
	jsonw_open(&w);
	jsonw_key_str(&w, "kind", str_from(kind));
	jsonw_key_str(&w, "text", text);
	jsonw_close(&w);
	return 0;
}

static int perform_message(struct driver *d, const struct py_value *const *v)
{
	return note(d, "message", v[0]->text);
}

static int perform_infeasible(struct driver *d, const struct py_value *const *v)
{
	return note(d, "infeasible", v[0]->text);
}

/* ---- the table ---- */

#define NUMBER  (KIND(INT) | KIND(REAL))
#define STRINGS (KIND(STR) | KIND(LIST) | KIND(TUPLE))
#define CLICK_PARAMETERS                                                         \
	{                                                                        \
		{ "bid", KIND(STR) }, { "button", KIND(STR), true },             \
		{                                                                \
			"modifiers", KIND(LIST) | KIND(TUPLE) | KIND(NONE), true \
		}                                                                \
	}

static const struct function functions[] = {
	{ "clear", perform_clear, { { "bid", KIND(STR) } }, true },
	{ "click", perform_click, CLICK_PARAMETERS, true },
	{ "dblclick", perform_dblclick, CLICK_PARAMETERS, true },
	{ "drag_and_drop", perform_drag, { { "from_bid", KIND(STR) }, { "to_bid", KIND(STR) } },
		true },
	{ "fill", perform_fill, { { "bid", KIND(STR) }, { "value", KIND(STR) } }, true },
	{ "focus", perform_focus, { { "bid", KIND(STR) } }, true },
	{ "go_back", perform_go_back, { { 0 } }, false },
	{ "go_forward", perform_go_forward, { { 0 } }, false },
	{ "goto", perform_goto, { { "url", KIND(STR) } }, false },
	{ "hover", perform_hover, { { "bid", KIND(STR) } }, true },
	{ "new_tab", perform_new_tab, { { 0 } }, false },
	{ "noop", perform_noop, { { "wait_ms", NUMBER, true } }, false },
	{ "press", perform_press, { { "bid", KIND(STR) }, { "key_comb", KIND(STR) } }, true },
	{ "report_infeasible", perform_infeasible, { { "reason", KIND(STR) } }, false },
	{ "scroll", perform_scroll, { { "delta_x", NUMBER }, { "delta_y", NUMBER } }, true },
	{ "select_option", perform_select, { { "bid", KIND(STR) }, { "options", STRINGS } }, true },
	{ "send_msg_to_user", perform_message, { { "text", KIND(STR) } }, false },
	{ "tab_close", perform_tab_close, { { 0 } }, false },
	{ "tab_focus", perform_tab_focus, { { "index", KIND(INT) } }, false },
	{ "type", perform_type, { { "bid", KIND(STR) }, { "text", KIND(STR) } }, true },
	{ "upload_file", perform_upload, { { "bid", KIND(STR) }, { "file", STRINGS } }, true },
};

/* ---- arguments ---- */

static int count_parameters(const struct function *f)
{
	int n = 0;
	while (n < PARAMETERS_MAX && f->parameters[n].name)
		n++;
	return n;
}

static int bind_one(struct driver *d, const struct function *f, const struct py_argument *a, int at,
	const struct py_value **values)
{
	int n = count_parameters(f);
	if (a->name.ptr)
		for (at = 0; at < n && !str_is(a->name, f->parameters[at].name);)
			at++;
	if (at == n && a->name.ptr)
		return complain(d, "TypeError", "%s() got an unexpected keyword argument '%.*s'",
			f->name, STR_ARG(str_first(a->name, 60)));
	if (at >= n)
		return complain(d, "TypeError",
			"%s() takes %d positional argument%s but more were given", f->name, n,
			n == 1 ? "" : "s");
	if (values[at])
		return complain(d, "TypeError", "%s() got multiple values for argument '%s'",
			f->name, f->parameters[at].name);
	if (!(f->parameters[at].kinds >> a->value.kind & 1))
		return complain(d, "ValueError", "%s(): the argument '%s' has the wrong type",
			f->name, f->parameters[at].name);
	values[at] = &a->value;
	return 0;
}

static int bind(struct driver *d, const struct function *f, const struct py_call *call,
	const struct py_value **values)
{
	for (size_t i = 0; i < call->n; i++)
		if (bind_one(d, f, &call->arguments[i], (int)MIN(i, (size_t)PARAMETERS_MAX),
			    values) < 0)
			return -1;
	for (int i = 0; i < count_parameters(f); i++)
		if (!values[i] && !f->parameters[i].is_optional)
			return complain(d, "TypeError",
				"%s() missing 1 required positional argument: '%s'", f->name,
				f->parameters[i].name);
	return 0;
}

static const struct function *find_function(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(functions); i++)
		if (str_is(name, functions[i].name))
			return &functions[i];
	return NULL;
}

int calls_check(struct driver *d, const struct py_call *calls, size_t n)
{
	if (n == 0)
		return complain(d, "ValueError", "Received an empty action.");
	for (size_t i = 0; i < n; i++)
		if (!find_function(calls[i].name))
			return complain(d, "NameError", "Invalid action type '%.*s'.",
				STR_ARG(str_first(calls[i].name, 60)));
	return 0;
}

int calls_perform(struct driver *d, const struct py_call *call, bool *ret_is_interactive)
{
	const struct py_value *values[PARAMETERS_MAX] = { NULL };
	const struct function *f = find_function(call->name);
	struct error err;
	BUG_IF(!f, "a call that was not checked");
	*ret_is_interactive = f->is_interactive;
	if (bind(d, f, call, values) < 0)
		return -1;
	/* Popups and closings of the call before. */
	if (tabs_tidy(d, &err) < 0)
		return complain_error(d, "find a tab", &err);
	return f->fn(d, values);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with an element: it is pointed at, filled, or given files. The browser's input is
 * used wherever a person's would do; a function in the page only prepares for it, or does what a
 * native control would.
 */
#include "executor/browser_functions.h"

#include "base/auto.h"

#include <fcntl.h>

enum { CHOOSER_PATIENCE_MS = 2000, FILES_MAX = 64 };

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

int perform_click(struct driver *d, const struct py_value *const *v)
{
	return click(d, v, "click", 1);
}

int perform_dblclick(struct driver *d, const struct py_value *const *v)
{
	return click(d, v, "dblclick", 2);
}

int perform_hover(struct driver *d, const struct py_value *const *v)
{
	struct element e;
	return move_to(d, v[0]->text, "hover", &e);
}

/* The target is scrolled to first: then what is dragged may still move, and is looked for last. */
int perform_drag(struct driver *d, const struct py_value *const *v)
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

int perform_fill(struct driver *d, const struct py_value *const *v)
{
	return fill(d, v[0]->text, v[1]->text, "fill");
}

int perform_clear(struct driver *d, const struct py_value *const *v)
{
	return fill(d, v[0]->text, STR(""), "clear");
}

int perform_focus(struct driver *d, const struct py_value *const *v)
{
	struct element e;
	return element_find(d, v[0]->text, &e) < 0 ? -1 : element_focus(d, &e, "focus");
}

int perform_press(struct driver *d, const struct py_value *const *v)
{
	struct element e;
	if (element_find(d, v[0]->text, &e) < 0 || element_focus(d, &e, "press") < 0)
		return -1;
	return input_press(d, v[1]->text, "press");
}

int perform_type(struct driver *d, const struct py_value *const *v)
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

int perform_select(struct driver *d, const struct py_value *const *v)
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
int perform_upload(struct driver *d, const struct py_value *const *v)
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

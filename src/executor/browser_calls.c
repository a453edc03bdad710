/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A call of a program is a row: its parameters as a Python function would have
 * them, and who performs it. What does not fit the row is refused in Python's words (TypeError),
 * what does not work in those of Playwright, since that is what agents were trained to read.
 */
#include "executor/browser_functions.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

enum { PARAMETERS_MAX = 3 };

#define KIND(k) (1 << PY_##k)

struct parameter {
	const char *name;
	int kinds;
	bool is_optional;
};

struct function {
	const char *name;
	perform_fn *fn;
	struct parameter parameters[PARAMETERS_MAX];
	bool is_interactive; /* it may set a page's scripts going */
};

/* ---- waiting and scrolling ---- */

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

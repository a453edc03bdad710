/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mouse and keyboard. Events go in where a real device's would, so a page cannot tell them apart.
 * Keys are named as in the DOM ("Enter", "ArrowDown", "KeyA", "a"), on a US keyboard.
 */
#include "executor/browser_driver.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "wire/utf8.h"

#include <ctype.h>
#include <stdio.h>

enum { DRAG_PATIENCE_MS = 100, DRAG_STEPS = 5 };

static int dispatch(struct driver *d, const char *method, const struct buf *params)
{
	struct error err;
	if (cdp_call(d->cdp, d->active->session, method, params,
		    driver_deadline(d, DRIVER_ANSWER_MS), NULL, &err) < 0)
		return complain_error(d, "send input", &err);
	return 0;
}

/* ---- mouse ---- */

static int mouse(struct driver *d, const char *type, const char *button, int modifiers, int count,
	bool is_held)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	int mask = strcmp(button, "left") == 0 ? 1 : strcmp(button, "right") == 0 ? 2 : 4;
	jsonw_open(&w);
	jsonw_key_str(&w, "type", str_from(type));
	jsonw_key(&w, "x");
	jsonw_real(&w, d->mouse_x);
	jsonw_key(&w, "y");
	jsonw_real(&w, d->mouse_y);
	jsonw_key_str(&w, "button", str_from(button));
	jsonw_key_int(&w, "buttons", is_held ? mask : 0);
	jsonw_key_int(&w, "clickCount", count);
	jsonw_key_int(&w, "modifiers", modifiers);
	jsonw_close(&w);
	return dispatch(d, "Input.dispatchMouseEvent", &params);
}

int input_move(struct driver *d, double x, double y, const char *held)
{
	d->mouse_x = x;
	d->mouse_y = y;
	return mouse(d, "mouseMoved", held ? held : "none", 0, 0, held);
}

int input_button(struct driver *d, const char *button, int modifiers, int count, bool is_down)
{
	return mouse(d, is_down ? "mousePressed" : "mouseReleased", button, modifiers, count,
		is_down);
}

int input_click(struct driver *d, const char *button, int modifiers, int count)
{
	for (int i = 1; i <= count; i++)
		if (input_button(d, button, modifiers, i, true) < 0 ||
			input_button(d, button, modifiers, i, false) < 0)
			return -1;
	return 0;
}

int input_wheel(struct driver *d, double dx, double dy)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", STR("mouseWheel"));
	jsonw_key(&w, "x");
	jsonw_real(&w, d->mouse_x);
	jsonw_key(&w, "y");
	jsonw_real(&w, d->mouse_y);
	jsonw_key(&w, "deltaX");
	jsonw_real(&w, dx);
	jsonw_key(&w, "deltaY");
	jsonw_real(&w, dy);
	jsonw_close(&w);
	return dispatch(d, "Input.dispatchMouseEvent", &params);
}

static bool has_drag(void *arg)
{
	return ((struct tab *)arg)->has_drag;
}

static int drag_event(struct driver *d, const char *type)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "type", str_from(type));
	jsonw_key(&w, "x");
	jsonw_real(&w, d->mouse_x);
	jsonw_key(&w, "y");
	jsonw_real(&w, d->mouse_y);
	jsonw_key(&w, "data");
	jsonw_raw(&w, buf_str(&d->active->drag_json));
	jsonw_close(&w);
	return dispatch(d, "Input.dispatchDragEvent", &params);
}

static void intercept_drags(struct driver *d, bool is_on)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	buf_printf(&params, "{\"enabled\":%s}", is_on ? "true" : "false");
	cdp_tell(d->cdp, d->active->session, "Input.setInterceptDrags", &params);
}

/*
 * From where the mouse is to x, y. What is draggable begins a drag of its own when the mouse moves
 * with the button down; that is told, and goes on with events of its own. All else sees the mouse
 * alone.
 */
int input_drag(struct driver *d, double x, double y)
{
	double from_x = d->mouse_x, from_y = d->mouse_y;
	struct tab *tab = d->active;
	int r = 0;
	tab->has_drag = false;
	intercept_drags(d, true);
	if (input_button(d, "left", 0, 1, true) < 0)
		return -1;
	for (int i = 1; r == 0 && i <= DRAG_STEPS && !tab->has_drag; i++) {
		r = input_move(d, from_x + (x - from_x) * i / DRAG_STEPS,
			from_y + (y - from_y) * i / DRAG_STEPS, "left");
		if (i == 1 && r == 0)
			cdp_wait_until(d->cdp, driver_deadline(d, DRAG_PATIENCE_MS), has_drag, tab,
				NULL);
	}
	d->mouse_x = x;
	d->mouse_y = y;
	if (r == 0 && tab->has_drag)
		r = drag_event(d, "dragEnter") < 0 || drag_event(d, "dragOver") < 0 ||
				drag_event(d, "drop") < 0
			? -1
			: 0;
	intercept_drags(d, false);
	return input_button(d, "left", 0, 1, false) < 0 ? -1 : r;
}

/* ---- keyboard ---- */

/* Keys that make no text of their own, and those whose code is not their letter. */
static const struct key {
	const char *name, *code;
	int number; /* Windows' virtual key, as the DOM's keyCode */
	const char *text, *shifted;
} keys[] = {
	{ "Alt", "AltLeft", 18, NULL, NULL },
	{ "ArrowDown", "ArrowDown", 40, NULL, NULL },
	{ "ArrowLeft", "ArrowLeft", 37, NULL, NULL },
	{ "ArrowRight", "ArrowRight", 39, NULL, NULL },
	{ "ArrowUp", "ArrowUp", 38, NULL, NULL },
	{ "Backspace", "Backspace", 8, NULL, NULL },
	{ "CapsLock", "CapsLock", 20, NULL, NULL },
	{ "Control", "ControlLeft", 17, NULL, NULL },
	{ "Delete", "Delete", 46, NULL, NULL },
	{ "End", "End", 35, NULL, NULL },
	{ "Enter", "Enter", 13, "\r", "\r" },
	{ "Escape", "Escape", 27, NULL, NULL },
	{ "F1", "F1", 112, NULL, NULL },
	{ "F10", "F10", 121, NULL, NULL },
	{ "F11", "F11", 122, NULL, NULL },
	{ "F12", "F12", 123, NULL, NULL },
	{ "F2", "F2", 113, NULL, NULL },
	{ "F3", "F3", 114, NULL, NULL },
	{ "F4", "F4", 115, NULL, NULL },
	{ "F5", "F5", 116, NULL, NULL },
	{ "F6", "F6", 117, NULL, NULL },
	{ "F7", "F7", 118, NULL, NULL },
	{ "F8", "F8", 119, NULL, NULL },
	{ "F9", "F9", 120, NULL, NULL },
	{ "Home", "Home", 36, NULL, NULL },
	{ "Insert", "Insert", 45, NULL, NULL },
	{ "Meta", "MetaLeft", 91, NULL, NULL },
	{ "PageDown", "PageDown", 34, NULL, NULL },
	{ "PageUp", "PageUp", 33, NULL, NULL },
	{ "Shift", "ShiftLeft", 16, NULL, NULL },
	{ "Tab", "Tab", 9, NULL, NULL },
	{ " ", "Space", 32, " ", " " },
	{ "'", "Quote", 222, "'", "\"" },
	{ ",", "Comma", 188, ",", "<" },
	{ "-", "Minus", 189, "-", "_" },
	{ ".", "Period", 190, ".", ">" },
	{ "/", "Slash", 191, "/", "?" },
	{ "0", "Digit0", 48, "0", ")" },
	{ "1", "Digit1", 49, "1", "!" },
	{ "2", "Digit2", 50, "2", "@" },
	{ "3", "Digit3", 51, "3", "#" },
	{ "4", "Digit4", 52, "4", "$" },
	{ "5", "Digit5", 53, "5", "%" },
	{ "6", "Digit6", 54, "6", "^" },
	{ "7", "Digit7", 55, "7", "&" },
	{ "8", "Digit8", 56, "8", "*" },
	{ "9", "Digit9", 57, "9", "(" },
	{ ";", "Semicolon", 186, ";", ":" },
	{ "=", "Equal", 187, "=", "+" },
	{ "[", "BracketLeft", 219, "[", "{" },
	{ "\\", "Backslash", 220, "\\", "|" },
	{ "]", "BracketRight", 221, "]", "}" },
	{ "`", "Backquote", 192, "`", "~" },
};

/* One key as the browser is told of it. */
struct stroke {
	char key[16], code[16], text[8];
	int number;
};

static void set(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static void stroke_letter(char c, bool is_shifted, struct stroke *s)
{
	bool is_upper = is_shifted || isupper((unsigned char)c);
	*s = (struct stroke){ .number = toupper((unsigned char)c) };
	s->key[0] = s->text[0] = (char)(is_upper ? toupper((unsigned char)c)
						 : tolower((unsigned char)c));
	snprintf(s->code, sizeof(s->code), "Key%c", toupper((unsigned char)c));
}

static bool stroke_named(struct str name, bool is_shifted, struct stroke *s)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct key *k = &keys[i];
		bool is_shift_of = k->shifted && str_is(name, k->shifted);
		if (!str_is(name, k->name) && !str_is(name, k->code) && !is_shift_of)
			continue;
		const char *text = is_shifted || (is_shift_of && !str_is(name, k->name))
			? k->shifted
			: k->text;
		*s = (struct stroke){ .number = k->number };
		set(s->code, sizeof(s->code), k->code);
		set(s->text, sizeof(s->text), text);
		set(s->key, sizeof(s->key), text && strlen(k->name) == 1 ? text : k->name);
		return true;
	}
	return false;
}

static bool stroke_from(struct str name, bool is_shifted, struct stroke *s)
{
	if (name.len == 1 && isalpha((unsigned char)name.ptr[0])) {
		stroke_letter(name.ptr[0], is_shifted, s);
		return true;
	}
	if (name.len == 4 && str_starts(name, STR("Key")) && isupper((unsigned char)name.ptr[3])) {
		stroke_letter((char)tolower((unsigned char)name.ptr[3]), is_shifted, s);
		return true;
	}
	return stroke_named(name, is_shifted, s);
}

static int send_stroke(struct driver *d, const struct stroke *s, int modifiers, bool is_down)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	bool has_text = *s->text && !(modifiers & ~INPUT_SHIFT);
	jsonw_open(&w);
	jsonw_key_str(&w, "type",
		!is_down           ? STR("keyUp")
			: has_text ? STR("keyDown")
				   : STR("rawKeyDown"));
	jsonw_key_int(&w, "modifiers", modifiers);
	jsonw_key_int(&w, "windowsVirtualKeyCode", s->number);
	jsonw_key_str(&w, "code", str_from(s->code));
	jsonw_key_str(&w, "key", str_from(s->key));
	if (is_down && has_text) {
		jsonw_key_str(&w, "text", str_from(s->text));
		jsonw_key_str(&w, "unmodifiedText", str_from(s->text));
	}
	jsonw_close(&w);
	return dispatch(d, "Input.dispatchKeyEvent", &params);
}

int input_modifier(struct str name)
{
	static const struct {
		const char *name;
		int bit;
	} all[] = { { "Alt", INPUT_ALT }, { "Control", INPUT_CONTROL },
		{ "ControlOrMeta", INPUT_CONTROL }, { "Meta", INPUT_META },
		{ "Shift", INPUT_SHIFT } };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (str_is(name, all[i].name))
			return all[i].bit;
	return 0;
}

/* "Control+Shift+t", "+" and "Control++" too: a plus sign at the end is the key. */
int input_press(struct driver *d, struct str combination, const char *what)
{
	struct stroke held[4], last;
	int modifiers = 0, n = 0, r = 0;
	struct str rest = combination, name;
	for (;;) {
		ptrdiff_t plus = str_find_char(str_skip(rest, 1), '+');
		name = plus < 0 ? rest : str_first(rest, (size_t)plus + 1);
		if (plus < 0)
			break;
		int bit = input_modifier(name);
		if (!bit || n == (int)ARRAY_LEN(held))
			return complain(d, "Error", "Locator.%s: Unknown key: \"%.*s\"", what,
				STR_ARG(str_first(name, 40)));
		stroke_from(bit == INPUT_CONTROL ? STR("Control") : name, false, &held[n++]);
		modifiers |= bit;
		rest = str_skip(rest, (size_t)plus + 2);
	}
	if (!stroke_from(name, modifiers & INPUT_SHIFT, &last))
		return complain(d, "Error", "Locator.%s: Unknown key: \"%.*s\"", what,
			STR_ARG(str_first(name, 40)));
	modifiers |= input_modifier(name);
	for (int i = 0; r == 0 && i < n; i++)
		r = send_stroke(d, &held[i], modifiers, true);
	if (r == 0)
		r = send_stroke(d, &last, modifiers, true) < 0
			? -1
			: send_stroke(d, &last, modifiers, false);
	for (int i = n - 1; r == 0 && i >= 0; i--)
		r = send_stroke(d, &held[i], 0, false);
	return r;
}

int input_text(struct driver *d, struct str text)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "text", text);
	jsonw_close(&w);
	return dispatch(d, "Input.insertText", &params);
}

/* Characters that no key makes come as text. */
int input_type(struct driver *d, struct str text)
{
	while (text.len) {
		size_t len = MAX(utf8_len(text), (size_t)1);
		struct str c = str_first(text, len);
		struct stroke s;
		struct str name = str_is(c, "\n") || str_is(c, "\r") ? STR("Enter")
			: str_is(c, "\t")                            ? STR("Tab")
								     : c;
		int r = stroke_from(name, false, &s) ? send_stroke(d, &s, 0, true) : 1;
		if (r == 0)
			r = send_stroke(d, &s, 0, false);
		else if (r > 0)
			r = input_text(d, c);
		if (r < 0)
			return -1;
		text = str_skip(text, len);
	}
	return 0;
}

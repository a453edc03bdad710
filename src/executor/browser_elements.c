/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A bid leads to the browser's own number of the node (page_marks), and that
 * to a handle of it (DOM.resolveNode), in whatever frame or shadow tree it is. What it looks like
 * is asked of the page; where it is, of the browser, which knows the offsets of frames.
 */
#include "executor/browser_driver.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

#include <stdio.h>

enum { ELEMENT_PATIENCE_MS = 500 }; /* for an element to become visible */

static int missing(struct driver *d, struct str bid)
{
	return complain(d, "ValueError", "Could not find element with bid \"%.*s\"",
		STR_ARG(str_first(bid, 200)));
}

/* A request of the active tab within the step's deadline. */
static int ask(struct driver *d, const char *method, const struct buf *params,
	struct cdp_reply *ret, struct error *err)
{
	return cdp_call(d->cdp, d->active->session, method, params,
		driver_deadline(d, DRIVER_ANSWER_MS), ret, err);
}

int element_call(struct driver *d, const struct element *e, const char *function,
	const struct buf *arguments, struct cdp_reply *ret)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	struct error err;
	jsonw_open(&w);
	jsonw_key_str(&w, "functionDeclaration", str_from(function));
	jsonw_key_str(&w, "objectId", str_from(e->object));
	if (arguments) {
		jsonw_key(&w, "arguments");
		jsonw_raw(&w, buf_str(arguments));
	}
	jsonw_key_bool(&w, "returnByValue", true);
	jsonw_key_bool(&w, "awaitPromise", true);
	jsonw_key_bool(&w, "userGesture", true);
	jsonw_close(&w);
	struct cdp_reply reply = { 0 };
	if (ask(d, "Runtime.callFunctionOn", &params, &reply, &err) < 0)
		return complain_error(d, "look at the element", &err);
	const struct json *thrown = json_find(reply.result, "exceptionDetails");
	if (thrown) {
		struct str text = json_str(
			json_find(json_find(thrown, "exception"), "description"));
		complain(d, "Error", "%.*s", STR_ARG(str_first(text, 500)));
		cdp_reply_fini(&reply);
		return -1;
	}
	reply.result = json_find(json_find(reply.result, "result"), "value");
	*ret = reply;
	return 0;
}

int element_find(struct driver *d, struct str bid, struct element *ret)
{
	int64_t backend = page_marks_find(&d->active->marks, bid);
	auto_buf struct buf params = DRIVER_PARAMS;
	auto_cdp_reply struct cdp_reply reply = { 0 }, connected = { 0 };
	struct error err;
	if (!backend)
		return missing(d, bid);
	buf_printf(&params, "{\"backendNodeId\":%lld,\"objectGroup\":\"cay\"}", (long long)backend);
	if (ask(d, "DOM.resolveNode", &params, &reply, &err) < 0)
		return err.code == ERROR_PROTOCOL ? missing(d, bid)
						  : complain_error(d, "find the element", &err);
	struct str object = json_str(json_find(json_find(reply.result, "object"), "objectId"));
	if (!object.len || object.len >= sizeof(ret->object))
		return missing(d, bid);
	*ret = (struct element){ .backend = backend };
	memcpy(ret->object, object.ptr, object.len);
	if (element_call(d, ret, "function(){return this.isConnected}", NULL, &connected) < 0)
		return -1;
	return json_bool(connected.result) ? 0 : missing(d, bid);
}

/* The middle of a quad of four points; false if it has no area. */
static bool middle_of(const struct json *quad, double *ret_x, double *ret_y)
{
	double x[4], y[4], area = 0;
	if (json_len(quad) != 8)
		return false;
	for (size_t i = 0; i < 4; i++) {
		x[i] = json_double(json_at(quad, 2 * i));
		y[i] = json_double(json_at(quad, 2 * i + 1));
	}
	for (size_t i = 0; i < 4; i++)
		area += x[i] * y[(i + 1) % 4] - x[(i + 1) % 4] * y[i];
	*ret_x = (x[0] + x[1] + x[2] + x[3]) / 4;
	*ret_y = (y[0] + y[1] + y[2] + y[3]) / 4;
	return area > 1.98 || area < -1.98;
}

/* 1: there is a point, 0: it has no box (yet). */
static int look_for_point(struct driver *d, const struct element *e, bool scrolls, double *ret_x,
	double *ret_y, struct error *err)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	auto_cdp_reply struct cdp_reply reply = { 0 };
	struct jsonw w = JSONW(&params);
	jsonw_open(&w);
	jsonw_key_str(&w, "objectId", str_from(e->object));
	jsonw_close(&w);
	if (scrolls && ask(d, "DOM.scrollIntoViewIfNeeded", &params, NULL, err) < 0)
		return err->code == ERROR_PROTOCOL ? 0 : -1;
	if (ask(d, "DOM.getContentQuads", &params, &reply, err) < 0)
		return err->code == ERROR_PROTOCOL ? 0 : -1;
	const struct json *quads = json_find(reply.result, "quads");
	for (size_t i = 0; i < json_len(quads); i++)
		if (middle_of(json_at(quads, i), ret_x, ret_y))
			return 1;
	return 0;
}

int element_point(struct driver *d, const struct element *e, const char *what, double *ret_x,
	double *ret_y)
{
	static const char until_visible[] =
		"function(ms){const e=this;return new Promise(r=>{const end=performance.now()+ms;const f=()=>{"
		"const b=e.getBoundingClientRect();if(!e.isConnected||b.width*b.height>0||"
		"performance.now()>end)r(getComputedStyle(e).visibility==='visible');"
		"else requestAnimationFrame(f)};f()})}";
	struct error err;
	auto_buf struct buf arguments = DRIVER_PARAMS;
	auto_cdp_reply struct cdp_reply visible = { 0 };
	buf_printf(&arguments, "[{\"value\":%d}]", ELEMENT_PATIENCE_MS);
	if (element_call(d, e, until_visible, &arguments, &visible) < 0)
		return -1;
	int r = json_bool(visible.result) ? look_for_point(d, e, true, ret_x, ret_y, &err) : 0;
	if (r < 0)
		return complain_error(d, what, &err);
	if (r == 0)
		return complain(d, "Error", "Locator.%s: Element is not visible", what);
	return 0;
}

int element_place(struct driver *d, const struct element *e, double *ret_x, double *ret_y)
{
	struct error err;
	int r = look_for_point(d, e, false, ret_x, ret_y, &err);
	if (r < 0)
		return complain_error(d, "look at the element", &err);
	return r ? 0 : complain(d, "Error", "Element is not visible");
}

int element_focus(struct driver *d, const struct element *e, const char *what)
{
	auto_buf struct buf params = DRIVER_PARAMS;
	struct jsonw w = JSONW(&params);
	struct error err;
	jsonw_open(&w);
	jsonw_key_str(&w, "objectId", str_from(e->object));
	jsonw_close(&w);
	if (ask(d, "DOM.focus", &params, NULL, &err) == 0)
		return 0;
	if (err.code ==
		ERROR_PROTOCOL) /* what cannot have the focus: nothing happens, as in a page */
		return 0;
	return complain_error(d, what, &err);
}

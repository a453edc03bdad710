/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same routes as images.c and build.c, where the images are the backend's own:
 * runtime/library.h.
 */
#include "face/rest/images_far.h"

#include "base/auto.h"
#include "base/bug.h"
#include "face/rest/handlers.h"
#include "face/rest/sse.h"
#include "runtime/inlet.h"

bool images_are_far(const struct http_request *r)
{
	return runtime_has_other_images(rest_of(r)->runtime);
}

/* ---- questions ---- */

static void on_answer(void *arg, struct str json, const struct error *err)
{
	struct http_request *r = arg;
	if (err)
		http_reply_error(r, err);
	else
		http_reply(r, 200, "application/json", json);
}

void images_far_ask(struct http_request *r, const struct library_question *question)
{
	library_ask(rest_of(r)->runtime, question, on_answer, r);
}

/* ---- works ---- */

struct far_work {
	struct inlet in; /* to a library_work */
	struct sse sse;  /* .r NULL: it has not begun */
	bool is_stream;
};

static void on_said(void *arg, struct str text)
{
	struct far_work *f = arg;
	if (!f->is_stream)
		return;
	if (!f->sse.r)
		sse_begin(&f->sse, f->in.r);
	sse_send_data(&f->sse, 1, text);
}

static void end_stream(struct far_work *f, const char *event, struct str json)
{
	sse_flush(&f->sse);
	sse_send(&f->sse, 0, event, json);
	http_stream_end(f->in.r, true);
}

static void on_done(void *arg, struct str json)
{
	struct far_work *f = arg;
	f->in.to = NULL;
	if (f->sse.r)
		end_stream(f, "result", json);
	else
		http_reply(f->in.r, 201, "application/json", json);
}

static void on_failed(void *arg, const struct error *err)
{
	struct far_work *f = arg;
	auto_buf struct buf json = BUF_INIT(8192);
	struct jsonw w = JSONW(&json);
	f->in.to = NULL;
	if (!f->sse.r) {
		http_reply_error(f->in.r, err);
		return;
	}
	jsonw_error(&w, err);
	end_stream(f, "error", buf_str(&json));
}

static void on_closed(void *arg)
{
	struct far_work *f = arg;
	struct error err;
	if (!f->in.to)
		return;
	library_cancel(take_ptr(f->in.to));
	if (f->sse.r) {
		http_stream_end(f->in.r, false);
		return;
	}
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(f->in.r, &err);
}

void images_far_work(struct http_request *r, const struct library_wish *wish)
{
	static const struct library_ops ops = { inlet_drain, on_said, on_done, on_failed };
	static const struct http_ops http_ops = {
		.on_body = inlet_body,
		.on_body_end = inlet_end,
		.on_closed = on_closed,
	};
	struct far_work *f = arena_new(&r->arena, struct far_work);
	f->is_stream = wish->what == LIBRARY_BUILD && http_accepts(r, "text/event-stream");
	f->in = (struct inlet){ r, &inlet_library,
		library_open(rest_of(r)->runtime, wish, &ops, f) };
	http_listen(r, &http_ops, f);
}

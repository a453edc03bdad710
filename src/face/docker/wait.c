/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for a container: POST wait, and every request that is answered when it has started,
 * ended or gone. The head of wait's answer leaves at once, since clients start the container only
 * after it.
 */
#include "face/docker/handlers.h"

#include "base/auto.h"
#include "base/bug.h"

static void let_go(struct waiter *w)
{
	list_remove(&w->link);
	timer_free(w->timer);
	free(w);
}

static void answer_into_void(struct waiter *w)
{
	struct http_request *r = take_ptr(w->request);
	if (!r)
		return;
	if (w->is_streamed)
		http_stream_end(r, false);
	else
		docker_fail(r, 499, "the client went away");
}

void waiter_free(struct waiter *w)
{
	answer_into_void(w);
	let_go(w);
}

static void on_closed(void *arg)
{
	struct waiter *w = arg;
	answer_into_void(w);
	if (!w->is_kept)
		let_go(w);
}

struct waiter *waiter_new(struct container *c, enum wait_for what, struct http_request *r,
	void (*fn)(struct waiter *w, struct container *c, const struct error *err))
{
	static const struct http_ops ops = { .on_closed = on_closed };
	struct waiter *w = mem_new(struct waiter);
	w->container = c;
	w->what = what;
	w->request = r;
	w->fn = fn;
	list_append(&c->waits, &w->link);
	if (r)
		http_listen(r, &ops, w);
	return w;
}

/* fn frees the waiter, or hangs it on again. */
void container_tell(struct container *c, enum wait_for what, const struct error *err)
{
	struct list told;
	struct waiter *w, *next;
	list_init(&told);
	list_for_each_safe(w, next, &c->waits, link) {
		if (w->what != what)
			continue;
		list_remove(&w->link);
		list_append(&told, &w->link);
	}
	while (!list_is_empty(&told)) {
		w = list_get_first(&told, struct waiter, link);
		list_remove(&w->link);
		w->fn(w, c, err);
	}
}

static void on_waited(struct waiter *w, struct container *c, const struct error *err)
{
	auto_buf struct buf b = BUF_INIT(4096);
	struct jsonw out = JSONW(&b);
	struct http_request *r = take_ptr(w->request);
	let_go(w);
	if (!r)
		return;
	jsonw_open(&out);
	jsonw_key_int(&out, "StatusCode", c->exit_code);
	jsonw_close(&out);
	buf_putc(&b, '\n');
	http_stream_write(r, buf_str(&b));
	http_stream_end(r, true);
}

void containers_wait(struct http_request *r)
{
	struct str condition = http_query(r, "condition");
	struct container *c = container_of_request(r);
	enum wait_for what = WAIT_NOT_RUNNING;
	if (!c)
		return;
	if (str_is(condition, "next-exit"))
		what = WAIT_NEXT_EXIT;
	else if (str_is(condition, "removed"))
		what = WAIT_REMOVED;
	else if (condition.len && !str_is(condition, "not-running")) {
		docker_fail(r, 400, "invalid condition: \"%.*s\"",
			STR_ARG(str_first(condition, 60)));
		return;
	}
	http_stream_begin(r, 200, "application/json", -1);
	struct waiter *w = waiter_new(c, what, r, on_waited);
	w->is_streamed = true;
	/* What was never started counts as not running, as with Docker. */
	if (what == WAIT_NOT_RUNNING && c->state != CONTAINER_RUNNING && !c->is_starting)
		container_tell(c, WAIT_NOT_RUNNING, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "http/turns.h"

#include "base/auto.h"
#include "http/conn.h"
#include "http/places.h"

#include <time.h>

enum { PAUSE_MAX_MS = 1000 };

/* Of this thread alone: what others took of the machine meanwhile is nobody's fault. */
static int64_t processor_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* Of another sandbox than the last one, if such a one waits. */
static struct exchange *find_next(const struct http_server *s)
{
	struct exchange *x;
	list_for_each(x, &s->turns.waiting, turn)
		if (places_guest_of(x) != s->turns.last)
			return x;
	return list_first(&s->turns.waiting, struct exchange, turn);
}

/* Nothing was begun for him, and nothing is. */
static void leave(struct exchange *x)
{
	struct error err;
	error_set(&err, ERROR_CANCELLED, "the client went away");
	http_reply_error(&x->r, &err);
}

static void take(struct http_server *s, struct exchange *x)
{
	int64_t start = processor_us();
	s->turns.last = places_guest_of(x);
	s->turns.is_pause = true; /* a handler may have a turn of the loop in it */
	list_remove(&x->turn);
	if (x->is_closed)
		leave(x);
	else
		request_handle(x);
	s->turns.owed_us += processor_us() - start;
	int64_t pause_ms = s->turns.owed_us / 1000;
	s->turns.owed_us %= 1000;
	timer_set(s->turns.timer, MIN(pause_ms, PAUSE_MAX_MS));
}

static void on_timer(void *arg)
{
	struct http_server *s = arg;
	struct exchange *x = find_next(s);
	s->turns.is_pause = false;
	if (x)
		take(s, x);
}

bool turns_wait(struct exchange *x)
{
	struct http_server *s = x->server;
	if (!s || (x->body.len < HTTP_TURN_BYTES && !(x->r.route->flags & HTTP_TAKES_TURNS)))
		return false;
	list_append(&s->turns.waiting, &x->turn);
	if (!s->turns.is_pause)
		take(s, x);
	return true;
}

void turns_init(struct http_server *s)
{
	list_init(&s->turns.waiting);
	s->turns.timer = timer_new(s->loop, on_timer, s);
}

void turns_fini(struct http_server *s)
{
	timer_free(s->turns.timer);
}

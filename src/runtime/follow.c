/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. A follower is a cursor. After each commit every follower is woken and,
 * unless it is paused, reads from the store what is new to it, a page at a time. Those that are due
 * stand in a line, and no more of them read in a turn than TURN_BYTES last: neither one who catches
 * up on a long log nor five hundred of them keep the others waiting.
 */
#include "runtime/internal.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"

enum { PAGE = 64, TURN_PAGES = 256, TURN_BYTES = 1024 * 1024 };

struct follower {
	struct list link; /* runtime::followers */
	struct list due;  /* runtime::due, or in no list */
	struct runtime *rt;
	char id[ID_SIZE]; /* "": all sandboxes */
	const char *kind; /* NULL: all */
	int64_t after;
	event_fn *fn;
	void *arg;
	bool is_paused;
	bool has_news; /* something it wants waits to be committed */
	bool is_reading;
	bool is_stopped; /* within its own callback */
	bool is_first; /* nothing has been told yet, and the first event of its sandbox is wanted */
	int n_read;
};

static void wake(struct follower *f);

/* What is not kept from `after` on, up to event `before`. */
static void put_gap(struct follower *f, int64_t before)
{
	auto_buf struct buf data = BUF_INIT(200);
	buf_printf(&data, "{\"after\":%lld,\"before\":%lld}", (long long)f->after,
		(long long)before);
	struct event gap = {
		.seq = before - 1,
		.time_ms = clock_wall_ms(),
		.sandbox = str_from(f->id),
		.kind = STR("gap"),
		.data = buf_str(&data),
	};
	f->is_first = false;
	f->after = before - 1;
	f->fn(f->arg, &gap);
}

static void on_row(void *arg, const struct event *event)
{
	struct follower *f = arg;
	f->rt->due_bytes += event->data.len;
	if (f->is_paused || f->is_stopped)
		return; /* the row stays behind the cursor and is read again */
	/*
	 * Of one that has had more than its share of the log, the first ones went before those of
	 * others.
	 */
	if (f->is_first && event->index > 1)
		put_gap(f, event->seq);
	f->is_first = false;
	if (f->is_paused || f->is_stopped)
		return;
	f->after = event->seq;
	f->n_read++;
	if (!f->kind || str_is(event->kind, f->kind))
		f->fn(f->arg, event);
}

/* Tells what is no longer kept. */
static void tell_gap(struct follower *f)
{
	int64_t oldest = store_oldest(f->rt->store);
	if (f->after + 1 < oldest)
		put_gap(f, oldest);
}

static void read_page(struct follower *f)
{
	if (f->is_paused)
		return;
	f->is_reading = true;
	f->n_read = 0;
	tell_gap(f);
	int64_t newest = store_newest(f->rt->store);
	struct error err;
	int r = f->is_stopped ? 0
			      : store_read(f->rt->store, f->id[0] ? f->id : NULL, f->after, PAGE,
					on_row, f, &err);
	f->is_reading = false;
	if (f->is_stopped) {
		free(f);
		return;
	}
	if (r < 0 || f->is_paused)
		return; /* tried again after the next commit, or when it is not paused any more */
	if (f->n_read == PAGE)
		wake(f);
	else
		f->after = MAX(f->after, newest); /* nothing of it is in between */
}

static void read_due(void *arg);

static void wake_line(struct runtime *rt)
{
	if (rt->is_due)
		return;
	rt->is_due = true;
	loop_defer(rt->loop, read_due, rt);
}

static void read_due(void *arg)
{
	struct runtime *rt = arg;
	rt->is_due = false;
	rt->due_bytes = 0;
	/* Who is due again comes after all that are due now. */
	for (int n = 0; n < TURN_PAGES && rt->due_bytes < TURN_BYTES; n++) {
		if (list_is_empty(&rt->due))
			return;
		struct follower *f = list_get_first(&rt->due, struct follower, due);
		list_remove(&f->due);
		read_page(f);
	}
	if (!list_is_empty(&rt->due))
		wake_line(rt);
}

static void wake(struct follower *f)
{
	if (!list_is_empty(&f->due) || f->is_paused)
		return;
	list_append(&f->rt->due, &f->due);
	wake_line(f->rt);
}

void follow_note(struct runtime *rt, const struct sandbox *s, const char *kind)
{
	struct follower *f;
	list_for_each(f, &rt->followers, link)
		if ((!f->id[0] || strcmp(f->id, s->id) == 0) &&
			(!f->kind || strcmp(f->kind, kind) == 0))
			f->has_news = true;
}

void follow_wake_all(void *arg)
{
	struct runtime *rt = arg;
	struct follower *f;
	list_for_each(f, &rt->followers, link) {
		if (!f->has_news) {
			if (f->kind && list_is_empty(&f->due))
				f->after = store_newest(rt->store); /* none of that was for it */
			continue;
		}
		f->has_news = false;
		wake(f);
	}
}

struct follower *event_follow(struct runtime *rt, const char *id, int64_t after, event_fn *fn,
	void *arg)
{
	struct follower *f = mem_new(struct follower);
	f->rt = rt;
	f->after = after;
	f->fn = fn;
	f->arg = arg;
	f->is_first = id && !after;
	if (id)
		snprintf(f->id, sizeof(f->id), "%s", id);
	list_init(&f->due);
	list_append(&rt->followers, &f->link);
	wake(f);
	return f;
}

void event_follow_only(struct follower *f, const char *kind)
{
	f->kind = kind;
}

void event_follow_pause(struct follower *f, bool is_paused)
{
	f->is_paused = is_paused;
	if (!is_paused)
		wake(f);
}

void event_follow_stop(struct follower *f)
{
	if (!f)
		return;
	list_remove(&f->link);
	list_remove(&f->due);
	f->is_stopped = true;
	if (!f->is_reading)
		free(f);
}

void follow_free_all(struct runtime *rt)
{
	while (!list_is_empty(&rt->followers))
		event_follow_stop(list_get_first(&rt->followers, struct follower, link));
}

int event_read(struct runtime *rt, const char *id, int64_t after, int limit, event_fn *fn,
	void *arg, struct error *err)
{
	return store_read(rt->store, id, after, limit, fn, arg, err);
}

void event_write(const struct event *event, struct jsonw *w)
{
	char date[CLOCK_TEXT_MAX];
	clock_text(event->time_ms, date);
	jsonw_open(w);
	jsonw_key_int(w, "seq", event->seq);
	jsonw_key_str(w, "sandbox", event->sandbox);
	jsonw_key_int(w, "index", event->index);
	jsonw_key_str(w, "time", str_from(date));
	jsonw_key_str(w, "kind", event->kind);
	if (event->cause)
		jsonw_key_int(w, "cause", event->cause);
	jsonw_key(w, "data");
	jsonw_raw(w, event->data);
	jsonw_close(w);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kube/cord.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/list.h"
#include "event/loop.h"
#include "runtime/kube/knock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { GONE_MS = 60000 }; /* what is said and not taken for so long */

struct asked {
	struct list link; /* cord::asked: not answered yet; in the order of the questions */
	struct cord *cord;
	bool is_hopeless;
	cord_usage_fn *done;
	void *arg;
};

struct cord {
	struct loop *loop;
	const struct cord_ops *ops;
	void *arg;
	struct reach reach;
	char secret[SHA256_HEX_SIZE];
	struct knock *knock;
	int fd; /* -1: not tied */
	struct watch *watch;
	struct buf in;
	struct timer *timer;
	bool is_quitting;
	int64_t pause_ms, broken_ms; /* since when, monotonic; 0: tied */
	struct error trouble;
	struct list asked;
	size_t n_asked;
};

static void tie(void *arg);

/* ---- questions ---- */

static void asked_end(struct asked *a, const struct door_usage *usage)
{
	cord_usage_fn *done = a->done;
	void *arg = a->arg;
	list_remove(&a->link);
	a->cord->n_asked--;
	loop_undefer(a->cord->loop, a);
	free(a);
	done(arg, usage);
}

static void on_hopeless(void *arg)
{
	asked_end(arg, NULL);
}

static void give_up_asked(struct cord *c)
{
	struct asked *a;
	list_for_each(a, &c->asked, link) {
		if (!a->is_hopeless)
			loop_defer(c->loop, on_hopeless, a);
		a->is_hopeless = true;
	}
}

/* ---- tied and broken ---- */

static void untie(struct cord *c, const struct error *err)
{
	watch_free(take_ptr(c->watch));
	c->fd = close_fd(c->fd);
	buf_reset(&c->in);
	c->trouble = *err;
	give_up_asked(c);
	if (c->is_quitting) {
		c->ops->gone(c->arg);
		return;
	}
	if (!c->broken_ms)
		c->broken_ms = clock_mono_ms();
	if (clock_mono_ms() - c->broken_ms > CORD_LOST_MS) {
		c->ops->lost(c->arg, err);
		return;
	}
	timer_set(c->timer, c->pause_ms);
	c->pause_ms = MIN(2 * c->pause_ms, CORD_PAUSE_MAX_MS);
	if (err->code == ERROR_FORBIDDEN)
		c->ops->refused(c->arg, err);
}

static struct asked *first_asked(struct cord *c)
{
	struct asked *a;
	list_for_each(a, &c->asked, link)
		if (!a->is_hopeless)
			return a;
	return NULL;
}

static void hear(struct cord *c, struct str line)
{
	struct door_ready who;
	struct door_usage usage;
	struct asked *a = first_asked(c);
	if (door_take_ready(line, &who)) {
		c->broken_ms = 0;
		c->pause_ms = CORD_PAUSE_MS;
		c->trouble.code = ERROR_OK;
		c->ops->ready(c->arg, &who);
	} else if (a && door_take_usage(line, &usage)) {
		asked_end(a, &usage);
	}
}

/* One line at a time, and the next in a turn of its own: what is called may free the cord. */
static void hear_one(void *arg)
{
	struct cord *c = arg;
	ptrdiff_t end = str_find_char(buf_str(&c->in), '\n');
	if (end < 0)
		return;
	auto_free char *line = str_dup(str_first(buf_str(&c->in), (size_t)end));
	buf_drop_front(&c->in, (size_t)end + 1);
	if (str_find_char(buf_str(&c->in), '\n') >= 0)
		loop_defer(c->loop, hear_one, c);
	hear(c, str_from(line));
}

static void on_said(void *arg, int events)
{
	struct cord *c = arg;
	struct error err;
	char *room = buf_room(&c->in, 512);
	ssize_t n = room ? recv(c->fd, room, 512, MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		error_set(&err, ERROR_UNAVAILABLE, "executor at %s: %s", c->reach.where,
			room ? "the connection broke" : "it says too much");
		untie(c, &err);
		return;
	}
	buf_grown(&c->in, (size_t)n);
	hear_one(c);
}

static void on_opened(void *arg, int fd)
{
	struct cord *c = arg;
	const int gone = GONE_MS;
	c->knock = NULL;
	c->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone, sizeof(gone));
	c->watch = watch_new(c->loop, fd, LOOP_READ, on_said, c);
}

static void on_failed(void *arg, const struct error *err)
{
	struct cord *c = arg;
	c->knock = NULL;
	untie(c, err);
}

static void tie(void *arg)
{
	static const struct knock_ops ops = { on_opened, on_failed };
	struct cord *c = arg;
	c->knock = knock_new(c->loop, &c->reach, DOOR_LINE, c->secret, &ops, c);
}

/* ---- from outside ---- */

struct cord *cord_new(struct loop *loop, const struct reach *reach, const char *secret,
	const struct cord_ops *ops, void *arg)
{
	struct cord *c = mem_new(struct cord);
	*c = (struct cord){ .loop = loop, .reach = *reach, .ops = ops, .arg = arg, .fd = -1 };
	snprintf(c->secret, sizeof(c->secret), "%s", secret);
	c->pause_ms = CORD_PAUSE_MS;
	list_init(&c->asked);
	buf_init(&c->in, DOOR_LINE_MAX);
	c->timer = timer_new(loop, tie, c);
	tie(c);
	return c;
}

void cord_free(struct cord *c)
{
	if (!c)
		return;
	while (!list_is_empty(&c->asked)) {
		struct asked *a = list_get_first(&c->asked, struct asked, link);
		list_remove(&a->link);
		loop_undefer(c->loop, a);
		free(a);
	}
	loop_undefer(c->loop, c);
	knock_free(c->knock);
	timer_free(c->timer);
	watch_free(c->watch);
	close_fd(c->fd);
	buf_fini(&c->in);
	explicit_bzero(c->secret, sizeof(c->secret));
	free(c);
}

const struct reach *cord_reach(const struct cord *c)
{
	return &c->reach;
}

const struct error *cord_trouble(const struct cord *c)
{
	return c->trouble.code == ERROR_OK ? NULL : &c->trouble;
}

static bool say(struct cord *c, struct str text)
{
	return c->fd >= 0 &&
		send(c->fd, text.ptr, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text.len;
}

bool cord_quit(struct cord *c)
{
	c->is_quitting = say(c, STR("Q\n"));
	return c->is_quitting;
}

void cord_ask_usage(struct cord *c, cord_usage_fn *done, void *arg)
{
	struct asked *a = mem_new(struct asked);
	*a = (struct asked){ .cord = c, .done = done, .arg = arg };
	bool is_asked = c->n_asked < CORD_ASKED_MAX && say(c, STR("U\n"));
	list_append(&c->asked, &a->link);
	c->n_asked++;
	if (is_asked)
		return;
	a->is_hopeless = true;
	loop_defer(c->loop, on_hopeless, a);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "action/channel.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/file.h"
#include "wire/json.h"

#include <sys/socket.h>

enum {
	READ_STEP = LOOP_SCRATCH,
	READS_PER_TURN = 8, /* so that one busy channel does not starve the others */
};

struct channel {
	struct loop *loop;
	struct watch *watch;
	int fd;
	const struct channel_ops *ops;
	void *arg;
	struct buf in;  /* bytes of a frame that is not whole yet */
	struct buf out; /* queued; the first `sent` bytes are gone already */
	size_t sent;
	size_t *account, account_max; /* NULL: nobody counts */
	size_t n_counted;             /* what `in` takes, in *account */
	bool is_paused;
	bool is_ended;   /* on_end was called or no callback is wanted any more */
	bool is_closing; /* channel_close: free once the queue is empty */
	bool was_full;
	bool in_callback;
	bool is_deaf; /* the peer takes nothing any more; what it sent before may still wait */
	bool is_dead; /* freed within a callback: the outermost frame of ours frees */
};

static void destroy(struct channel *c)
{
	watch_free(c->watch);
	loop_undefer(c->loop, c);
	close_fd(c->fd);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static void leave_account(struct channel *c)
{
	if (c->account)
		*c->account -= c->n_counted;
	c->account = NULL;
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	leave_account(c);
	c->is_ended = true;
	if (c->in_callback)
		c->is_dead = true;
	else
		destroy(c);
}

static void update_watch(struct channel *c)
{
	int events = 0;
	if (!c->is_paused && !c->is_ended)
		events |= LOOP_READ;
	if (c->sent < c->out.len)
		events |= LOOP_WRITE;
	watch_set(c->watch, events);
}

static void end(struct channel *c, const struct error *reason)
{
	if (!c->is_ended) {
		c->is_ended = true;
		c->ops->on_end(c->arg, reason);
	}
}

static void count(struct channel *c)
{
	struct error err;
	if (!c->account)
		return;
	bool has_grown = c->in.cap > c->n_counted;
	*c->account += c->in.cap - c->n_counted;
	c->n_counted = c->in.cap;
	if (!has_grown || *c->account <= c->account_max)
		return;
	error_set(&err, ERROR_LIMIT,
		"the executor leaves too much unfinished: over %zu bytes in all calls",
		c->account_max);
	end(c, &err);
}

/*
 * Sends what the socket takes. A peer that takes nothing any more may have sent its last words
 * before it closed: they wait to be received, and the end comes behind them. So this is no end,
 * only silence; which the peer is told, for it may live and wait for what the kernel had no memory
 * to carry (ENOBUFS).
 */
static void flush(struct channel *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.ptr + c->sent, c->out.len - c->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			c->is_deaf = true;
			c->sent = c->out.len;
			shutdown(c->fd, SHUT_WR);
			break;
		}
		c->sent += (size_t)n;
	}
	if (c->sent == c->out.len) {
		buf_reset(&c->out);
		c->sent = 0;
	} else if (c->sent > CHANNEL_HIGH) {
		buf_drop_front(&c->out, c->sent);
		c->sent = 0;
	}
}

/*
 * Gives the whole frames on. How many bytes are left; *ret_bad: what they begin with is no frame.
 */
static size_t give_frames(struct channel *c, struct str in, bool *ret_bad, struct error *err)
{
	struct frame frame;
	ssize_t n = 0;
	while (!c->is_ended && !c->is_paused && (n = frame_parse(in, &frame, err)) > 0) {
		in = str_skip(in, (size_t)n);
		c->ops->on_frame(c->arg, &frame);
	}
	*ret_bad = n < 0;
	return in.len;
}

static void dispatch(struct channel *c)
{
	struct error err;
	bool is_bad;
	size_t left = give_frames(c, buf_str(&c->in), &is_bad, &err);
	buf_drop_front(&c->in, c->in.len - left);
	if (c->in.len == 0)
		buf_reset(&c->in);
	if (is_bad)
		end(c, &err);
}

/* Most frames come whole: they are used where they were received, and only what is left is kept. */
static void dispatch_from(struct channel *c, struct str in)
{
	struct error err;
	bool is_bad;
	size_t left = give_frames(c, in, &is_bad, &err);
	buf_put(&c->in, str_skip(in, in.len - left));
	if (is_bad)
		end(c, &err);
}

/* Receives and gives on what came. False: that was all for now. */
static bool receive_once(struct channel *c)
{
	char *scratch = c->in.len == 0 ? loop_take_scratch(c->loop) : NULL;
	char *to = scratch ? scratch : buf_room(&c->in, READ_STEP);
	BUG_IF(!to, "a frame outgrew the buffer that was made for the largest frame");
	ssize_t n = recv(c->fd, to, READ_STEP, MSG_DONTWAIT);
	int sys = errno;
	if (n > 0 && scratch) {
		dispatch_from(c, str_from_len(scratch, (size_t)n));
	} else if (n > 0) {
		buf_grown(&c->in, (size_t)n);
		dispatch(c);
	}
	if (scratch)
		loop_give_scratch(c->loop);
	count(c);
	if (n < 0 && sys != EAGAIN && sys != EINTR) {
		struct error err;
		error_sys(&err, sys, "receive on a call socket");
		end(c, &err);
	} else if (n == 0) {
		end(c, NULL);
	}
	return n == READ_STEP;
}

static void receive(struct channel *c)
{
	for (int i = 0; i < READS_PER_TURN && !c->is_ended && !c->is_paused; i++)
		if (!receive_once(c))
			return;
}

static void on_ready(void *arg, int events)
{
	struct channel *c = arg;
	c->in_callback = true;
	if (events & LOOP_WRITE)
		flush(c);
	if (events & LOOP_READ)
		receive(c);
	if (c->was_full && !channel_is_full(c)) {
		c->was_full = false;
		if (!c->is_ended && c->ops->on_drain)
			c->ops->on_drain(c->arg);
	}
	c->in_callback = false;
	if (c->is_dead || (c->is_closing && c->out.len == 0))
		destroy(c);
	else
		update_watch(c);
}

struct channel *channel_new(struct loop *loop, int fd, const struct channel_ops *ops, void *arg)
{
	struct channel *c = mem_new(struct channel);
	c->loop = loop;
	c->fd = fd;
	c->ops = ops;
	c->arg = arg;
	buf_init(&c->in, FRAME_HEAD + FRAME_PAYLOAD_MAX + 2 * READ_STEP);
	buf_init(&c->out, CHANNEL_QUEUE_MAX + FRAME_HEAD);
	c->watch = watch_new(loop, fd, LOOP_READ, on_ready, c);
	return c;
}

void channel_set_account(struct channel *c, size_t *held, size_t max)
{
	c->account = held;
	c->account_max = max;
}

/* A peer that takes nothing while the queue overflows is cut off in the next turn. */
static void overflow(void *arg)
{
	struct channel *c = arg;
	struct error err;
	error_set(&err, ERROR_LIMIT, "the peer of a call does not read; %d bytes were waiting",
		CHANNEL_QUEUE_MAX);
	c->in_callback = true;
	end(c, &err);
	c->in_callback = false;
	if (c->is_dead || c->is_closing)
		destroy(c);
}

void channel_send(struct channel *c, enum frame_kind kind, uint8_t channel, struct str payload)
{
	if (c->is_dead || c->is_deaf)
		return;
	bool was_empty = c->out.len == 0;
	if (frame_put(&c->out, kind, channel, payload) < 0) {
		loop_defer(c->loop, overflow, c);
		return;
	}
	/* Most frames leave at once: that saves a turn of the loop for every call. */
	if (was_empty)
		flush(c);
	if (channel_is_full(c))
		c->was_full = true;
	if (!c->in_callback)
		update_watch(c);
}

void channel_close(struct channel *c)
{
	if (!c)
		return;
	leave_account(c);
	c->is_ended = true;
	if (c->out.len == 0) {
		channel_free(c);
		return;
	}
	c->is_closing = true;
	if (!c->in_callback)
		update_watch(c);
}

bool channel_is_full(const struct channel *c)
{
	return c->out.len - c->sent >= CHANNEL_HIGH;
}

void channel_hand_over(struct channel *c, const struct channel_ops *ops, void *arg)
{
	c->ops = ops;
	c->arg = arg;
}

bool channel_is_clear(const struct channel *c)
{
	return c->out.len == 0 && !c->is_ended && !c->is_paused;
}

static void resume(void *arg)
{
	struct channel *c = arg;
	c->in_callback = true;
	dispatch(c);
	count(c);
	c->in_callback = false;
	if (c->is_dead)
		destroy(c);
	else
		update_watch(c);
}

void channel_pause(struct channel *c, bool is_paused)
{
	if (c->is_paused == is_paused || c->is_dead)
		return;
	c->is_paused = is_paused;
	if (!is_paused && c->in.len)
		loop_defer(c->loop, resume, c); /* whole frames may be waiting in `in` */
	if (!c->in_callback)
		update_watch(c);
}

void channel_send_error(struct channel *c, const struct error *e)
{
	auto_buf struct buf b = BUF_INIT(8192);
	struct jsonw w = JSONW(&b);
	jsonw_error(&w, e);
	channel_send(c, FRAME_ERROR, 0, buf_str(&b));
}

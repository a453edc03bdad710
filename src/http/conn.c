/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection. Whatever happens to it (bytes, room to send, an answer from a handler, a
 * deadline) ends in conn_settle: go on with the request as far as the bytes go, then set the watch
 * and the deadline from the state. No other place decides what is awaited.
 *
 * Bytes are received into the server's scratch space and used from there; only what cannot be used
 * yet is copied to `in`. So an idle connection holds no buffer, and a whole request is read without
 * a copy.
 *
 * Handlers run inside conn_settle and may answer there. `depth` keeps the connection alive
 * meanwhile.
 *
 * Closing: after the last answer the sending side is shut down, and what the peer still sends is
 * read and thrown away for a while. Closing at once would reset the connection under bytes that are
 * on their way, and the peer might lose the answer (RFC 9112 9.6).
 */
#include "http/conn.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "http/places.h"

#include <sys/socket.h>

enum {
	READS_PER_TURN = 4,
	REQUESTS_PER_TURN = 4, /* that came one behind the other; the rest is for later turns */
	PROGRESS_BYTES =
		4096, /* what must move before the stall deadline: one byte is no progress */
	IN_MAX = HTTP_HEAD_MAX + 2 * CONN_READ_SIZE,
	AHEAD_MAX = 16 * 1024,  /* read while an answer is awaited: to notice that the peer left */
	DRAIN_MAX = 256 * 1024, /* rest of a body that is read to keep the connection */
	DISCARD_MAX = 64 * 1024 * 1024,
	KEPT_BUFFER = 4096, /* an empty buffer larger than this is given back */
	OUT_MAX = HTTP_REPLY_MAX + HTTP_STREAM_MAX,
};

static void destroy(struct http_conn *c)
{
	struct exchange *x = take_ptr(c->current);
	if (x && x->is_handled)
		places_abandon(c, x);
	if (c->raw)
		c->raw->on_cut(c->raw_arg);
	if (c->is_kicked)
		loop_undefer(c->server->loop, c);
	if (x)
		x->conn = NULL;
	watch_free(c->watch);
	server_forget(c);
	close_fd(c->fd);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
	if (x)
		exchange_abandon(x);
}

void conn_free(struct http_conn *c)
{
	c->is_broken = true;
	if (c->depth == 0)
		destroy(c);
}

size_t conn_waiting(const struct http_conn *c)
{
	return c->out.len - c->sent;
}

bool conn_is_full(const struct http_conn *c, size_t high)
{
	return conn_waiting(c) >= high || places_is_high(c);
}

/* Sends what waits, as far as the socket takes it. */
static void flush(struct http_conn *c)
{
	while (conn_waiting(c) && !c->is_broken) {
		ssize_t n = send(c->fd, c->out.ptr + c->sent, conn_waiting(c),
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			c->is_broken = true;
			return;
		}
		c->sent += (size_t)n;
		c->moved += (size_t)n;
	}
	if (conn_waiting(c) == 0) {
		if (c->out.cap > KEPT_BUFFER)
			buf_fini(&c->out);
		buf_reset(&c->out);
		c->sent = 0;
	} else if (c->sent > c->out.len / 2) {
		buf_drop_front(&c->out, c->sent);
		c->sent = 0;
	}
	places_count(c);
}

void conn_send(struct http_conn *c, const struct iovec *parts, int n_parts)
{
	size_t done = 0;
	if (c->is_broken)
		return;
	if (conn_waiting(c) == 0) {
		struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)parts,
			.msg_iovlen = (size_t)n_parts };
		ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			conn_break(c);
			return;
		}
		done = n > 0 ? (size_t)n : 0;
		c->moved += done;
	}
	for (int i = 0; i < n_parts; i++) {
		size_t skip = MIN(done, parts[i].iov_len);
		done -= skip;
		buf_add(&c->out, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
	}
	places_count(c);
	if (c->out.is_full || (conn_waiting(c) && places_is_over(c)))
		conn_break(c);
}

static void settle(struct http_conn *c);

static void on_kick(void *arg)
{
	struct http_conn *c = arg;
	c->is_kicked = false;
	c->n_in_turn = 0;
	settle(c);
}

static void kick(struct http_conn *c)
{
	if (c->is_kicked)
		return;
	c->is_kicked = true;
	loop_defer(c->server->loop, on_kick, c);
}

void conn_break(struct http_conn *c)
{
	c->is_broken = true;
	kick(c);
}

static void next_request(struct http_conn *c)
{
	places_answered(c);
	c->input = INPUT_HEAD;
	c->is_answered = false;
	c->is_fresh = false;
	c->is_next = true;
	c->scanned = 0;
	c->body_seen = 0;
	c->chunks = (struct http1_chunks){ 0 };
}

/* It has had its share of this turn: what it has sent more is read when all others were. */
static bool has_had_its_turn(const struct http_conn *c)
{
	return c->input == INPUT_HEAD && c->n_in_turn >= REQUESTS_PER_TURN;
}

static size_t use_head(struct http_conn *c, struct str in)
{
	struct error err;
	if (has_had_its_turn(c)) {
		kick(c);
		return 0;
	}
	ssize_t n = http1_head_end(in, &c->scanned, &err);
	if (n == 0 && in.len < HTTP_HEAD_MAX) {
		c->is_broken = c->is_broken || c->is_eof;
		return 0;
	}
	if (n == 0 || n > HTTP_HEAD_MAX) {
		error_set(&err, ERROR_TOO_LARGE,
			"HTTP: a request line and headers of more than %d bytes", HTTP_HEAD_MAX);
		reply_refuse(c, 431, &err);
		return in.len;
	}
	if (n < 0) {
		reply_refuse(c, 400, &err);
		return in.len;
	}
	c->n_in_turn++;
	request_begin(c, str_first(in, (size_t)n));
	return (size_t)n;
}

static void pass_body(struct http_conn *c, struct str piece)
{
	c->body_seen += (int64_t)piece.len;
	if (piece.len && c->current)
		request_body(c->current, piece);
}

static void end_body(struct http_conn *c)
{
	c->input = INPUT_DONE;
	if (!c->current)
		return;
	c->current->is_closed = c->is_eof;
	request_body_end(c->current);
}

static size_t use_sized_body(struct http_conn *c, struct str in)
{
	struct str piece = str_first(in, (size_t)MIN(c->body_left, (int64_t)in.len));
	c->body_left -= (int64_t)piece.len;
	pass_body(c, piece);
	if (c->body_left == 0 && c->input == INPUT_BODY)
		end_body(c);
	return piece.len;
}

static size_t use_chunked_body(struct http_conn *c, struct str in)
{
	struct error err;
	struct str piece;
	ssize_t n = http1_dechunk(&c->chunks, in, &piece, &err);
	if (n < 0) {
		reply_refuse(c, 400, &err);
		return in.len;
	}
	pass_body(c, piece);
	if (c->chunks.state == CHUNK_DONE && c->input == INPUT_BODY)
		end_body(c);
	return (size_t)n;
}

static bool is_paused(const struct http_conn *c)
{
	return c->input == INPUT_BODY && c->current && !request_takes_body(c->current);
}

/* Uses bytes of `in` as the state asks: how many. */
static size_t use_input(struct http_conn *c, struct str in)
{
	switch (c->input) {
	case INPUT_HEAD:
		return use_head(c, in);
	case INPUT_BODY:
		if (is_paused(c))
			return 0;
		return c->body_left >= 0 ? use_sized_body(c, in) : use_chunked_body(c, in);
	case INPUT_DISCARD:
		c->body_seen += (int64_t)in.len;
		if (c->body_seen > DISCARD_MAX)
			c->is_broken = true;
		return in.len;
	default:
		return 0;
	}
}

static void start_discard(struct http_conn *c)
{
	places_answered(c);
	shutdown(c->fd, SHUT_WR);
	c->input = INPUT_DISCARD;
	c->body_seen = 0;
	c->is_broken = c->is_broken || c->is_eof;
}

/* An answer is through and has left: on to the next request, or to the end. */
static bool turn_over(struct http_conn *c)
{
	if (!c->is_answered || conn_waiting(c) || c->input == INPUT_DISCARD)
		return false;
	if (c->is_last) {
		start_discard(c);
		return true;
	}
	if (c->input != INPUT_DONE)
		return false;
	next_request(c);
	return true;
}

/* The rest of the body will not come. */
static void lose_body(struct http_conn *c)
{
	if (!c->is_answered)
		c->is_broken = true;
	c->is_last = true;
	turn_over(c);
}

/* Goes on as far as the bytes go. */
static void advance(struct http_conn *c, struct str fresh)
{
	bool is_kept = c->in.len > 0;
	if (is_kept)
		buf_put(&c->in, fresh);
	BUG_IF(c->in.is_full, "a connection was read although its bytes cannot be used");
	struct str in = is_kept ? buf_str(&c->in) : fresh;
	size_t total = in.len, used = 1;
	while (!c->is_broken && (turn_over(c) || (in.len && used))) {
		used = use_input(c, in);
		in = str_skip(in, used);
	}
	if (c->is_eof && c->input == INPUT_BODY && !in.len)
		lose_body(c);
	if (!is_kept)
		buf_put(&c->in, in);
	else
		buf_drop_front(&c->in, total - in.len);
	if (c->in.len == 0 && c->in.cap > KEPT_BUFFER)
		buf_fini(&c->in);
}

static bool wants_read(const struct http_conn *c)
{
	if (c->is_eof || c->is_broken || c->input == INPUT_RAW)
		return false;
	if (has_had_its_turn(c) && c->in.len)
		return false;
	if (c->input == INPUT_DONE || is_paused(c))
		return c->in.len < AHEAD_MAX;
	return c->input != INPUT_HEAD || conn_waiting(c) == 0;
}

static void at_eof(struct http_conn *c)
{
	c->is_eof = true;
	if (c->input == INPUT_DISCARD || (c->input == INPUT_HEAD && c->in.len == 0))
		c->is_broken = true;
	if (c->current && c->input == INPUT_DONE)
		c->current->is_closed = true;
}

static void receive(struct http_conn *c)
{
	for (int i = 0; i < READS_PER_TURN && wants_read(c); i++) {
		ssize_t n = recv(c->fd, c->server->scratch, CONN_READ_SIZE, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			c->is_broken = true;
		else if (n == 0)
			at_eof(c);
		if (n <= 0)
			return;
		c->moved += (size_t)n;
		advance(c, str_from_len(c->server->scratch, (size_t)n));
		if (n < CONN_READ_SIZE)
			return;
	}
}

static enum deadline wanted_deadline(const struct http_conn *c)
{
	if (c->input == INPUT_RAW)
		return DEADLINE_NONE;
	if (c->input == INPUT_DISCARD)
		return DEADLINE_DISCARD;
	if (conn_waiting(c))
		return DEADLINE_STALL;
	if (c->input == INPUT_HEAD)
		return c->is_fresh || c->in.len ? DEADLINE_HEAD : DEADLINE_IDLE;
	if (c->input == INPUT_BODY)
		return is_paused(c) ? DEADLINE_NONE : DEADLINE_STALL;
	return c->current && c->current->is_event_stream ? DEADLINE_PING : DEADLINE_NONE;
}

/* What is awaited now: the only place that decides it. */
static void await(struct http_conn *c)
{
	int events = c->input == INPUT_RAW ? c->raw_events : 0;
	if (wants_read(c))
		events |= LOOP_READ;
	if (conn_waiting(c))
		events |= LOOP_WRITE;
	watch_set(c->watch, events);

	enum deadline kind = wanted_deadline(c);
	bool is_restarted = c->is_next || (kind == DEADLINE_PING && c->moved) ||
		(kind == DEADLINE_STALL && c->moved >= PROGRESS_BYTES);
	if (kind != c->deadline || is_restarted)
		c->moved = 0;
	server_deadline(c, kind, is_restarted);
	c->is_next = false;
}

static void settle(struct http_conn *c)
{
	if (c->depth++ == 0) {
		advance(c, STR_NONE);
		struct exchange *x = c->current;
		if (x && x->is_streaming && !c->is_broken)
			reply_drained(x);
		if (c->current && c->current->is_closed && c->current->is_handled && !c->is_broken)
			reply_closed(c->current);
		advance(c, STR_NONE);
	}
	if (--c->depth > 0)
		return;
	if (c->is_broken)
		destroy(c);
	else
		await(c);
}

void conn_touch(struct http_conn *c)
{
	if (c->depth > 0)
		return;
	if (c->is_broken || c->in.len) {
		kick(c); /* no handler may run within the caller */
		return;
	}
	advance(c, STR_NONE);
	if (c->is_broken)
		kick(c);
	else
		await(c);
}

static void on_ready(void *arg, int events)
{
	struct http_conn *c = arg;
	c->depth++;
	if (!c->is_kicked)
		c->n_in_turn = 0;
	if (events & LOOP_WRITE)
		flush(c);
	if (events & LOOP_READ)
		receive(c);
	if (c->input == INPUT_RAW && c->raw && !c->is_broken)
		c->raw->on_ready(c->raw_arg, events);
	c->depth--;
	settle(c);
}

void conn_expire(struct http_conn *c, enum deadline kind)
{
	if (kind == DEADLINE_PING) {
		reply_ping(c->current);
		conn_touch(c);
		return;
	}
	if (kind == DEADLINE_HEAD && c->in.len) {
		struct error err;
		error_set(&err, ERROR_TIMEOUT, "HTTP: the headers took longer than %d ms",
			c->server->config.head_ms);
		reply_refuse(c, 408, &err);
		conn_touch(c);
		return;
	}
	conn_free(c);
}

bool conn_can_go_on(const struct http_conn *c)
{
	if (c->is_last || c->server->is_stopping)
		return false;
	return c->input != INPUT_BODY || (c->body_left >= 0 && c->body_left <= DRAIN_MAX);
}

void conn_take_raw(struct http_conn *c, const struct raw_ops *ops, void *arg)
{
	c->raw = ops;
	c->raw_arg = arg;
	c->input = INPUT_RAW;
	c->current = NULL;
}

void conn_end_raw(struct http_conn *c)
{
	c->raw = NULL;
	start_discard(c);
	conn_touch(c);
}

void conn_raw_watch(struct http_conn *c, int events)
{
	c->raw_events = events;
	if (c->depth == 0)
		await(c);
}

ssize_t conn_raw_read(struct http_conn *c, char *to, size_t len)
{
	if (c->in.len) {
		size_t n = MIN(len, c->in.len);
		memcpy(to, c->in.ptr, n);
		buf_drop_front(&c->in, n);
		return (ssize_t)n;
	}
	ssize_t n = recv(c->fd, to, len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? n : -1;
}

void conn_new(struct http_server *server, int fd, struct peer *peer)
{
	struct http_conn *c = mem_new(struct http_conn);
	c->server = server;
	c->fd = fd;
	c->peer = peer;
	c->is_fresh = true;
	buf_init(&c->in, IN_MAX);
	buf_init(&c->out, OUT_MAX);
	list_init(&c->link);
	places_greet(c);
	list_append(&server->conns, &c->all);
	server->n_conns++;
	c->watch = watch_new(server->loop, fd, LOOP_READ, on_ready, c);
	on_ready(c, LOOP_READ); /* most clients send at once */
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation. The head of the request goes out at once, its body as it comes. The answer
 * passes
 *
 *	HEAD      its head is being collected; heads of 1xx are read and dropped
 *	SIZED, CHUNKED, TO_END    its body, by what the head says
 *	TUNNEL    upgraded: bytes both ways, no framing any more
 *	DONE
 *
 * Whoever ends it (the answer is whole, the client is gone, upstream failed) calls finish, which
 * answers the request if nobody has, closes the stream, and frees at the end of the outermost
 * callback: `depth` keeps the proxy alive while a function of it runs.
 */
#include "http/proxy.h"

#include "base/auto.h"
#include "base/bug.h"
#include "http/conn.h"
#include "http/proxy_headers.h"
#include "http/tunnel.h"

enum {
	PIECE_MAX = 64 * 1024,
	LINGER_MS = 60 * 1000, /* of a tunnel whose client sends no more */
	REPLY_HEAD_MAX = HTTP_HEAD_MAX,
	REQUEST_HEAD_MAX = 2 * HTTP_HEAD_MAX + 4096,
};

enum phase { HEAD, SIZED, CHUNKED, TO_END, TUNNEL, DONE };

struct proxy {
	struct http_request *r; /* NULL: answered, or a tunnel */
	struct tunnel *tunnel;
	struct proxy_target target;
	struct arena arena; /* the target's strings */
	const struct proxy_ops *ops;
	void *arg;
	struct timer *timer; /* until the answer's head */
	enum phase phase;
	struct buf head;
	size_t scanned;
	int64_t left; /* of a sized body */
	struct http1_chunks chunks;
	bool wants_tunnel;
	bool is_head;   /* the request's method */
	bool has_begun; /* the answer */
	int depth;
};

static void leave(struct proxy *p)
{
	if (--p->depth > 0 || p->phase != DONE)
		return;
	timer_free(p->timer);
	tunnel_free(p->tunnel);
	buf_fini(&p->head);
	arena_fini(&p->arena);
	free(p);
}

/* err: of an answer that is not whole. */
static void finish(struct proxy *p, const struct error *err)
{
	if (p->phase == DONE)
		return;
	p->phase = DONE;
	struct http_request *r = take_ptr(p->r);
	struct tunnel *t = take_ptr(p->tunnel);
	if (t)
		tunnel_close(t);
	if (r && p->has_begun)
		http_stream_end(r, err == NULL);
	else if (r)
		http_reply_error(r, err);
	p->ops->close(p->arg);
}

static void fail(struct proxy *p, const struct error *err)
{
	struct error told = *err;
	error_wrap(&told, "%s", p->target.who);
	/* The server here is well: it is the one behind it that is not. */
	if (told.code == ERROR_UNAVAILABLE || told.code == ERROR_INVALID)
		told.code = ERROR_PROTOCOL;
	finish(p, &told);
}

static void on_timeout(void *arg)
{
	struct proxy *p = arg;
	struct error err;
	p->depth++;
	error_set(&err, ERROR_TIMEOUT, "%s did not answer in time", p->target.who);
	finish(p, p->phase == TUNNEL ? NULL : &err);
	leave(p);
}

/* ---- from the client ---- */

static void send_chunk(struct proxy *p, struct str piece)
{
	char size[20];
	int n = snprintf(size, sizeof(size), "%zx\r\n", piece.len);
	p->ops->send(p->arg, str_from_len(size, (size_t)n));
	p->ops->send(p->arg, piece);
	p->ops->send(p->arg, STR("\r\n"));
}

static void on_body(void *arg, struct str piece)
{
	struct proxy *p = arg;
	p->depth++;
	if (p->phase == HEAD)
		timer_set(p->timer, p->target.answer_ms); /* upstream may wait for all of it */
	if (p->r->body_length < 0)
		send_chunk(p, piece);
	else
		p->ops->send(p->arg, piece);
	if (p->r && p->ops->is_full(p->arg))
		http_pause_body(p->r, true);
	leave(p);
}

static void on_body_end(void *arg)
{
	struct proxy *p = arg;
	p->depth++;
	if (p->r->body_length < 0)
		p->ops->send(p->arg, STR("0\r\n\r\n"));
	leave(p);
}

static void on_client_drain(void *arg)
{
	struct proxy *p = arg;
	p->ops->pause(p->arg, false);
}

static void on_client_gone(void *arg)
{
	struct proxy *p = arg;
	struct error err;
	p->depth++;
	error_set(&err, ERROR_CANCELLED, "the client is gone");
	finish(p, &err);
	leave(p);
}

static const struct http_ops request_ops = { on_body, on_body_end, on_client_drain,
	on_client_gone };

static void on_tunnel_bytes(void *arg, struct str bytes)
{
	struct proxy *p = arg;
	p->depth++;
	p->ops->send(p->arg, bytes);
	if (p->tunnel && p->ops->is_full(p->arg))
		tunnel_pause(p->tunnel, true);
	leave(p);
}

/*
 * Upstream may have more to say to a client that only listens; not for ever, if that one is gone.
 */
static void on_tunnel_close(void *arg)
{
	struct proxy *p = arg;
	timer_set(p->timer, LINGER_MS);
	p->ops->eof(p->arg);
}

static const struct tunnel_ops tunnel_ops = { on_tunnel_bytes, on_client_drain, on_tunnel_close };

/* ---- from upstream ---- */

static bool has_body(const struct proxy *p, int status)
{
	return !p->is_head && status >= 200 && status != 204 && status != 304;
}

static void hold_if_full(struct proxy *p)
{
	bool is_full = p->tunnel ? tunnel_is_full(p->tunnel) : p->r && http_stream_is_full(p->r);
	if (is_full)
		p->ops->pause(p->arg, true);
}

static int begin_tunnel(struct proxy *p, const struct http1_head *head, struct error *err)
{
	struct str given = http1_find(head, "Upgrade");
	if (!p->wants_tunnel || !given.len)
		return error_set(err, ERROR_PROTOCOL,
			"it answers with 101, but no other protocol was asked for");
	if (proxy_take_reply(p->r, &p->target, head, err) < 0)
		return -1;
	timer_clear(p->timer);
	p->phase = TUNNEL;
	p->tunnel = tunnel_accept(take_ptr(p->r), given, &tunnel_ops, p);
	return 0;
}

static int begin_body(struct proxy *p, const struct http1_head *head, struct error *err)
{
	bool is_body = has_body(p, head->status);
	int64_t length = head->is_chunked ? -1 : head->content_length;
	if (proxy_take_reply(p->r, &p->target, head, err) < 0)
		return -1;
	timer_clear(p->timer);
	p->has_begun = true;
	p->left = is_body ? length : 0;
	p->phase = !is_body || length >= 0 ? SIZED : head->is_chunked ? CHUNKED : TO_END;
	http_stream_begin_bare(p->r, head->status, length);
	return 0;
}

/* One whole head at the front of what was collected. */
static int take_head(struct proxy *p, struct str text, struct error *err)
{
	struct http1_head head;
	if (http1_parse_reply(text, &head, err) < 0)
		return error_wrap(err, "its answer is no HTTP");
	if (head.status == 101)
		return begin_tunnel(p, &head, err);
	return head.status >= 200 ? begin_body(p, &head, err) : 0;
}

/* Collects; what follows the last head is *rest. */
static int collect_head(struct proxy *p, struct str *rest, struct error *err)
{
	buf_put(&p->head, *rest);
	*rest = STR_NONE;
	while (p->phase == HEAD) {
		ssize_t n = http1_head_end(buf_str(&p->head), &p->scanned, err);
		if (n < 0)
			return error_wrap(err, "its answer is no HTTP");
		if (n > REPLY_HEAD_MAX || (n == 0 && p->head.len > REPLY_HEAD_MAX))
			return error_set(err, ERROR_PROTOCOL,
				"the head of its answer has over %d bytes", REPLY_HEAD_MAX);
		if (n == 0)
			return 0;
		auto_free char *text = str_dup(str_first(buf_str(&p->head), (size_t)n));
		buf_drop_front(&p->head, (size_t)n);
		p->scanned = 0;
		if (take_head(p, str_from_len(text, (size_t)n), err) < 0)
			return -1;
	}
	*rest = buf_str(&p->head);
	return 0;
}

static void pass(struct proxy *p, struct str piece)
{
	if (p->r && piece.len)
		http_stream_write(p->r, piece);
}

static int pass_chunks(struct proxy *p, struct str rest, struct error *err)
{
	struct str piece;
	while (rest.len && p->chunks.state != CHUNK_DONE) {
		ssize_t n = http1_dechunk(&p->chunks, rest, &piece, err);
		if (n < 0)
			return -1;
		pass(p, piece);
		rest = str_skip(rest, (size_t)n);
	}
	if (p->chunks.state == CHUNK_DONE)
		finish(p, NULL);
	return 0;
}

static int take_bytes(struct proxy *p, struct str rest, struct error *err)
{
	if (p->phase == HEAD && collect_head(p, &rest, err) < 0)
		return -1;
	switch (p->phase) {
	case SIZED:
		rest = str_first(rest, (size_t)p->left);
		p->left -= (int64_t)rest.len;
		pass(p, rest);
		if (p->left == 0)
			finish(p, NULL); /* what still comes belongs to nobody */
		return 0;
	case CHUNKED:
		return pass_chunks(p, rest, err);
	case TO_END:
		pass(p, rest);
		return 0;
	case TUNNEL:
		tunnel_send(p->tunnel, rest);
		return 0;
	default:
		return 0;
	}
}

void proxy_receive(struct proxy *p, struct str bytes)
{
	struct error err;
	p->depth++;
	while (bytes.len && p->phase != DONE) {
		struct str piece = str_first(bytes, PIECE_MAX);
		bytes = str_skip(bytes, piece.len);
		if (take_bytes(p, piece, &err) < 0)
			fail(p, &err);
	}
	if (p->phase != DONE)
		hold_if_full(p);
	leave(p);
}

void proxy_drained(struct proxy *p)
{
	p->depth++;
	if (p->tunnel)
		tunnel_pause(p->tunnel, false);
	else if (p->r)
		http_pause_body(p->r, false);
	leave(p);
}

void proxy_end(struct proxy *p, const struct error *err)
{
	struct error early;
	p->depth++;
	if (!err && (p->phase == TO_END || p->phase == TUNNEL)) {
		finish(p, NULL);
	} else if (err) {
		fail(p, err);
	} else {
		error_set(&early, ERROR_PROTOCOL, "it closed the connection before %s",
			p->phase == HEAD ? "it answered" : "its answer was whole");
		fail(p, &early);
	}
	leave(p);
}

/* ---- the beginning ---- */

static const char *keep(struct proxy *p, const char *text)
{
	return text ? arena_str(&p->arena, str_from(text)) : NULL;
}

static void keep_target(struct proxy *p, const struct proxy_target *target)
{
	p->arena = ARENA_INIT(4 * HTTP_HEAD_MAX);
	p->target = (struct proxy_target){
		.path = { arena_str(&p->arena, target->path), target->path.len },
		.host = keep(p, target->host),
		.prefix = keep(p, target->prefix),
		.cookie = keep(p, target->cookie),
		.headers = target->headers, /* a constant of who asks */
		.query = keep(p, target->query),
		.who = keep(p, target->who),
		.answer_ms = target->answer_ms ? target->answer_ms : PROXY_ANSWER_MS,
	};
}

struct proxy *proxy_new(struct http_request *r, const struct proxy_target *target,
	const struct proxy_ops *ops, void *arg)
{
	struct str protocol;
	struct proxy *p = mem_new(struct proxy);
	p->r = r;
	p->ops = ops;
	p->arg = arg;
	p->is_head = str_is(r->method, "HEAD");
	p->wants_tunnel = tunnel_wanted(r, &protocol);
	buf_init(&p->head, REPLY_HEAD_MAX + PIECE_MAX);
	keep_target(p, target);
	p->timer = timer_new(exchange_of(r)->server->loop, on_timeout, p);
	timer_set(p->timer, p->target.answer_ms);
	auto_buf struct buf head = BUF_INIT(REQUEST_HEAD_MAX);
	proxy_put_request(r, &p->target, p->wants_tunnel ? protocol : STR_NONE, &head);
	BUG_IF(head.is_full, "a request's head that fits its limit does not fit the proxy's");
	ops->send(arg, buf_str(&head));
	http_listen(r, &request_ops, p);
	return p;
}

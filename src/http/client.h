/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: HTTP requests that wait for their answer, for command-line programs (websockets share
 * wslay with the server: http/wsframe.h). Who has a loop takes http/fetch.h.
 *
 *	struct http_client *c;
 *	if (http_client_new("unix:/run/cay/cay.sock", token, &c, err) < 0) …
 *	auto_buf struct buf body = BUF_INIT(16 << 20);
 *	int status = http_client_get(c, "/v1/sandboxes", &body, err);
 *
 * A URL is "http://host:port", "https://host", or "unix:/path/of/socket"; a path in it is put
 * before every request's path. Connections are kept and used again. No proxy, no redirect, no
 * cookie; TLS is verified.
 *
 * A status of 400 and above is a failure: *err gets the code and message of a body that is
 * {"error":{"code","message"}}, else ERROR_PROTOCOL, for 403 ERROR_FORBIDDEN, with its "message" or
 * the start of the body. No connection, or one that breaks, is ERROR_UNAVAILABLE; a call that
 * exceeds timeout_ms is ERROR_TIMEOUT.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

struct http_client;

int http_client_new(const char *url, const char *token, struct http_client **ret,
	struct error *err);
void http_client_free(struct http_client *client);
/* Whom its WebSockets speak TLS with, and as whom; outlives the client. */
struct fetch_tls;
void http_client_set_tls(struct http_client *client, const struct fetch_tls *tls);

struct http_call {
	const char *method;       /* "POST" */
	const char *path;         /* "/v1/sandboxes?x=1", encoded: see wire/url.h */
	const char *accept;       /* NULL: any */
	const char *content_type; /* NULL: none */
	struct str body;          /* from memory, or */
	int body_fd;              /* read to its end, if > 0 and body.ptr is NULL */
	int64_t body_size;        /* of body_fd, if known (0: chunked) */
	int64_t timeout_ms;       /* of the whole call; 0: none */
	/* Where the body of a good answer goes: appended to `reply` (its ceiling holds), or piece
	 * by piece. */
	struct buf *reply;
	int (*on_body)(void *arg, struct str piece,
		struct error *err); /* negative ends the call with *err */
	/* Instead of on_body: an event of a text/event-stream. */
	int (*on_event)(void *arg, struct str event, struct str data, struct error *err);
	/*
	 * Now and then while bodies are under way: bytes so far, both ways together. May be NULL.
	 */
	void (*on_progress)(void *arg, int64_t bytes);
	void *arg;
	bool takes_errors; /* an answer of 400 and above is no failure, and goes to `reply` too */
	int ret_status;    /* 200 */
	char ret_type[64]; /* Content-Type of the answer, without parameters */
};

/* 0, or -1 with *err filled. */
int http_client_call(struct http_client *client, struct http_call *call, struct error *err);
/* Short forms. `json` may be STR_NONE. */
int http_client_get(struct http_client *client, const char *path, struct buf *reply,
	struct error *err);
int http_client_post(struct http_client *client, const char *path, struct str json,
	struct buf *reply, struct error *err);
int http_client_delete(struct http_client *client, const char *path, struct buf *reply,
	struct error *err);

/*
 * The same without waiting, for a program that runs the client's loop itself, or from a callback of
 * a call. `done` comes from there, unless the client is freed before. body: of whatever status;
 * NULL err: there was an answer.
 */
struct loop;
struct loop *http_client_loop(const struct http_client *client);
typedef void http_later_fn(void *arg, int status, struct str body, const struct error *err);
/* json is copied; an answer of more than reply_max bytes is an error. */
void http_client_later(struct http_client *client, const char *method, const char *path,
	struct str json, size_t reply_max, http_later_fn *done, void *arg);

/*
 * A WebSocket, for a program with a poll(2) loop of its own:
 *
 *	struct pollfd p = { .fd = http_ws_fd(ws), .events = http_ws_poll_events(ws) };
 *	poll(…);
 *	if (http_ws_turn(ws, &err) < 0) …   reads and writes what it can without waiting, calls the
 * ops
 *
 * Messages are at most HTTP_WS_MESSAGE_MAX; the server's pings are answered within http_ws_turn.
 */
enum { HTTP_WS_MESSAGE_MAX = 16 * 1024 * 1024, HTTP_WS_HIGH = 256 * 1024 };

struct http_ws;

struct http_ws_ops {
	void (*on_text)(void *arg, struct str text);
	void (*on_binary)(void *arg, struct str bytes);
	void (*on_close)(void *arg, int code); /* once; 1006: the connection broke */
};

/* protocol: the subprotocol that is asked for, and has to be the server's answer; NULL: none. */
int http_ws_open(struct http_client *client, const char *path, const char *protocol,
	const struct http_ws_ops *ops, void *arg, struct http_ws **ret, struct error *err);
int http_ws_fd(const struct http_ws *ws);
short http_ws_poll_events(const struct http_ws *ws); /* POLLIN, POLLOUT */
int http_ws_turn(struct http_ws *ws, struct error *err);
bool http_ws_is_full(const struct http_ws *ws); /* HTTP_WS_HIGH bytes wait to be sent */
/* Reads no more. When that ends, what came before is taken in the next turn, without an event. */
void http_ws_pause(struct http_ws *ws, bool is_paused);
void http_ws_send_text(struct http_ws *ws, struct str text);
void http_ws_send_binary(struct http_ws *ws, struct str bytes);
void http_ws_close(struct http_ws *ws,
	int code); /* says goodbye; on_close comes with the peer's answer */
void http_ws_free(struct http_ws *ws);

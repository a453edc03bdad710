/* SPDX-License-Identifier: Apache-2.0 */
/*
 * websocket: one WebSocket (RFC 6455), as a server on the loop. Frames are wslay's
 * (http/wsframe.c).
 *
 * on_text and on_binary see whole messages of at most WS_MESSAGE_MAX; text is valid UTF-8. The
 * bytes are valid until the callback returns. Unmasked or malformed frames end the socket with
 * 1002, text that is no UTF-8 with 1007, a message beyond the limit with 1009. Pings are answered;
 * every 20 s of silence one is sent, and a peer that answers nothing for 60 s is gone.
 *
 * on_close is called once, when the peer is gone for whatever reason; then, or at any time, also
 * within a callback, the owner calls ws_close or ws_free, and nothing is called any more. A sender
 * of much data stops while ws_is_full and goes on at on_drain; WS_QUEUE_MAX waiting bytes end the
 * socket (1008).
 *
 *	struct ws *ws = ws_accept(request, NULL, &ops, call);
 *	ws_send_text(ws, STR("{\"event\":1}"));
 */
#pragma once

#include "base/str.h"

struct http_request;
struct ws;

enum {
	WS_MESSAGE_MAX = 1024 * 1024,
	WS_HIGH = 256 * 1024,
	WS_QUEUE_MAX = 4 * 1024 * 1024,
};

struct ws_ops {
	void (*on_text)(void *arg, struct str text);
	void (*on_binary)(void *arg, struct str bytes);
	void (*on_drain)(void *arg);           /* may be NULL */
	void (*on_close)(void *arg, int code); /* 1000 and so on; 1006: without a word */
};

/*
 * Answers the request of an HTTP_WEBSOCKET row with 101; the request is gone. `protocol` is the
 * chosen Sec-WebSocket-Protocol, or NULL. The socket may be sent to at once.
 */
struct ws *ws_accept(struct http_request *r, const char *protocol, const struct ws_ops *ops,
	void *arg);
void ws_send_text(struct ws *ws, struct str text); /* bytes that are not UTF-8 become U+FFFD */
void ws_send_binary(struct ws *ws, struct str bytes);
bool ws_is_full(const struct ws *ws);
/* Stops and resumes reading: how a slow consumer slows the peer down. */
void ws_pause(struct ws *ws, bool is_paused);
/* Sends what is queued, then the close frame, and frees itself; 5 s at most. Reason: at most 120
 * bytes. */
void ws_close(struct ws *ws, int code, const char *reason);
void ws_free(struct ws *ws); /* cuts it off at once; NULL is fine */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel: a connection after an upgrade (RFC 9110 7.8), as plain bytes both ways.
 *
 * on_close is called once, when the client sends no more or is gone; one that only stopped sending
 * still receives. Then, or at any time, also within a callback, the owner calls tunnel_close or
 * tunnel_free, and nothing is called any more. A sender of much
 * data stops while tunnel_is_full and goes on at on_drain; TUNNEL_QUEUE_MAX waiting bytes end the
 * tunnel.
 */
#pragma once

#include "base/str.h"

struct http_request;
struct tunnel;

enum { TUNNEL_HIGH = 256 * 1024, TUNNEL_QUEUE_MAX = 4 * 1024 * 1024 };

struct tunnel_ops {
	void (*on_bytes)(void *arg, struct str bytes);
	void (*on_drain)(void *arg);
	void (*on_close)(void *arg);
};

/*
 * True if the request asks for another protocol and can get it: HTTP/1.1, no body. *ret names it.
 */
bool tunnel_wanted(const struct http_request *r, struct str *ret_protocol);
/*
 * Answers a request for which tunnel_wanted is true with 101 and this protocol, and with the
 * headers of http_reply_header; the request is gone. Bytes come from the next turn of the loop on.
 */
struct tunnel *tunnel_accept(struct http_request *r, struct str protocol,
	const struct tunnel_ops *ops, void *arg);
void tunnel_send(struct tunnel *t, struct str bytes);
bool tunnel_is_full(const struct tunnel *t);
/* Stops and resumes on_bytes. */
void tunnel_pause(struct tunnel *t, bool is_paused);
/* Sends what is queued, closes, and frees itself; 5 s at most. */
void tunnel_close(struct tunnel *t);
void tunnel_free(struct tunnel *t); /* cuts it off; NULL is fine */

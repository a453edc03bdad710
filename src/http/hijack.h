/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hijack: a connection that stops to be HTTP after the answer's head: raw bytes both ways from then
 * on, each direction with an end of its own. Docker's attach and exec work so.
 *
 *	struct hijack *h = hijack_accept(request, "application/vnd.docker.raw-stream", &ops, arg);
 *	hijack_send(h, head, payload);
 *	hijack_end(h);
 *
 * A client that sent `Connection: Upgrade` and `Upgrade: tcp` gets 101, any other 200 and no
 * length. After on_closed, or at any time, also within a callback, the owner calls hijack_end or
 * hijack_free, and nothing is called any more. A sender of much data stops while hijack_is_full and
 * goes on at on_drain.
 */
#pragma once

#include "base/str.h"

struct http_request;
struct hijack;

enum { HIJACK_HIGH = 256 * 1024 };

struct hijack_ops {
	void (*on_bytes)(void *arg, struct str bytes);
	void (*on_eof)(void *arg); /* the peer sends no more, and still listens */
	void (*on_drain)(void *arg);
	void (*on_closed)(void *arg); /* the peer is gone; once */
};

/* The request is gone. Bytes may be sent at once; callbacks come from the next turn on. */
struct hijack *hijack_accept(struct http_request *r, const char *type, const struct hijack_ops *ops,
	void *arg);
/* Both parts, one behind the other; `head` may be empty. */
void hijack_send(struct hijack *h, struct str head, struct str payload);
bool hijack_is_full(const struct hijack *h);
/* Stops and resumes reading. */
void hijack_pause(struct hijack *h, bool is_paused);
/* Sends what is queued, closes, and frees itself; a peer that takes nothing is cut after 30 s. */
void hijack_end(struct hijack *h);
void hijack_free(struct hijack *h); /* cuts it off at once; NULL is fine */

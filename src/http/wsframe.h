/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wsframe: the frames of a WebSocket (RFC 6455), for both ends and any transport. The only module
 * that knows wslay.
 *
 * Bytes are pulled through `read` and pushed through `write`, which takes all it is given. Pings
 * and the peer's close are answered here. Messages are whole; text is valid UTF-8. Not to be freed
 * within one of its callbacks: wsframe_mute there, and free later.
 */
#pragma once

#include "base/str.h"

#include <sys/types.h>

struct wsframe;

enum wsframe_role { WSFRAME_SERVER, WSFRAME_CLIENT };
enum wsframe_kind { WSFRAME_TEXT = 1, WSFRAME_BINARY = 2, WSFRAME_PING = 9 };

enum {
	WSFRAME_CLOSE_NORMAL = 1000,
	WSFRAME_CLOSE_GONE = 1006,
	WSFRAME_CONTROL_MAX = 125,
};

struct wsframe_ops {
	ssize_t (*read)(void *arg, char *to,
		size_t len); /* bytes; 0: none now; -1: the peer is gone */
	void (*write)(void *arg, struct str bytes);
	void (*on_text)(void *arg, struct str text);
	void (*on_binary)(void *arg, struct str bytes);
	void (*on_frame)(void *arg); /* one begins, of whatever kind; may be NULL */
};

struct wsframe *wsframe_new(enum wsframe_role role, size_t message_max,
	const struct wsframe_ops *ops, void *arg);
void wsframe_free(struct wsframe *w);
size_t wsframe_held(const struct wsframe *w); /* bytes of a message that is not whole yet */
void wsframe_mute(struct wsframe *w);         /* calls on_text and on_binary no more */
/*
 * Reads and calls back until nothing is there. 0, or the code with which it is over: the peer's
 * (1005: it gave none), ours for what it did wrong (1002, 1007, 1009), or 1006 without a word.
 */
int wsframe_receive(struct wsframe *w);
/* At most 32 MiB; what comes after a close was sent is dropped. */
void wsframe_send(struct wsframe *w, enum wsframe_kind kind, struct str bytes);
void wsframe_close(struct wsframe *w, int code, struct str reason);
/* The value of Sec-WebSocket-Accept for a key: 28 characters and a NUL. */
enum { WSFRAME_ACCEPT_SIZE = 29 };
void wsframe_accept(struct str key, char ret[WSFRAME_ACCEPT_SIZE]);

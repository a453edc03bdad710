/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: what goes over a call socket, in both directions.
 *
 *	uint32  payload length, little endian, at most FRAME_PAYLOAD_MAX
 *	uint8   kind (enum frame_kind)
 *	uint8   channel, for FRAME_DATA and FRAME_EOF: 0 input or the only one, 1 stdout, 2 stderr
 *	uint16  zero
 *	payload
 *
 * A call, from the caller's side: one FRAME_REQUEST; then, if the action takes input, FRAME_DATA
 * and a FRAME_EOF, and FRAME_CONTROL at any time. Back come FRAME_DATA and FRAME_EVENT, and at the
 * end exactly one FRAME_RESULT or FRAME_ERROR. Payloads other than data are JSON.
 *
 * After an error the callee closes. After a result the socket may serve the next call, and the
 * caller closes it if it does not want to; what it had sent for the call before, too late, is
 * passed over.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum frame_kind {
	FRAME_REQUEST = 1, /* {"action":"run","params":{…}} */
	FRAME_DATA = 2,    /* raw bytes */
	FRAME_EOF = 3,     /* no more data on this channel */
	FRAME_CONTROL = 4, /* {"signal":"INT"}, {"resize":[cols,rows]}: by action */
	FRAME_EVENT = 5,   /* progress or a followed event */
	FRAME_RESULT = 6,  /* the observation: final */
	FRAME_ERROR = 7,   /* {"code":"not_found","message":"…"}: final */
	FRAME_KIND_MAX,
};

enum { FRAME_HEAD = 8, FRAME_PAYLOAD_MAX = 16 * 1024 * 1024, FRAME_DATA_MAX = 256 * 1024 };

struct frame {
	enum frame_kind kind;
	uint8_t channel;
	struct str payload; /* points into what was parsed */
};

/* Appends a head, whose payload is sent by itself. */
void frame_put_head(struct buf *b, enum frame_kind kind, uint8_t channel, size_t len);
/* Appends head and payload. -1 if b is full. */
int frame_put(struct buf *b, enum frame_kind kind, uint8_t channel, struct str payload);
/*
 * Takes one frame from the front of `in`: its whole size, 0 if more bytes are needed, or -1 with
 * *err filled (ERROR_PROTOCOL) for what can never become a frame.
 */
ssize_t frame_parse(struct str in, struct frame *ret, struct error *err);

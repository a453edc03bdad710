/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: messages of a stream as Connect frames them
 * (https://connectrpc.com/docs/protocol#streaming-request): a byte of flags, the length in four
 * bytes, big endian, and so many bytes.
 *
 *	envelope_put(&out, 0, STR("{\"event\":{\"keepalive\":{}}}"));
 *	envelope_put(&out, ENVELOPE_END, STR("{}"));
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

enum {
	ENVELOPE_HEAD = 5,
	ENVELOPE_COMPRESSED = 1, /* flags */
	ENVELOPE_END = 2,        /* the last one: how the call went */
};

struct envelope {
	uint8_t flags;
	struct str payload; /* in what was parsed */
};

/* Appends one. -1: it does not fit. */
int envelope_put(struct buf *out, uint8_t flags, struct str payload);
/*
 * The one at the front of `in`: its whole length; 0 if not all of it is there; -1 with
 * ERROR_TOO_LARGE for one over max_bytes, ERROR_PROTOCOL for flags that mean nothing,
 * ERROR_UNSUPPORTED for a compressed one.
 */
ssize_t envelope_parse(struct str in, size_t max_bytes, struct envelope *ret, struct error *err);

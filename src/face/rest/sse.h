/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse: an event stream as the answer to a request. Data of a channel goes out as text where it is
 * UTF-8: a character that two pieces share is kept until it is whole.
 */
#pragma once

#include "http/server.h"

enum { SSE_CHANNELS = 3 };

struct sse {
	struct http_request *r;
	struct {
		char bytes[4];
		size_t n;
	} tails[SSE_CHANNELS];
};

void sse_begin(struct sse *sse, struct http_request *r);
/* id: 0 for none. `json` is on one line. */
void sse_send(struct sse *sse, int64_t id, const char *event, struct str json);
/* {"channel":1,"text":"…"}, or "base64" for what is no UTF-8. */
void sse_send_data(struct sse *sse, uint8_t channel, struct str bytes);
/* Sends what is kept of unfinished characters, before the last event. */
void sse_flush(struct sse *sse);

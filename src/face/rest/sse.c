/* SPDX-License-Identifier: Apache-2.0 */
#include "face/rest/sse.h"

#include "wire/base64.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/utf8.h"

enum { EVENT_MAX = 6 * FRAME_DATA_MAX + 4096 };

void sse_begin(struct sse *sse, struct http_request *r)
{
	sse->r = r;
	http_stream_begin(r, 200, "text/event-stream", -1);
}

void sse_send(struct sse *sse, int64_t id, const char *event, struct str json)
{
	auto_buf struct buf b = BUF_INIT(json.len + 256);
	if (id)
		buf_printf(&b, "id: %lld\n", (long long)id);
	buf_printf(&b, "event: %s\ndata: ", event);
	buf_put(&b, json);
	buf_puts(&b, "\n\n");
	http_stream_write(sse->r, buf_str(&b));
}

static void send_piece(struct sse *sse, uint8_t channel, struct str bytes)
{
	auto_buf struct buf b = BUF_INIT(EVENT_MAX);
	struct jsonw w = JSONW(&b);
	jsonw_open(&w);
	jsonw_key_int(&w, "channel", channel);
	if (utf8_is_valid(bytes)) {
		jsonw_key_str(&w, "text", bytes);
	} else {
		auto_buf struct buf text = BUF_INIT(EVENT_MAX);
		base64_encode(bytes, &text);
		jsonw_key_str(&w, "base64", buf_str(&text));
	}
	jsonw_close(&w);
	sse_send(sse, 0, "data", buf_str(&b));
}

void sse_send_data(struct sse *sse, uint8_t channel, struct str bytes)
{
	if (channel >= SSE_CHANNELS) {
		send_piece(sse, channel, bytes);
		return;
	}
	auto_buf struct buf whole = BUF_INIT(FRAME_PAYLOAD_MAX + 4);
	if (sse->tails[channel].n) {
		buf_add(&whole, sse->tails[channel].bytes, sse->tails[channel].n);
		buf_put(&whole, bytes);
		bytes = buf_str(&whole);
	}
	size_t n = utf8_incomplete_tail(bytes);
	memcpy(sse->tails[channel].bytes, bytes.ptr + bytes.len - n, n);
	sse->tails[channel].n = n;
	bytes.len -= n;
	while (bytes.len) {
		struct str piece = str_first(bytes, FRAME_DATA_MAX);
		if (piece.len < bytes.len)
			piece.len -= utf8_incomplete_tail(piece);
		send_piece(sse, channel, piece);
		bytes = str_skip(bytes, piece.len);
	}
}

void sse_flush(struct sse *sse)
{
	for (int c = 0; c < SSE_CHANNELS; c++) {
		if (sse->tails[c].n)
			send_piece(sse, (uint8_t)c,
				str_from_len(sse->tails[c].bytes, sse->tails[c].n));
		sse->tails[c].n = 0;
	}
}

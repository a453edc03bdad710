/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

void frame_put_head(struct buf *b, enum frame_kind kind, uint8_t channel, size_t payload_len)
{
	uint32_t len = (uint32_t)payload_len;
	unsigned char head[FRAME_HEAD] = {
		(unsigned char)len,
		(unsigned char)(len >> 8),
		(unsigned char)(len >> 16),
		(unsigned char)(len >> 24),
		(unsigned char)kind,
		channel,
	};
	buf_add(b, head, sizeof(head));
}

int frame_put(struct buf *b, enum frame_kind kind, uint8_t channel, struct str payload)
{
	if (payload.len > FRAME_PAYLOAD_MAX || FRAME_HEAD + payload.len > b->limit - b->len)
		b->is_full = true;
	frame_put_head(b, kind, channel, payload.len);
	return buf_put(b, payload);
}

ssize_t frame_parse(struct str in, struct frame *ret, struct error *err)
{
	if (in.len < FRAME_HEAD)
		return 0;
	const unsigned char *h = (const unsigned char *)in.ptr;
	size_t len = h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16 | (size_t)h[3] << 24;
	if (len > FRAME_PAYLOAD_MAX)
		return error_set(err, ERROR_PROTOCOL, "a frame of %zu bytes", len);
	if (h[4] == 0 || h[4] >= FRAME_KIND_MAX || h[6] || h[7])
		return error_set(err, ERROR_PROTOCOL, "a frame of unknown kind %d", h[4]);
	if (in.len - FRAME_HEAD < len)
		return 0;
	*ret = (struct frame){
		.kind = (enum frame_kind)h[4],
		.channel = h[5],
		.payload = { in.ptr + FRAME_HEAD, len },
	};
	return (ssize_t)(FRAME_HEAD + len);
}

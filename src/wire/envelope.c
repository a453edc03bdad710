/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/envelope.h"

int envelope_put(struct buf *out, uint8_t flags, struct str payload)
{
	if (payload.len > UINT32_MAX || out->limit - out->len < ENVELOPE_HEAD + payload.len)
		out->is_full = true; /* whole, or not at all */
	uint32_t len = (uint32_t)payload.len;
	unsigned char head[ENVELOPE_HEAD] = {
		flags,
		(unsigned char)(len >> 24),
		(unsigned char)(len >> 16),
		(unsigned char)(len >> 8),
		(unsigned char)len,
	};
	buf_add(out, head, sizeof(head));
	return buf_put(out, payload);
}

ssize_t envelope_parse(struct str in, size_t max_bytes, struct envelope *ret, struct error *err)
{
	if (in.len < ENVELOPE_HEAD)
		return 0;
	const unsigned char *h = (const unsigned char *)in.ptr;
	size_t len = (size_t)h[1] << 24 | (size_t)h[2] << 16 | (size_t)h[3] << 8 | h[4];
	if (h[0] & ~(ENVELOPE_COMPRESSED | ENVELOPE_END))
		return error_set(err, ERROR_PROTOCOL, "an envelope with unknown flags %d", h[0]);
	if (h[0] & ENVELOPE_COMPRESSED)
		return error_set(err, ERROR_UNSUPPORTED, "an envelope that is compressed");
	if (len > max_bytes)
		return error_set(err, ERROR_TOO_LARGE, "an envelope of %zu bytes", len);
	if (in.len - ENVELOPE_HEAD < len)
		return 0;
	*ret = (struct envelope){ h[0], { in.ptr + ENVELOPE_HEAD, len } };
	return (ssize_t)(ENVELOPE_HEAD + len);
}

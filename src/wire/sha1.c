/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sha1.h"

#include "base/auto.h"
#include "base/buf.h"

enum { BLOCK = 64 };

static uint32_t rotate(uint32_t v, int n)
{
	return v << n | v >> (32 - n);
}

static void mix_block(uint32_t h[5], const uint8_t block[BLOCK])
{
	uint32_t w[80];
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
			(uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

	uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	for (int i = 0; i < 80; i++) {
		uint32_t f = i < 20 ? ((b & c) | (~b & d)) + 0x5a827999u
			: i < 40    ? (b ^ c ^ d) + 0x6ed9eba1u
			: i < 60    ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu
				    : (b ^ c ^ d) + 0xca62c1d6u;
		uint32_t t = rotate(a, 5) + f + e + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void sha1(struct str data, uint8_t ret_digest[SHA1_SIZE])
{
	uint32_t h[5] = { 0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u };
	uint64_t bits = (uint64_t)data.len * 8;
	for (; data.len >= BLOCK; data = str_skip(data, BLOCK))
		mix_block(h, (const uint8_t *)data.ptr);

	uint8_t last[2 * BLOCK] = { 0 };
	size_t size = data.len + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
	if (data.len)
		memcpy(last, data.ptr, data.len);
	last[data.len] = 0x80;
	for (int i = 0; i < 8; i++)
		last[size - 1 - (size_t)i] = (uint8_t)(bits >> 8 * i);
	mix_block(h, last);
	if (size > BLOCK)
		mix_block(h, last + BLOCK);
	for (int i = 0; i < SHA1_SIZE; i++)
		ret_digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* RFC 2104: H(key ^ opad, H(key ^ ipad, data)). */
void hmac_sha1(struct str key, struct str data, uint8_t ret_digest[SHA1_SIZE])
{
	uint8_t block[BLOCK] = { 0 };
	if (key.len > BLOCK)
		sha1(key, block);
	else if (key.len)
		memcpy(block, key.ptr, key.len);
	auto_buf struct buf b = BUF_INIT(BLOCK + MAX(data.len, (size_t)SHA1_SIZE));
	for (int i = 0; i < BLOCK; i++)
		buf_putc(&b, (char)(block[i] ^ 0x36));
	buf_put(&b, data);
	sha1(buf_str(&b), ret_digest);
	buf_reset(&b);
	for (int i = 0; i < BLOCK; i++)
		buf_putc(&b, (char)(block[i] ^ 0x5c));
	buf_add(&b, ret_digest, SHA1_SIZE);
	sha1(buf_str(&b), ret_digest);
}

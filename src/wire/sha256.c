/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sha256.h"

#include <nettle/hmac.h>
#include <nettle/sha2.h>
#undef sha256_init /* its headers give our names to its functions */
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct sha256_ctx) <= SHA256_STATE_SIZE, "nettle's state has grown");

static struct sha256_ctx *context_of(struct sha256 *h)
{
	return (struct sha256_ctx *)(void *)h->state;
}

void sha256_init(struct sha256 *h)
{
	nettle_sha256_init(context_of(h));
}

void sha256_add(struct sha256 *h, struct str bytes)
{
	nettle_sha256_update(context_of(h), bytes.len, (const uint8_t *)bytes.ptr);
}

static void put_hex(const uint8_t digest[SHA256_DIGEST_SIZE], char ret_hex[SHA256_HEX_SIZE])
{
	for (int i = 0; i < SHA256_DIGEST_SIZE; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}

void sha256_end(struct sha256 *h, char ret_hex[SHA256_HEX_SIZE])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	nettle_sha256_digest(context_of(h), sizeof(digest), digest);
	put_hex(digest, ret_hex);
}

void hmac_sha256(struct str key, struct str data, char ret_hex[SHA256_HEX_SIZE])
{
	struct hmac_sha256_ctx h;
	uint8_t digest[SHA256_DIGEST_SIZE];
	nettle_hmac_sha256_set_key(&h, key.len, (const uint8_t *)key.ptr);
	nettle_hmac_sha256_update(&h, data.len, (const uint8_t *)data.ptr);
	nettle_hmac_sha256_digest(&h, sizeof(digest), digest);
	put_hex(digest, ret_hex);
}

bool sha256_is_hex(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("0123456789abcdef", s.ptr[i]) || !s.ptr[i])
			return false;
	return s.len == SHA256_HEX_SIZE - 1;
}

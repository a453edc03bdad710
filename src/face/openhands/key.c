/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HMAC (RFC 2104) with SHA-1, whose known weakness, that collisions can be found, does not touch HMAC; and which
 * is what we have a codec of already.
 */
#include "face/openhands/key.h"

#include "base/auto.h"
#include "wire/sha1.h"

#include <stdio.h>

enum { BLOCK = 64, TEXT_MAX = 128 };

#define PURPOSE "openhands session key of "

static void hash_padded(const uint8_t key[BLOCK], uint8_t pad, struct str text,
	uint8_t ret[SHA1_SIZE])
{
	uint8_t bytes[BLOCK + TEXT_MAX];
	for (size_t i = 0; i < BLOCK; i++)
		bytes[i] = key[i] ^ pad;
	size_t n = MIN(text.len, (size_t)TEXT_MAX);
	memcpy(bytes + BLOCK, text.ptr, n);
	sha1(str_from_len((const char *)bytes, BLOCK + n), ret);
}

void key_make(struct str token, const char *id, char ret_key[KEY_SIZE])
{
	uint8_t key[BLOCK] = { 0 }, digest[SHA1_SIZE];
	char text[TEXT_MAX];
	if (token.len > BLOCK)
		sha1(token, key);
	else if (token.len)
		memcpy(key, token.ptr, token.len);
	int n = snprintf(text, sizeof(text), PURPOSE "%s", id);
	hash_padded(key, 0x36, str_from_len(text, (size_t)n), digest);
	hash_padded(key, 0x5c, str_from_len((const char *)digest, SHA1_SIZE), digest);
	for (size_t i = 0; i < SHA1_SIZE; i++)
		snprintf(ret_key + 2 * i, 3, "%02x", digest[i]);
}

bool key_is(struct str token, const char *id, struct str key)
{
	char want[KEY_SIZE];
	key_make(token, id, want);
	return key.ptr && str_eq_secret(key, str_from(want));
}

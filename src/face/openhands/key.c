/* SPDX-License-Identifier: Apache-2.0 */
#include "face/openhands/key.h"

#include "base/auto.h"
#include "wire/sha1.h"

#include <stdio.h>

enum { TEXT_MAX = 128 };

#define PURPOSE "openhands session key of "

void key_make(struct str token, const char *id, char ret_key[KEY_SIZE])
{
	uint8_t digest[SHA1_SIZE];
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), PURPOSE "%s", id);
	hmac_sha1(token, str_from_len(text, (size_t)MIN(n, TEXT_MAX - 1)), digest);
	for (size_t i = 0; i < SHA1_SIZE; i++)
		snprintf(ret_key + 2 * i, 3, "%02x", digest[i]);
}

bool key_is(struct str token, const char *id, struct str key)
{
	char want[KEY_SIZE];
	key_make(token, id, want);
	return key.ptr && str_eq_secret(key, str_from(want));
}

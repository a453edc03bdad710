/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256 (FIPS 180-4), piece by piece; nettle's.
 *
 *	struct sha256 h;
 *	sha256_init(&h);
 *	sha256_add(&h, bytes);
 *	sha256_end(&h, hex);
 */
#pragma once

#include "base/str.h"

enum { SHA256_HEX_SIZE = 65, SHA256_STATE_SIZE = 160 };

struct sha256 {
	_Alignas(16) char state[SHA256_STATE_SIZE];
};

void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, struct str bytes);
void sha256_end(struct sha256 *h, char ret_hex[SHA256_HEX_SIZE]); /* lower case, NUL-terminated */
/* RFC 2104. */
void hmac_sha256(struct str key, struct str data, char ret_hex[SHA256_HEX_SIZE]);
/* True for 64 digits of lower-case hex. */
bool sha256_is_hex(struct str s);

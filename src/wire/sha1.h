/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha1 (RFC 3174): for the handshake of WebSockets, which demands it. By itself it protects nothing
 * any more; keyed (HMAC, RFC 2104) it does.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum { SHA1_SIZE = 20 };

void sha1(struct str data, uint8_t ret_digest[SHA1_SIZE]);
void hmac_sha1(struct str key, struct str data, uint8_t ret_digest[SHA1_SIZE]);

/* SPDX-License-Identifier: Apache-2.0 */
/* sha1 (RFC 3174): for the handshake of WebSockets, which demands it. Protects nothing. */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum { SHA1_SIZE = 20 };

void sha1(struct str data, uint8_t ret_digest[SHA1_SIZE]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_hello: the server name in the first message of a TLS connection (RFC 8446 4.1.2, RFC 6066 3).
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "wire/dns.h"

enum { TLS_HELLO_MAX = 16 * 1024 }; /* of all records of it together */

/*
 * `bytes`: what came first. 1: *ret_name is filled, with "" if there is none; 0: more bytes are
 * needed; -1: this is no ClientHello, or one over TLS_HELLO_MAX. Encrypted names (ECH) show the
 * outer one.
 */
int tls_hello_name(struct str bytes, char ret_name[DNS_NAME_SIZE], struct error *err);

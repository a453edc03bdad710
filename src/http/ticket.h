/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket: proves that somebody who has the server's token let its bearer in, for one purpose alone: an HMAC
 * of the purpose, keyed with the token. It can be shown where the token must not be: in a browser's cookie,
 * in a link. It is good as long as the token is.
 */
#pragma once

#include "http/server.h"

enum { TICKET_SIZE = 41 };

/* Without a token there is nothing to prove: "". */
void ticket_make(const struct http_request *r, struct str purpose, char ret[TICKET_SIZE]);
/* Compared in constant time; true for any if the server asks for no token. */
bool ticket_is_valid(const struct http_request *r, struct str purpose, struct str ticket);

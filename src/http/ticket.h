/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket: proves that somebody who has the server's token let its bearer in, for one purpose alone:
 * an HMAC of the purpose, keyed with the token. It can be shown where the token must not be: in a
 * browser's cookie, in a link. It is good as long as the token is.
 *
 * One with an end is "SECONDS-TICKET", the wall clock's end and a ticket of which that end is a
 * part.
 */
#pragma once

#include "http/server.h"

enum { TICKET_SIZE = 41, TICKET_UNTIL_SIZE = TICKET_SIZE + 24 };

/* Without a token there is nothing to prove: "". */
void ticket_make(const struct http_request *r, struct str purpose, char ret[TICKET_SIZE]);
/* Compared in constant time; true for any if the server asks for no token. */
bool ticket_is_valid(const struct http_request *r, struct str purpose, struct str ticket);

void ticket_make_until(const struct http_request *r, struct str purpose, int64_t until_s,
	char ret[TICKET_UNTIL_SIZE]);
/*
 * Also false once it has ended; and, unlike one without an end, where the server asks for no token.
 */
bool ticket_is_valid_until(const struct http_request *r, struct str purpose, struct str ticket);
/* Its end, whoever made it; 0: it is none with an end. */
int64_t ticket_end(struct str ticket);

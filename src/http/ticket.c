/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ticket.h"

#include "http/conn.h"
#include "wire/sha1.h"

void ticket_make(const struct http_request *r, struct str purpose, char ret[TICKET_SIZE])
{
	const char *token = r->server ? r->server->token : NULL;
	uint8_t digest[SHA1_SIZE];
	ret[0] = '\0';
	if (!token)
		return;
	hmac_sha1(str_from(token), purpose, digest);
	for (int i = 0; i < SHA1_SIZE; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

bool ticket_is_valid(const struct http_request *r, struct str purpose, struct str ticket)
{
	char wanted[TICKET_SIZE];
	ticket_make(r, purpose, wanted);
	return !wanted[0] || str_eq_secret(ticket, str_from(wanted));
}

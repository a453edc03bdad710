/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ticket.h"

#include "base/auto.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/num.h"
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

void ticket_make_until(const struct http_request *r, struct str purpose, int64_t until_s,
	char ret[TICKET_UNTIL_SIZE])
{
	auto_free char *whole = mem_printf("%.*s until %lld", STR_ARG(purpose), (long long)until_s);
	char ticket[TICKET_SIZE];
	ticket_make(r, str_from(whole), ticket);
	ret[0] = '\0';
	if (ticket[0])
		snprintf(ret, TICKET_UNTIL_SIZE, "%lld-%s", (long long)until_s, ticket);
}

int64_t ticket_end(struct str ticket)
{
	ptrdiff_t dash = str_find_char(ticket, '-');
	int64_t until_s;
	if (dash < 0 ||
		num_parse_i64(str_first(ticket, (size_t)dash), 1, INT64_MAX / 1000, &until_s,
			NULL) < 0)
		return 0;
	return until_s;
}

bool ticket_is_valid_until(const struct http_request *r, struct str purpose, struct str ticket)
{
	char wanted[TICKET_UNTIL_SIZE];
	int64_t until_s = ticket.ptr ? ticket_end(ticket) : 0;
	if (!until_s || until_s * 1000 <= clock_wall_ms())
		return false;
	ticket_make_until(r, purpose, until_s, wanted);
	return wanted[0] && str_eq_secret(ticket, str_from(wanted));
}

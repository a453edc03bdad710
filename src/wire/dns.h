/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns: questions of a resolver (RFC 1035) and the short answers to them, over UDP.
 *
 * Only what a stub resolver sends is understood: one question, class IN. Names are lower-cased,
 * without a final dot; one that is no host name (letters, digits, '-', '_', in labels of at most
 * 63) is ERROR_INVALID.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { DNS_PACKET_MAX = 1232, DNS_NAME_SIZE = 254 };

enum dns_type { DNS_A = 1, DNS_AAAA = 28 };

enum dns_code { DNS_OK = 0, DNS_BAD_FORMAT = 1, DNS_FAILED = 2, DNS_NO_SUCH_NAME = 3 };

struct dns_question {
	uint16_t id, type;
	bool wants_recursion;
	char name[DNS_NAME_SIZE]; /* "" for the root */
	size_t end;               /* bytes of the packet up to here are repeated in a reply */
};

int dns_parse(struct str packet, struct dns_question *ret, struct error *err);
/*
 * Appends the reply to `packet`. address: in host order, for DNS_OK and type A; 0: no such record.
 */
void dns_put_reply(struct str packet, const struct dns_question *q, enum dns_code code,
	uint32_t address, uint32_t ttl, struct buf *b);

/* Copies a host name lower-cased and without a final dot; ERROR_INVALID if it is none. */
int dns_name(struct str text, char ret[DNS_NAME_SIZE], struct error *err);

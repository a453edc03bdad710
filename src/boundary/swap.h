/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swap: one HTTP/1.1 connection whose requests carry placeholders, and leave with secrets in their
 * place. Bytes in, bytes out: no descriptor, no clock.
 *
 *	struct swap s;
 *	swap_init(&s, "api.example.org", 443, rules, n, allowed);
 *	swap_request(&s, from_the_client, &to_the_server, &err)      -1: the client said what must not go on
 *	swap_reply(&s, from_the_server, &to_the_client);
 *	swap_fini(&s);
 *
 * A placeholder is looked for in the value of the one header that its rule names, and behind "Basic
 * " in what that encodes; nowhere else. Every request has to ask for the host that the connection
 * was begun to. What two servers could read in two ways is refused (wire/http1.h), so that no
 * request hides in another one.
 *
 * Of what comes back, secrets that stand in it as they are become asterisks: an accident of the
 * server is not the agent's luck. That is no wall: a server that wants to tell a secret can.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "wire/http1.h"
#include "wire/swaphost.h"

enum {
	SWAP_HEAD_MAX = 64 * 1024,
	SWAP_HEAD_OUT_MAX = 128 * 1024, /* with the secrets in it */
	SWAP_IN_MAX = 64 * 1024,        /* bytes at a time */
};

struct swap_rule {
	struct str placeholder, value;
	struct str header; /* whose value it is looked for in; any case */
};

struct swap {
	const char *host;
	int port;
	const struct swap_rule *rules;
	size_t n_rules;
	uint32_t allowed; /* bit i: rules[i] is for this host */
	enum {
		SWAP_HEAD,   /* of a request */
		SWAP_BODY,   /* of so many bytes */
		SWAP_CHUNKS, /* a body in chunks */
		SWAP_UPGRADING, /* the server is asked to change to WebSocket: nothing more goes out meanwhile */
		SWAP_TUNNEL, /* it did */
		SWAP_SHUT,   /* it did not: nothing more goes out */
	} state;
	struct buf head; /* what there is of one; while UPGRADING what was sent too early */
	size_t scanned;
	int64_t left;
	struct http1_chunks chunks;
	uint64_t n_requests;
	uint32_t used;    /* bit i: rules[i] was swapped in */
	struct buf reply; /* its end that may be the beginning of a secret, and its first bytes */
	bool has_status;
};

/* host and rules stay the caller's. What comes back is looked through for all of them. */
void swap_init(struct swap *s, const char *host, int port, const struct swap_rule *rules,
	size_t n_rules, uint32_t allowed);
void swap_fini(struct swap *s);
/* ERROR_INVALID, …: what to tell the client. `in` is at most SWAP_IN_MAX bytes. */
int swap_request(struct swap *s, struct str in, struct buf *out, struct error *err);
void swap_reply(struct swap *s, struct str in, struct buf *out);
/* Lets go of what is held back for a secret that does not come. */
void swap_reply_end(struct swap *s, struct buf *out);

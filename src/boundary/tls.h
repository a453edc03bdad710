/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: both roles of TLS over bytes, and the certificates that one of them needs. The only module
 * that knows OpenSSL.
 *
 * A `tls` has no descriptor. tls_feed takes what came over the wire, tls_write what is to be said;
 * both append what has to go over the wire to `wire`, which its owner sends. What is written before
 * the two sides agree waits, up to TLS_EARLY_MAX.
 *
 * TLS 1.2 and 1.3, ALPN http/1.1 and nothing else, no renegotiation, no tickets, no compression.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { TLS_EARLY_MAX = 256 * 1024 };

struct tls;
struct tls_ca;    /* makes certificates for the hosts that it is for */
struct tls_trust; /* who is believed */

/* pem: certificates, one behind the other; some 20 ms for what a distribution believes. */
int tls_trust_new(struct str pem, struct tls_trust **ret, struct error *err);
void tls_trust_free(struct tls_trust *trust);

/*
 * names: what it may vouch for, itself and below; whoever believes in it believes it nothing else
 * (name constraints). The key never leaves this memory.
 */
int tls_ca_new(const char *title, const char *const *names, size_t n, struct tls_ca **ret,
	struct error *err);
void tls_ca_free(struct tls_ca *ca);
int tls_ca_pem(const struct tls_ca *ca, struct buf *ret, struct error *err);

/* The server's side, as `host`: a client that asks for another name is refused. */
int tls_accept(struct tls_ca *ca, const char *host, struct tls **ret, struct error *err);
/* The client's side: the other one has to prove that it is `host`. Begin with an empty tls_feed. */
int tls_connect(struct tls_trust *trust, const char *host, struct tls **ret, struct error *err);
void tls_free(struct tls *t);

/* Appends what the other side said to `plain`. */
int tls_feed(struct tls *t, struct str cipher, struct buf *plain, struct buf *wire,
	struct error *err);
int tls_write(struct tls *t, struct str plain, struct buf *wire, struct error *err);
void tls_shut(struct tls *t, struct buf *wire); /* says that no more comes */
bool tls_is_open(const struct tls *t);
bool tls_has_ended(const struct tls *t); /* the other side said so */
size_t tls_early(const struct tls *t);   /* bytes that wait until it is open */

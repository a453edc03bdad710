/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names: what a server is called: values of Host and Origin that are its own, and domains below
 * which every name leads to it ("*.box.example.org"; "localhost" always is one). Private to http.
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"

#include <stdint.h>

enum { NAMES_DOMAINS_MAX = 32 };

struct http_config;
struct sockaddr_storage;

struct names_domain {
	char *text;
	struct str name,
		port; /* of it: "box.example.org", ":8443"; no port: as the client has it */
};

struct names {
	struct map hosts;   /* values of Host that are ours, in lower case */
	struct map origins; /* values of Origin that are ours */
	struct names_domain domains[NAMES_DOMAINS_MAX];
	size_t n_domains;
	int tcp_port; /* of the first TCP listener; 0: there is none */
};

void names_init(struct names *n, const struct http_config *config);
void names_fini(struct names *n);
/* A listening TCP socket is bound to this address. */
void names_add_address(struct names *n, const struct http_config *config,
	const struct sockaddr_storage *a);
bool names_has_host(const struct names *n, struct str host);
bool names_has_origin(const struct names *n, struct str origin);
/* "8080-ID.box.example.org:8443" → "8080-ID"; STR_NONE: below none of our domains. */
struct str names_label(const struct names *n, struct str host);
/* The domain that a client who says this Host reaches us by, with its port: "localhost:8000". */
void names_put_domain(const struct names *n, struct str host, struct buf *b);

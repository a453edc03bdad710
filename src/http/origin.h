/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin: what the server is called by the client of a request, for links that it can follow. Host
 * and X-Forwarded-Proto are believed: who lies gets links that lead nowhere.
 */
#pragma once

#include "http/server.h"

/* True behind a proxy that says so (X-Forwarded-Proto). */
bool http_is_tls(const struct http_request *r);
/* Appends "https://HOST:PORT": where this client reaches the server, by the name that it used. */
void http_put_origin(const struct http_request *r, struct buf *b);
/* Appends the domain whose names lead to the server, for this client: "localhost:8000". */
void http_put_domain(const struct http_request *r, struct buf *b);
/* What Host says before such a domain: "8080-ID"; STR_NONE: Host is below none. */
struct str http_label(const struct http_request *r);

/* SPDX-License-Identifier: Apache-2.0 */
/* client_socket: what the client's two files share. Nobody else includes this. */
#pragma once

#include "http/client.h"

#include <sys/types.h>

struct http_client {
	struct loop *loop;
	struct fetcher *fetcher;
	char *base;      /* "http://localhost/prefix" */
	char *host;      /* of it: "localhost", "name:8080" */
	char *prefix;    /* "/prefix" or "" */
	char *unix_path; /* NULL: TCP */
	char *token;     /* NULL: none */
	const struct fetch_tls *tls;
};

/* The server's name for error texts. */
const char *client_where(const struct http_client *c);
/*
 * -1 with *err from a body that is an error of ours; else with the status and the body's beginning.
 */
int client_refused(int status, struct str body, struct error *err);

enum { ERROR_BODY_MAX = 64 * 1024 };

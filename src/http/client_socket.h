/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_socket: what the client's two files share: the client itself, and a bare connection made as its
 * requests make theirs (Unix socket or TCP, TLS if the URL says so). Nobody else includes this.
 */
#pragma once

#include "http/client.h"

#include <sys/types.h>

struct http_client {
	void *curl;      /* the handle of its requests; keeps the connection */
	char *base;      /* "http://localhost/prefix" */
	char *host;      /* of it: "localhost", "name:8080" */
	char *prefix;    /* "/prefix" or "" */
	char *unix_path; /* NULL: TCP */
	char *token;     /* NULL: none */
};

/* The server's name for error texts. */
const char *client_where(const struct http_client *c);
/* -1 with *err from a body that is an error of ours; else with the status and the body's beginning. */
int client_refused(int status, struct str body, struct error *err);

enum { ERROR_BODY_MAX = 64 * 1024 };

struct client_socket {
	void *curl;
	int fd;
};

/* To be closed also when opening failed. */
int client_socket_open(struct http_client *c, struct client_socket *ret, struct error *err);
void client_socket_close(struct client_socket *s);
/* How many bytes; 0: none now; -1: the peer is gone. */
ssize_t client_socket_recv(struct client_socket *s, char *to, size_t len);
ssize_t client_socket_send(struct client_socket *s, struct str bytes);

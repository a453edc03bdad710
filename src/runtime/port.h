/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port: HTTP to what listens inside a sandbox. Each request is passed on over a connection of its
 * own, which the sandbox's executor opens (action/network_actions.h); see http/proxy.h for what
 * changes on the way.
 */
#pragma once

#include "http/proxy.h"
#include "http/ticket.h"
#include "runtime/runtime.h"

enum { PORT_TEXT_SIZE = 6 };

struct port_view {
	struct str path;    /* to ask for */
	const char *prefix; /* as in struct proxy_target */
	const char *cookie, *query;
};

/* Takes the request, whose row has HTTP_STREAMS_BODY, and answers it. */
void port_forward(struct sandbox *s, struct http_request *r, int port,
	const struct port_view *view);
#define PORT_COOKIE             "cay_port"
#define PORT_QUERY              "cay_ticket"
#define PORT_HEADER             "E2b-Traffic-Access-Token" /* a ticket for all ports of a sandbox */
#define PORT_DAYTONA_HEADER     "X-Daytona-Preview-Token"  /* … and for one */
#define PORT_OPENSANDBOX_HEADER "OpenSandbox-Secure-Access" /* the same */
/* What opens other endpoints of it; a client that shows it here has shown it to the wrong one. */
#define PORT_EXECD_HEADER  "X-EXECD-ACCESS-TOKEN"
#define PORT_EGRESS_HEADER "OPENSANDBOX-EGRESS-AUTH"

enum { PORT_PURPOSE_SIZE = ID_SIZE + 16 };
/* Of the ticket (http/ticket.h) that opens this port of this sandbox alone. */
void port_purpose(const struct sandbox *s, int port, char ret[PORT_PURPOSE_SIZE]);
/* It is good as long as what the request was let in by. */
void port_make_ticket(const struct http_request *r, const char *purpose,
	char ret[TICKET_UNTIL_SIZE]);
/* True for one with or without an end; the request then goes on no longer than that. */
bool port_opens(struct http_request *r, const char *purpose, struct str ticket);
/* The same for whoever may come to all of its ports. */
void port_purpose_of_all(struct str sandbox_id, char ret[PORT_PURPOSE_SIZE]);
/* Appends "http://PORT-ID.localhost:8000/"; nothing if the server listens on no TCP port. */
void port_put_url(const struct http_request *r, const struct sandbox *s, int port, struct buf *b);
/* The same with "?cay_ticket=…", if the server asks for a token at all. */
void port_put_link(const struct http_request *r, const struct sandbox *s, int port, struct buf *b);
/*
 * Answers a request whose address holds a valid ticket: the ticket goes from there, where it would
 * be seen, into a cookie for this path and what is below it.
 */
void port_take_ticket(struct http_request *r, struct str ticket, const char *cookie_path);
/* A cookie's value; STR_NONE: there is none of that name. */
struct str port_find_cookie(const struct http_request *r, const char *name);
/* "8080"; ERROR_INVALID names what is wrong. */
int port_parse(struct str text, int *ret, struct error *err);

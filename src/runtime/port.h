/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port: HTTP to what listens inside a sandbox. Each request is passed on over a connection of its own, which
 * the sandbox's executor opens (action/network_actions.h); see http/proxy.h for what changes on the way.
 */
#pragma once

#include "http/proxy.h"
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
/* "8080"; ERROR_INVALID names what is wrong. */
int port_parse(struct str text, int *ret, struct error *err);

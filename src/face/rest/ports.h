/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports: what listens inside a sandbox, seen in a browser under a name of its own,
 *
 *	http://PORT-SANDBOX.localhost:8000/
 *
 * which is an origin of its own: a page there can do nothing to this server or to another port.
 * Programs may use it too, or the path /v1/sandboxes/{id}/ports/{port}/…, which is the same without
 * an origin.
 *
 * A browser cannot send a bearer token with a link. GET /v1/sandboxes/{id}/ports/{port} gives a
 * link with a ticket for that port of that sandbox alone; its first use becomes a cookie of that
 * name, and the ticket leaves the address.
 */
#pragma once

#include "face/rest/rest.h"

/* What every request to one of these names goes to. */
extern const struct http_route ports_host_route;

/* `rest` is the face that the paths belong to; *face is filled, and both stay. */
void ports_face_init(struct http_face *face, struct rest *rest);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote: sandboxes of an OpenHands deployment: of a Remote Runtime API (many, made and ended by
 * it), or of a bare action execution server (one, which is there as long as the server is). What an
 * action becomes: site.h.
 *
 * A sandbox's session there is its name, or its id if it has none. A session that exists is taken
 * up again by whoever asks for a sandbox of that name, and a paused one is resumed. What else lives
 * there is listed at the start, and left alone at the end: to close the backend ends nothing.
 *
 * Every question has a deadline and a number of tries (ask.h); an action is never performed twice.
 * A runtime that is paused by somebody else is resumed by the next action.
 */
#pragma once

#include "runtime/backend.h"

enum {
	REMOTE_READY_MS = 180000, /* from the request for a sandbox to its first answer */
	REMOTE_API_MS = 180000,   /* one question to the API */
	REMOTE_ALIVE_MS = 5000,
	REMOTE_MEMBERS_MAX = 8192,
};

struct remote_config {
	const char *url; /* http://… or https://… */
	const char *key; /* X-API-Key of an API, X-Session-API-Key of a server; NULL: none */
	bool is_server;  /* a bare action execution server */
};

int remote_backend_new(struct loop *loop, const struct remote_config *config, struct backend **ret,
	struct error *err);

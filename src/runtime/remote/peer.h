/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer: the sandboxes of another cay server, by its own API (REST). Ids, names and errors are those
 * of that server; all that lives there is listed at the start, what is made here lives on when the
 * backend is closed.
 *
 * An action is one request; one that streams is a WebSocket.
 */
#pragma once

#include "runtime/backend.h"

struct peer_config {
	const char *url;   /* http://…, https://… or unix:/PATH */
	const char *token; /* NULL: none */
};

int peer_backend_new(struct loop *loop, const struct peer_config *config, struct backend **ret,
	struct error *err);

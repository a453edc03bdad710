/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conversation: which sandbox a conversation is in, for its WebSocket, which says nothing but the
 * conversation's id before it is open.
 *
 * It is learned from requests with a key, /api/conversations/{id}/…, which come before, and again
 * after a restart of the server. An id that two living sandboxes have been asked for leads to
 * neither: nobody gets to see what another's client sends.
 */
#pragma once

#include "face/openhands/state.h"

enum {
	CONVERSATIONS_MAX = 4096,           /* known at once: the oldest is forgotten */
	CONVERSATIONS_OF_SANDBOX_MAX = 256, /* … of one sandbox, likewise */
	CONVERSATION_ID_SIZE = 33,          /* of a UUID, in hex digits */
};

/* A request for this path went to that sandbox. */
void conversation_note(struct openhands *oh, struct str path, const struct sandbox *s);
/* Of the id in the path of this request for a WebSocket; NULL: none, or more than one. */
struct sandbox *conversation_find(struct http_request *r);
void conversations_drop_all(struct openhands *oh);

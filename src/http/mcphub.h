/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcphub: a server of MCP messages over HTTP, in both of its transports:
 *
 *	streamable HTTP   POST a message; a request is answered in the reply, as JSON or, if something is told
 *	                  before the answer, as an event stream (revision 2025-03-26 and later)
 *	HTTP with SSE     GET a stream whose first event names where to POST; answers are events of the stream
 *	                  (revision 2024-11-05)
 *
 * The hub takes the messages apart, keeps the sessions and sends the answers. What they mean is its
 * owner's: each request becomes a turn, to be answered exactly once, at once or later, also after
 * its client is gone (on_gone tells). A turn's message lives as long as the turn.
 *
 *	static void on_request(void *arg, struct mcphub_turn *turn)
 *	{
 *		if (str_is(turn->message.method, "ping"))
 *			mcphub_answer(turn, STR("{}"));
 *		…
 */
#pragma once

#include "base/id.h"
#include "base/list.h"
#include "http/server.h"
#include "wire/jsonrpc.h"

enum {
	MCPHUB_BODY_MAX = 16 * 1024 * 1024, /* of a message that is POSTed: body_max of the rows */
	MCPHUB_SESSIONS_MAX = 1024,
	MCPHUB_TURNS_MAX = 1024,         /* requests under way, of one sandbox */
	MCPHUB_IDLE_MS = 60 * 60 * 1000, /* a session without a message */
};

struct mcphub;

struct mcphub_session {
	struct list link; /* mcphub::sessions */
	struct mcphub *hub;
	char id[33];
	void *state;                 /* of the owner */
	struct http_request *stream; /* HTTP with SSE: where answers go; else NULL */
	int64_t active_ms;           /* monotonic */
	int n_turns;
};

struct mcphub_turn {
	struct list link; /* mcphub::turns */
	struct mcphub *hub;
	struct mcphub_session *session; /* NULL: none, or it has ended */
	struct jsonrpc message;
	void *state;               /* of the owner */
	bool is_gone;              /* nobody waits for the answer */
	struct http_request *http; /* may be read while on_request runs; else private */
	struct json *tree;         /* private */
	bool is_streaming;         /* private */
	char sandbox[ID_SIZE];     /* private: whose, without a session; "" with one */
};

struct mcphub_ops {
	void (*on_request)(void *arg, struct mcphub_turn *turn);
	/* May be NULL. session may be NULL. */
	void (*on_notification)(void *arg, struct mcphub_session *session, const struct jsonrpc *m);
	/*
	 * The client is gone, or has cancelled it. It must be answered all the same. May be NULL.
	 */
	void (*on_gone)(void *arg, struct mcphub_turn *turn);
	/* Its turns have been told to be gone. May be NULL. */
	void (*on_session_end)(void *arg, struct mcphub_session *session);
};

/* has_sessions: streamable HTTP gives each client a session (Mcp-Session-Id). */
struct mcphub *mcphub_new(struct loop *loop, bool has_sessions, const struct mcphub_ops *ops,
	void *arg);
/* Ends every session; turns still to be answered must be answered before, or never are. */
void mcphub_free(struct mcphub *hub);

/* The handlers. Rows of POST have body_max MCPHUB_BODY_MAX. */
void mcphub_post(struct mcphub *hub, struct http_request *r);   /* streamable: POST */
void mcphub_delete(struct mcphub *hub, struct http_request *r); /* streamable: DELETE */
/*
 * Streamable: GET would open a stream for what a server says unasked. We have nothing to say: 405.
 */
void mcphub_get(struct mcphub *hub, struct http_request *r);
/* HTTP with SSE: GET. `messages`: the path to POST to, "/mcp/messages/". */
void mcphub_sse(struct mcphub *hub, struct http_request *r, const char *messages);
void mcphub_sse_post(struct mcphub *hub, struct http_request *r); /* ?session_id= */

/* result: JSON. The turn is gone. */
void mcphub_answer(struct mcphub_turn *turn, struct str result);
void mcphub_refuse(struct mcphub_turn *turn, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* An error object of somebody else, with whatever it holds. */
void mcphub_refuse_as(struct mcphub_turn *turn, const struct json *error);
/* Tells the turn's client something before the answer, if it can hear it. */
void mcphub_tell(struct mcphub_turn *turn, const char *method, struct str params);
/* Tells every client that listens. */
void mcphub_tell_all(struct mcphub *hub, const char *method, struct str params);
/* The session of a streamable request by its header; NULL if there is none of it. */
struct mcphub_session *mcphub_session_of(struct mcphub *hub, const struct http_request *r);

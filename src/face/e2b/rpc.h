/* SPDX-License-Identifier: Apache-2.0 */
/* rpc: calls of envd's, of one answer and of many. */
#pragma once

#include "face/chore.h"
#include "face/e2b/state.h"

/* rpc.c: a call of one answer is a chore. NULL: answered. */
struct chore *e2b_chore(struct http_request *r);
/* {"path":PATH,MORE}, PATH as the user means it. */
void e2b_perform_path(struct chore *e, const struct action *action, struct str path,
	const char *more, chore_fn *then);
void e2b_rpc_reply(struct chore *e, const struct buf *json);
/* Where relative paths of the caller's begin. */
const char *e2b_home(struct http_request *r);
/* What a path of a caller's means: relative ones begin at home. In the arena. */
struct str e2b_path(struct arena *arena, const char *home, struct str path);
/* Of Authorization, or of ?username=. -1: it cannot be read. */
int e2b_take_user(struct http_request *r, struct str *ret, const char **ret_home,
	struct error *err);

/* entry.c: what the actions stat and list tell, as an EntryInfo. */
void e2b_put_entry(struct jsonw *w, const struct json *file, struct str name, struct str path);
/* The action stat, and then its entry as {"entry":…}. */
void e2b_rpc_reply_entry(struct chore *e, struct str path);

/* stream.c: an answer of many messages. */
struct e2b_stream {
	struct http_request *r; /* NULL: answered */
	struct timer *timer, *deadline;
	int64_t keepalive_ms;
	const char *keepalive; /* the message */
	void (*on_drain)(void *arg);
	void (*on_closed)(
		void *arg); /* the client is gone, or its time is over; the stream is, too */
	void *arg;
	bool is_begun;
};
/* The one message of the request; NULL: answered. */
struct json *e2b_stream_request(struct http_request *r);
void e2b_stream_init(struct e2b_stream *s, struct http_request *r, struct loop *loop);
/* For how long the client wants to wait; 0: for ever. */
int64_t e2b_stream_timeout_ms(const struct http_request *r);
void e2b_stream_set_deadline(struct e2b_stream *s, struct loop *loop, int64_t timeout_ms);
void e2b_stream_send(struct e2b_stream *s, struct str json);
bool e2b_stream_is_full(const struct e2b_stream *s);
void e2b_stream_end(struct e2b_stream *s, const struct error *err); /* NULL: it went well */
void e2b_stream_cut(struct e2b_stream *s); /* as if the machine were gone */

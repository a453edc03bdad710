/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: an answer of execd's as a stream of events, each a bare JSON object and an empty line.
 * Every three seconds there is a ping. What a slow client does not take its owner holds back.
 *
 * A client that goes away ends the telling and not what is told of: its process goes on, as execd's
 * do. The owner is told, and nothing is sent any more.
 */
#pragma once

#include "face/opensandbox/lines.h"
#include "face/opensandbox/state.h"

struct osb_events {
	struct http_request *r; /* NULL: it is answered */
	struct timer *ping;
	struct osb_lines lines[2]; /* of stdout and stderr */
	struct buf batch;          /* events of lines that came together: they leave together */
	int64_t started_ms;        /* monotonic */
	bool is_begun;
	void (*drain)(void *arg); /* it takes more again */
	void (*gone)(void *arg);  /* the client is; the owner may free *this now */
	void *arg;
};

void osb_events_init(struct osb_events *e, struct http_request *r, struct loop *loop);
void osb_events_fini(struct osb_events *e);
void osb_events_text(struct osb_events *e, const char *type, struct str text); /* {"type","text"} */
void osb_events_int(struct osb_events *e, const char *type, const char *key, int64_t n);
/* Output of channel 1 or 2, as lines. */
void osb_events_output(struct osb_events *e, uint8_t channel, struct str bytes);
/* An event with this member, which is JSON. */
void osb_events_json(struct osb_events *e, const char *type, const char *key, struct str json);
void osb_events_error(struct osb_events *e, const char *name, struct str value,
	const struct json *traceback);
bool osb_events_are_full(const struct osb_events *e);
/* What is left of lines; then the time it took, if it went well; then the end. */
void osb_events_end(struct osb_events *e, bool is_good);
/* As an answer of execd's, if none has begun; else the stream is cut. */
void osb_events_fail(struct osb_events *e, const struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse: event streams (text/event-stream,
 * https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 *	sse_put(&out, "message", NULL, json);
 *
 *	struct sse_parser p;
 *	sse_parser_init(&p, 1 << 20);
 *	while (…) sse_parse(&p, piece, on_event, arg, &err);    pieces may be cut anywhere
 *	sse_parser_fini(&p);
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/*
 * Appends one event. event and id may be NULL. Each line of data becomes a line; CR counts as a
 * line end.
 */
int sse_put(struct buf *out, const char *event, const char *id, struct str data);

struct sse_event {
	struct str event; /* "message" if the stream named none */
	struct str data;
	struct str id; /* the last one seen; "" at first */
};

/* Negative ends the parsing with *err, which it fills. */
typedef int sse_fn(void *arg, const struct sse_event *event, struct error *err);

struct sse_parser {
	struct buf line; /* of the line that is not whole yet */
	struct buf event, data, id;
	bool had_cr;    /* a LF that follows belongs to it */
	bool has_begun; /* past a byte order mark */
};

void sse_parser_init(struct sse_parser *p,
	size_t limit); /* of each line and of the data of an event */
void sse_parser_fini(struct sse_parser *p);
/* ERROR_TOO_LARGE beyond the limit; else what fn gives. Views are valid during the call of fn. */
int sse_parse(struct sse_parser *p, struct str piece, sse_fn *fn, void *arg, struct error *err);

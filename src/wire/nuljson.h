/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nuljson: messages that end with a NUL byte, as a browser sends them over its debugging pipe. Each
 * is one JSON object; this module only cuts the stream and keeps a ceiling.
 *
 *	struct nuljson n;
 *	nuljson_init(&n, 16 << 20);
 *	while (…) nuljson_parse(&n, piece, on_message, arg, &err);    pieces may be cut anywhere
 *	nuljson_fini(&n);
 *
 * A message over the limit does not end the stream: its first NULJSON_HEAD bytes are given with
 * is_cut, so that whoever asked for it can be told; the rest is passed over.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { NULJSON_HEAD = 256 };

/* Negative ends the parsing with *err, which it fills. The text is valid until it returns. */
typedef int nuljson_fn(void *arg, struct str text, bool is_cut, struct error *err);

struct nuljson {
	struct buf text; /* of the message that is not whole yet */
	bool is_cut;     /* it is over the limit: text is its head */
};

void nuljson_init(struct nuljson *n, size_t limit); /* of one message; above NULJSON_HEAD */
void nuljson_fini(struct nuljson *n);
/* Empty messages are passed over. */
int nuljson_parse(struct nuljson *n, struct str piece, nuljson_fn *fn, void *arg,
	struct error *err);
/* Appends a message. It must not hold a NUL: JSON never does. */
int nuljson_put(struct buf *out, struct str text);

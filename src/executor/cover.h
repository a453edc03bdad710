/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cover: the values of variables that were named as secrets (configure) stay out of what calls
 * send: results, events and data. Not out of what is bytes of a file or of a connection
 * (ACTION_RAW), which would be spoilt.
 *
 * A secret may come in two pieces of data. What may be the beginning of one is held back until the
 * next piece, the end of the call, or COVER_HOLD_MS have passed; COVER_HOLD_LONG_MS where it is at
 * least COVER_LONG bytes of it, which are hardly there by chance.
 */
#pragma once

#include "wire/mask.h"

struct call;
struct executor;

enum { COVER_HOLD_MS = 50, COVER_HOLD_LONG_MS = 2000, COVER_LONG = 8 };

/* After env or secrets changed. What a secret was before stays covered. */
void cover_learn(struct executor *e);
/* Whether anything has to be done for this call. */
bool cover_wants(const struct call *call);
/* The same text, or what is in `b` now. */
struct str cover_json(const struct call *call, struct str json, struct buf *b);
void cover_data(struct call *call, uint8_t channel, struct str bytes);
void cover_flush(struct call *call); /* sends what is held back */
void cover_drop(struct call *call);

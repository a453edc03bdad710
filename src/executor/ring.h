/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring: text of any length in bounded memory: the first half and the last half of what fits are
 * kept, what is in between is counted. Memory grows with what comes, up to the limit, and is given
 * back by ring_reset. So a gibibyte of output costs what its report may hold, and a line costs a
 * line.
 */
#pragma once

#include "base/buf.h"

struct ring {
	struct buf head;   /* the first limit/2 bytes */
	struct buf tail;   /* then the last limit/2 bytes: circular once it is full */
	size_t tail_start; /* where the oldest byte of a full tail is */
	size_t limit;
	uint64_t dropped_bytes, dropped_lines; /* newlines among the dropped */
};

void ring_init(struct ring *r, size_t limit);
void ring_fini(struct ring *r);
void ring_reset(struct ring *r); /* empties it and gives memory back */
void ring_add(struct ring *r, struct str bytes);
bool ring_is_empty(const struct ring *r);
/*
 * Takes the last bytes back, at most `max`, that begin after a newline and hold at most `lines`
 * newlines: appends them to `out` and removes them. Bytes that were dropped cannot be taken back.
 */
void ring_take_back(struct ring *r, size_t lines, size_t max, struct buf *out);
/*
 * Appends everything to `out`. Where bytes are missing the cut is moved to the nearest line ends,
 * if they are near, and a line says how much is missing; the counts are those of that line.
 */
struct ring_gap {
	uint64_t bytes, lines;
};
struct ring_gap ring_put(const struct ring *r, struct buf *out);

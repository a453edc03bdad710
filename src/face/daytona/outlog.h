/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outlog: what a command wrote, in Daytona's form: a run of bytes is preceded by 01 01 01 if it is
 * of the standard output, by 02 02 02 if of the standard error. Its beginning and its end are kept,
 * OUTLOG_HALF bytes of each at least; what is between is left out and counted.
 *
 * A position counts bytes of that form. Whoever reads at a pace of its own keeps one, and skips
 * what is gone.
 */
#pragma once

#include "base/buf.h"

enum { OUTLOG_HALF = 512 * 1024, OUTLOG_PREFIX = 3 };

struct outlog {
	struct buf head;       /* the first bytes, until there is no room for a run */
	struct buf old, young; /* the last ones: `old` is full, and goes when `young` is */
	bool is_past_head;
	int64_t total; /* ever */
	int channel;   /* of the last run; 0: none */
};

void outlog_init(struct outlog *log);
void outlog_fini(struct outlog *log);
/* channel: 1 stdout, 2 stderr. */
void outlog_add(struct outlog *log, int channel, struct str bytes);
/*
 * What is kept from *position on, up to the end of one buffer; moves *position behind it. False:
 * nothing more.
 */
bool outlog_next(const struct outlog *log, int64_t *position, struct str *ret);
/*
 * Everything kept; of one channel alone without prefixes (1, 2), of both without (0), or as it is
 * (-1).
 */
void outlog_put(const struct outlog *log, int channel, struct buf *b);
size_t outlog_size(const struct outlog *log); /* bytes of memory */

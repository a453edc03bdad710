/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines: output of a command cut into what execd tells of it, an event per line: without the LF, CR
 * or CRLF that ends it; an empty line is "\n". What is after the last one is a line once there is
 * no more. Pieces may be cut anywhere. A line beyond OSB_LINES_MAX is told in parts.
 *
 *	osb_lines_feed(&l, bytes, on_line, arg);  …  osb_lines_end(&l, on_line, arg);
 */
#pragma once

#include "base/buf.h"

enum { OSB_LINES_MAX = 256 * 1024 };

struct osb_lines {
	struct buf begun; /* of the line that has not ended */
	bool had_cr;      /* an LF that follows belongs to it */
};

typedef void osb_lines_fn(void *arg, struct str line);

void osb_lines_init(struct osb_lines *l);
void osb_lines_fini(struct osb_lines *l);
void osb_lines_feed(struct osb_lines *l, struct str bytes, osb_lines_fn *fn, void *arg);
void osb_lines_end(struct osb_lines *l, osb_lines_fn *fn, void *arg);

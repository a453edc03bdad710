/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outputs: what a cell printed and showed, in order, bounded: the first half of the limit and the
 * last are kept, and between them stands how much is left out. Pictures have a ceiling of their
 * own, CELL_DISPLAYS_MAX.
 *
 * As text it is what a terminal shows: what was printed, text/plain of what was shown, the lines of
 * tracebacks.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "wire/json.h"

struct executor;

struct outputs {
	size_t limit;
	struct list head, tail; /* output::link */
	size_t head_bytes, tail_bytes, display_bytes;
	uint64_t dropped_bytes;
};

void outputs_init(struct outputs *o, size_t limit);
void outputs_fini(struct outputs *o);
/* channel: 1 stdout, 2 stderr. */
void outputs_add(struct outputs *o, uint8_t channel, struct str bytes);
/* An output as action/kernel_actions.h has it; what is none is passed over. */
void outputs_add_display(struct outputs *o, const struct json *output);
/*
 * The array; and all of it as text. Secrets of the executor, which may be NULL, are masked in both.
 */
void outputs_put(const struct outputs *o, const struct executor *e, struct jsonw *w);
void outputs_put_text(const struct outputs *o, const struct executor *e, struct buf *text);

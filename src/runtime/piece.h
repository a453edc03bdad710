/* SPDX-License-Identifier: Apache-2.0 */
/*
 * piece: a cell of Python with variables of the environment for itself alone. Where it has some, a
 * cell before it sets them and one after it puts back what was there, both in the same kernel and
 * without a word to who waits for the piece.
 */
#pragma once

#include "runtime/runtime.h"

struct piece;

struct piece_wish {
	const char *sandbox_id;
	/* Members of the cell's parameters that say which kernel: "\"kernel\":\"default\"" */
	struct str kernel_json;
	struct str code;
	const struct json *env; /* {"A":"1"}, at most 256 KiB; NULL, or empty: none */
	int64_t timeout_ms;     /* of the code; 0: as any cell's */
};

struct piece_ops {
	void (*data)(void *arg, uint8_t channel, struct str bytes);
	void (*event)(void *arg, struct str json); /* may be NULL */
	/* The code has ended; what it was given is put back before `done`. */
	void (*ran)(void *arg, const struct json *result);
	/* One of them is called, once, never from inside; the piece is gone then. */
	void (*done)(void *arg);
	void (*failed)(void *arg, const struct error *err);
};

/* The strings and the object of *wish are copied. */
struct piece *piece_new(struct runtime *rt, const struct piece_wish *wish,
	const struct piece_ops *ops, void *arg);
void piece_cancel(struct piece *p); /* without a word, and without putting back; NULL is fine */
/* Its code is interrupted if it runs, and goes on to its end. */
void piece_interrupt(struct piece *p);
void piece_pause(struct piece *p, bool is_paused);

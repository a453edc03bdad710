/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crate: files as one executor hands them to another, behind wire/pack.h for who reads. What tar
 * pads to blocks, sums up and writes in octal is left out, a file's holes are not carried, and
 * there is an end that says so. All numbers are little endian:
 *
 *	uint8   kind (enum pack_kind, or CRATE_END: that was all)
 *	uint8   zero
 *	uint16  length of the path
 *	uint16  length of the target, of links
 *	uint16  zero
 *	uint32  mode
 *	uint32  zero
 *	int64   size, of a file
 *	int64   mtime, seconds
 *	path, target
 *
 * A file is followed by its pieces, in order, and a last one that is empty; between them are holes:
 *
 *	int64   offset, a multiple of CRATE_BLOCK
 *	int64   length, also one, or up to the file's end; 0: no more
 *	bytes
 *
 * So a map of holes costs its reader nothing, and each piece is bytes that came.
 */
#pragma once

#include "base/buf.h"
#include "wire/pack.h"

enum {
	CRATE_END = 255,
	CRATE_BLOCK = 4096,
	CRATE_HEAD = 32,
	CRATE_PIECE = 16,
	CRATE_ITEM_MAX = CRATE_HEAD + 2 * PACK_PATH_MAX,
};

/* ---- writing: each appends to `out` ---- */

void crate_put_item(struct buf *out, const struct pack_item *item);    /* CRATE_ITEM_MAX at most */
void crate_put_piece(struct buf *out, int64_t offset, int64_t length); /* its bytes follow */
void crate_put_end(struct buf *out);

/* ---- reading: with a constant amount of memory ---- */

struct crate {
	pack_source_fn *source;
	void *arg;
	struct str rest; /* of what the source gave last */
	struct pack_item item;
	int64_t at;   /* where the piece goes on, or the last one ended */
	int64_t left; /* of the piece */
	bool is_file; /* pieces are to come */
	char path[PACK_PATH_MAX + 1], target[PACK_PATH_MAX + 1];
	char head[CRATE_HEAD]; /* what did not come in one */
};

void crate_init(struct crate *c, pack_source_fn *source, void *arg);
/* As pack_next. ERROR_CANCELLED: it broke off. */
int crate_next(struct crate *c, struct pack_item *ret, struct error *err);
/* As pack_read_at. */
ssize_t crate_read_at(struct crate *c, int64_t *ret_offset, const void **ret_bytes,
	struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tarcut: a tar archive without its end, so that another one may follow: what comes after the first
 * empty block is dropped. It looks at sizes alone; whether the rest is an archive is for who
 * unpacks it to find out.
 *
 *	struct tarcut cut = { 0 };
 *	tarcut_feed(&cut, bytes, &out, &err);  … as often as there are some
 *	tarcut_end(&cut, &err);
 *	buf_add(&out, tarcut_zeros, sizeof(tarcut_zeros));  after the last archive
 *
 * And one file, as what an archive begins with.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

enum { TARCUT_BLOCK = 512 };

struct tarcut {
	char header[TARCUT_BLOCK];
	size_t n;      /* of it that are there */
	uint64_t left; /* bytes of a member's data and its padding */
	bool has_ended;
};

extern const char tarcut_zeros[2 * TARCUT_BLOCK]; /* the end of an archive */

/* Appends at most what is fed and a block. ERROR_INVALID: a size that cannot be. */
int tarcut_feed(struct tarcut *cut, struct str bytes, struct buf *out, struct error *err);
/* ERROR_INVALID if it was cut off within a member. An archive need not have an end. */
int tarcut_end(const struct tarcut *cut, struct error *err);
/* A file of root's; the name has fewer than 100 bytes. */
void tarcut_put_file(struct buf *out, const char *name, struct str content);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zip: writes a zip archive as a stream, items stored as they are; behind wire/pack.h, which is
 * what others use. A name is marked as UTF-8 exactly if it is: libarchive decides that by the
 * process's locale, and a static program has none. Sizes are in the heads and sums behind the data,
 * so that a reader of the stream and one of the table of contents find the same; 64-bit fields only
 * where they are needed.
 *
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "wire/pack.h"

/* The table of contents is kept until the end. */
enum { ZIP_TABLE_MAX = 256 * 1024 * 1024 };

struct zip {
	struct buf table;
	uint64_t items;
	uint64_t offset; /* bytes written so far */
	struct zip_item {
		uint64_t offset, size;
		uint32_t sum, dos_time, attributes;
		uint16_t flags;
	} now; /* the item that is being written */
	char name[PACK_PATH_MAX + 1];
};

void zip_init(struct zip *z);
void zip_fini(struct zip *z);
/* Each appends to `out` what is to be written next. */
int zip_begin(struct zip *z, const struct pack_item *item, struct buf *out, struct error *err);
void zip_count(struct zip *z, struct str bytes); /* the caller writes these itself */
int zip_end_item(struct zip *z, struct buf *out, struct error *err);
void zip_end(struct zip *z,
	struct buf *out); /* what follows the table, which the caller writes first */

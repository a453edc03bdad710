/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack: archives, in and out, by callbacks: no descriptor, no file is opened here. Tar is read in
 * every dialect and written as GNU tar, which carries names as bytes; zip is written as a stream,
 * not compressed.
 *
 * An archive is input from a stranger. What an item says is given as it is: absolute paths, "..",
 * links to anywhere. Who makes files of it opens every path beneath a descriptor and follows no
 * link.
 *
 *	struct pack_item item;
 *	while ((r = pack_next(reader, &item, err)) > 0)
 *		while (item.kind == PACK_FILE && (n = pack_read(reader, bytes, sizeof(bytes), err)) > 0)
 *			…
 *
 * Readers and writers belong to one thread. After a failure only free is allowed. The only module
 * that knows libarchive.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>
#include <sys/types.h>

enum pack_format {
	PACK_TAR,
	PACK_ZIP,
	PACK_CRATE, /* our own (wire/crate.h), only read here */
};

enum pack_kind {
	PACK_FILE,
	PACK_DIR,
	PACK_SYMLINK,
	PACK_HARDLINK, /* target: the path of an earlier item */
	PACK_GONE,     /* in crates alone: what lower layers have by this name is hidden … */
	PACK_OPAQUE,   /* … or all that they have beside it: the name itself says nothing */
	PACK_OTHER,    /* devices, sockets, FIFOs */
};

enum { PACK_PATH_MAX = 4095 };

struct pack_item {
	enum pack_kind kind;
	const char *path; /* valid until the next call; at most PACK_PATH_MAX bytes, never empty */
	const char *target; /* of links; "" for others */
	uint32_t mode;      /* permission and set-id bits */
	int64_t size;       /* of a PACK_FILE; -1: not known beforehand (zip) */
	int64_t mtime_s;
};

struct pack_reader;
struct pack_writer;

/*
 * The next piece of the archive; its bytes stay valid until the next call. Its size, 0 at the end,
 * -1.
 */
typedef ssize_t pack_source_fn(void *arg, const void **ret_bytes, struct error *err);
typedef int pack_sink_fn(void *arg, struct str bytes, struct error *err);

/*
 * Tar may be compressed (gzip, bzip2, xz, zstd); zip is read by the heads of its items, as they
 * come. A crate that breaks off is ERROR_CANCELLED: its writer says why.
 */
int pack_reader_new(enum pack_format format, pack_source_fn *source, void *arg,
	struct pack_reader **ret, struct error *err);
/* Where the next piece begins, as lseek(2) has it. The new offset from the start, or -1. */
typedef int64_t pack_seek_fn(void *arg, int64_t offset, int whence, struct error *err);
/*
 * Zip by its table of contents, which is at the end: what other programs go by, and the only place
 * that tells modes and symbolic links.
 */
int pack_reader_new_zip(pack_source_fn *source, pack_seek_fn *seek, void *arg,
	struct pack_reader **ret, struct error *err);
void pack_reader_free(struct pack_reader *r);
/* 1, or 0 at the end of the archive. What was left of the item before is passed over. */
int pack_next(struct pack_reader *r, struct pack_item *ret, struct error *err);
/* The item's next bytes; 0 at its end. Not of a crate. */
ssize_t pack_read(struct pack_reader *r, void *bytes, size_t size, struct error *err);
/*
 * The same without a copy and without holes: where in the file they belong is *ret_offset, what no
 * bytes come for is a hole, up to the item's size. They are valid until the next call. What an
 * archive says of its holes may be a lie: offsets may go back, and lie anywhere.
 */
ssize_t pack_read_at(struct pack_reader *r, int64_t *ret_offset, const void **ret_bytes,
	struct error *err);

int pack_writer_new(enum pack_format format, pack_sink_fn *sink, void *arg,
	struct pack_writer **ret, struct error *err);
/* Drops what is not written yet. */
void pack_writer_free(struct pack_writer *w);
/* A PACK_FILE is followed by exactly `size` bytes. */
int pack_add(struct pack_writer *w, const struct pack_item *item, struct error *err);
int pack_write(struct pack_writer *w, struct str bytes, struct error *err);
int pack_end(struct pack_writer *w, struct error *err); /* the archive's end */

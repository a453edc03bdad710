/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parcel: an archive that a worker makes and its caller gets piece by piece, as data of the call,
 * or through the pipe that came with it.
 *
 *	struct parcel *p;
 *	if (parcel_new(io, PACK_TAR, &p, err) < 0)
 *		…
 *	parcel_add(p, &item, err);   a PACK_FILE is followed by parcel_add_bytes
 *	parcel_end(p, err);
 *
 * In a PACK_CRATE holes of files stay holes.
 */
#pragma once

#include "executor/worker.h"
#include "wire/pack.h"

struct parcel {
	struct worker_io *io;
	struct pack_writer *writer; /* NULL: a crate, written here */
	struct buf out;             /* FRAME_DATA_MAX at once */
	int64_t bytes, entries;
	bool truncated; /* a file was shorter than announced and is filled up with zeros */
	char chunk[64 * 1024];
};

int parcel_new(struct worker_io *io, enum pack_format format, struct parcel **ret,
	struct error *err);
void parcel_free(struct parcel *p); /* NULL is fine */
int parcel_add(struct parcel *p, const struct pack_item *item, struct error *err);
/* The bytes of the PACK_FILE that was added last, as many as it was said to have, from 0 on. */
int parcel_add_bytes(struct parcel *p, int fd, int64_t size, struct error *err);
/* The archive's end; all of it has been sent then. */
int parcel_end(struct parcel *p, struct error *err);

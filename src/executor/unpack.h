/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack: makes files of an archive beneath a directory. Runs in a worker.
 *
 * An item whose name is absolute, has "..", is deeper than UNPACK_LEVELS_MAX, or would go through a
 * symbolic link, a device, socket or FIFO, a hard link to anything but an earlier file of the same
 * archive: the unpacking stops there with an error that names it; what came before stays. A file
 * that exists is replaced, a symbolic link is made as it stands and never followed. Set-id bits and
 * extended attributes are dropped.
 *
 * Holes stay holes where the archive tells of them (GNU's and PAX' sparse files in a tar, crates).
 * What a file takes on the disk counts against max_bytes, whole blocks around each of its pieces;
 * what it seems to be long has UNPACK_FILE_MAX.
 *
 * An image's layer in a tar may hold devices (passed over: /dev is never an image's) and says what
 * lower layers lose by names: ".wh.NAME" and ".wh..wh..opq"
 * (https://github.com/opencontainers/image-spec/blob/main/layer.md). A crate has items for that.
 */
#pragma once

#include "executor/path.h"

#include <stdint.h>
#include <sys/types.h>

enum { UNPACK_LEVELS_MAX = 64, UNPACK_ITEMS_MAX = 1000 * 1000 };
#define UNPACK_FILE_MAX ((int64_t)1 << 40)

/* A crate (wire/crate.h) is another executor's, and ends where it says so. */
enum unpack_kind { UNPACK_TAR, UNPACK_ZIP, UNPACK_CRATE };

struct unpack_how {
	bool is_layer; /* in a tar: devices are passed over, ".wh." names become overlayfs' marks */
	int64_t max_bytes; /* of what comes out; 0: any */
};

struct unpack_counts {
	int64_t bytes;   /* of the archive */
	int64_t written; /* what came out, without holes */
	int64_t items;
};

/*
 * in_fd is read to its end, also beyond that of a tar or zip; -1 leaves the rest. dir_fd stays the
 * caller's.
 */
int unpack(enum unpack_kind kind, const struct unpack_how *how, int in_fd, int dir_fd,
	const struct path_root *root, struct unpack_counts *ret, struct error *err);

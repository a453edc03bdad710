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
 * A layer of an image may hold devices (passed over: /dev is never an image's) and say what lower
 * layers lose: ".wh.NAME" and ".wh..wh..opq"
 * (https://github.com/opencontainers/image-spec/blob/main/layer.md).
 */
#pragma once

#include "executor/path.h"

#include <stdint.h>
#include <sys/types.h>

enum { UNPACK_LEVELS_MAX = 64, UNPACK_ITEMS_MAX = 1000 * 1000 };

enum unpack_kind { UNPACK_TAR, UNPACK_ZIP };

struct unpack_how {
	bool is_layer; /* of an image: devices are passed over, ".wh." names become overlayfs' marks */
	int64_t max_bytes; /* of what comes out; 0: any */
};

struct unpack_counts {
	int64_t bytes;   /* of the archive */
	int64_t written; /* what came out */
	int64_t items;
};

/*
 * in_fd is read to its end, also beyond the archive's; -1 leaves the rest. dir_fd stays the
 * caller's.
 */
int unpack(enum unpack_kind kind, const struct unpack_how *how, int in_fd, int dir_fd,
	const struct path_root *root, struct unpack_counts *ret, struct error *err);

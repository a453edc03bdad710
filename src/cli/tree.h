/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree: a directory of this machine as a tar stream, and back.
 *
 * What comes out of a sandbox was written by a stranger. tree_unpack makes nothing but beneath
 * dir_fd: absolute names and ".." are refused, every directory on the way is opened without
 * following a link, an entry replaces what has its name instead of writing through it, set-id bits
 * are dropped, devices and FIFOs are passed over. Links are made as they are: they may point
 * anywhere, and are the reader's to distrust. An archive that is cut or wrong leaves what was
 * unpacked before.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

enum { TREE_DEPTH_MAX = 256 };

struct tree_count {
	int64_t entries;
	int64_t skipped; /* devices, sockets, FIFOs */
};

struct ignore; /* wire/ignore.h */

struct tree_how {
	const struct ignore *ignore; /* what is left out; NULL: nothing */
	const char *const *kept; /* paths that are never left out, NULL-terminated; may be NULL */
	const char *extra_name;  /* one more file; NULL: none */
	struct str extra;        /* what is in it */
};

/* Writes what is in the directory, without an entry for itself. how NULL: all of it. */
int tree_pack(int dir_fd, const struct tree_how *how, int out_fd, struct tree_count *ret,
	struct error *err);
int tree_unpack(int in_fd, int dir_fd, struct tree_count *ret, struct error *err);

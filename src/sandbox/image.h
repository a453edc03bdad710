/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image: root file systems that come as an archive.
 *
 * Where the spec's image is a regular file (tar, or tar with gzip, bzip2, xz or zstd), it is
 * unpacked once into a directory of the cache and the spec is made to name that directory:
 *
 *	$XDG_CACHE_HOME/cay/images/KEY; where that is not set
 *	/var/cache/cay/images/KEY for root, ~/.cache/cay/images/KEY for others
 *
 * KEY says which file of which file system, its size and its dates, so a changed archive is
 * unpacked anew. No program of the host's ever parses the archive: `tar` runs in a sandbox without
 * network, whose only door is the new directory. Everything in it belongs to whoever runs cay;
 * owners of the archive, set-uid bits and what lies beneath /dev are not taken over. Who wants the
 * room back removes the directory.
 */
#pragma once

#include "base/buf.h"
#include "sandbox/hostpath.h"

/*
 * Blocks for as long as unpacking takes. Leaves every other image as it is. paths NULL: it may lie
 * anywhere.
 */
int image_resolve(const struct host *host, const struct hostpaths *paths, struct spec *spec,
	struct error *err);
/* The directory of the cache, which need not be there. */
int image_put_cache_dir(const struct host *host, struct buf *b, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image: root file systems that come as an archive.
 *
 * Where the spec's image is a regular file (tar, or tar with gzip, bzip2, xz or zstd), it is unpacked once into a
 * directory of the cache and the spec is made to name that directory:
 *
 *	$XDG_CACHE_HOME/cay/images/KEY; where that is not set
 *	/var/cache/cay/images/KEY for root, ~/.cache/cay/images/KEY for others
 *
 * KEY says which file of which file system, its size and its dates, so a changed archive is unpacked anew. No
 * program of the host's ever parses the archive: `tar` runs in a sandbox without network, whose only door is
 * the new directory. Everything in it belongs to whoever runs cay; owners of the archive, set-uid bits and
 * what lies beneath /dev are not taken over. Who wants the room back removes the directory.
 */
#pragma once

#include "sandbox/host.h"

/* Blocks for as long as unpacking takes. Leaves every other image as it is. */
int image_resolve(const struct host *host, struct spec *spec, struct error *err);

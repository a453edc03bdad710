/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path_walk: what openat2 does with RESOLVE_IN_ROOT, for kernels before 5.6 and for filters that
 * forbid it. Used by path.c alone.
 */
#pragma once

/*
 * Opens `path` beneath root_fd as if that were "/". A descriptor, or -1 with errno; EAGAIN if
 * something was renamed meanwhile and the walk should be done again. O_CREAT is not for here.
 */
int path_walk(int root_fd, const char *path, int flags);

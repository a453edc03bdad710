/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file: whole files and directories of the host that cay itself owns or is told to trust (state,
 * proc, configuration). Paths that come from a sandbox are never opened here: see executor/path.h.
 */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <sys/types.h>

/* Appends the whole file; ERROR_TOO_LARGE if that exceeds b's ceiling. dir_fd may be AT_FDCWD. */
int file_read(int dir_fd, const char *path, struct buf *b, struct error *err);
/* Writes all bytes to an open fd, whatever short writes and EINTR do. */
int file_write_all(int fd, struct str data, struct error *err);
/*
 * The same at the offset of a new regular file, where blocks of zeros become holes: what comes from
 * a stranger takes no more of the disk than it says. file_end_sparse then gives it its size.
 */
int file_write_sparse(int fd, struct str data, struct error *err);
int file_end_sparse(int fd, struct error *err);
/* Writes to an existing file in one write(2): for /proc, /sys and cgroup files. */
int file_write_once(int dir_fd, const char *path, struct str data, struct error *err);
/* Replaces by a rename, so that a reader sees the old or the new content and never a part. */
int file_replace(int dir_fd, const char *path, struct str data, mode_t mode, struct error *err);
/*
 * And what is in it is on the disk before its name: for what is made once. It waits for the disk.
 */
int file_replace_and_flush(const char *path, struct str data, mode_t mode, struct error *err);
/* mkdir -p of an absolute or relative host path. */
int file_mkdirs(const char *path, mode_t mode, struct error *err);
/*
 * By their names alone: what is left of `path` behind `dir`, "" or from a '/' on; NULL: it is
 * neither `dir` nor beneath it.
 */
const char *file_beneath(const char *path, const char *dir);
/* rm -r below dir_fd, by descriptors, never through a symbolic link, never onto another mount. */
int file_remove_tree(int dir_fd, const char *name, struct error *err);
int fd_set_nonblock(int fd, struct error *err);
/* A TCP socket whose peer's machine is gone ends: the kernel asks after 30 s, each 10 s. */
void fd_keep_alive(int fd);
/* Sends and receives one datagram with up to 8 descriptors on a Unix socket; sizes in bytes. */
enum { FD_PASS_MAX = 8 };
int fd_send(int sock, struct str data, const int *fds, int n_fds, struct error *err);
/*
 * Returns the datagram's size, 0 at the end. *n_fds: room in, count out. Received fds are CLOEXEC.
 */
ssize_t fd_recv(int sock, void *data, size_t size, int *fds, int *n_fds, struct error *err);

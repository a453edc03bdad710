/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen: the sockets on which the server will accept, opened by who may. CLOEXEC and non-blocking.
 */
#pragma once

#include "base/error.h"

/*
 * Mode 0600. A socket file that nobody listens on any more is replaced; one in use is ERROR_EXISTS.
 */
int listen_unix(const char *path, int *ret_fd, struct error *err);
/*
 * "127.0.0.1:8000", "[::1]:8000", "localhost:8000", ":8000" (127.0.0.1); port 0: any free one. No
 * names are resolved. Not on the loopback: *ret_is_open says so, and it is for the caller to warn.
 */
int listen_tcp(const char *where, int *ret_fd, bool *ret_is_open, struct error *err);

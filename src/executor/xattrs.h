/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattrs: extended attributes of files, those alone whose names begin as a caller says. At most
 * XATTRS_MAX of them, with values of at most XATTR_VALUE_MAX bytes; what is more is left out.
 */
#pragma once

#include "action/action.h"

enum { XATTRS_MAX = 128, XATTR_VALUE_MAX = 4096, XATTRS_NAMES_MAX = 64 * 1024 };

/* The key "xattrs" with {name: value}; nothing if there are none, or they cannot be read. */
void xattrs_put_fd(struct jsonw *w, int fd, struct str prefix);
/* The same of an entry of a directory, unless it is a link. */
void xattrs_put(struct jsonw *w, int dir_fd, const char *name, struct str prefix);
/* ERROR_INVALID for what is no name in `user.`. */
int xattrs_set_fd(int fd, const struct field_map *xattrs, struct error *err);

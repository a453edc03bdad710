/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounted: where in which file system a file is. Two names are of the same file, or one lies
 * beneath the other, when that is so, however often parts of a file system are mounted (bind
 * mounts, subvolumes). Source: proc_pid_mountinfo(5).
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <limits.h>

enum { MOUNTED_TEXT_MAX = 8 << 20 };

/* A line of /proc/self/mountinfo; blanks in `root` and `point` are "\040" as they are there. */
struct mounted {
	int id;
	char fs[24];            /* "major:minor" */
	struct str root, point; /* which part of it, and under which name that is seen */
};

struct mounted_place {
	char fs[24];
	char path[PATH_MAX];
};

/* The next line, cut off *rest; one that cannot be read is left out. false: there is none. */
bool mounted_next(struct str *rest, struct mounted *ret);
/*
 * Where what is open is; `path` is its name, without links. ERROR_NOT_FOUND: `table` knows no such
 * mount; ERROR_INVALID: the name is not of it, or too long.
 */
int mounted_find(struct str table, int fd, const char *path, struct mounted_place *ret,
	struct error *err);
/* Of what is seen at its point. -1: its name is too long. */
int mounted_root(const struct mounted *m, struct mounted_place *ret);
/* Whether the point of the mount is beneath the name, or is it. */
bool mounted_is_beneath(const struct mounted *m, const char *path);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replace: gives a file new content so that nobody ever sees a part of it. The content goes to a
 * new file in the same directory, which then takes the name; mode and owner of what was there are
 * kept, a symbolic link stays and its target is replaced. Given up half-way, nothing is left
 * behind.
 *
 *	struct replace r = REPLACE_NONE;
 *	if (replace_begin(&r, &files->root, path, &how, err) < 0 ||
 *		replace_add(&r, bytes, err) < 0 || replace_commit(&r, err) < 0)
 *		...
 *	replace_end(&r);
 *
 * Where the new file cannot take the name (the directory is not writable, the file is a mount, its
 * owner cannot be kept), the old one is written in place: the new bytes are collected first, room
 * is reserved, then they are copied. Only such a file's readers may see a part.
 */
#pragma once

#include "base/error.h"
#include "executor/path.h"

enum { REPLACE_MEMORY_MAX = 64 * 1024 * 1024 }; /* collected where the directory is not writable */

struct replace {
	const struct path_root *root;
	struct path_at at;
	const char *path;          /* the caller's, for as long as this lives */
	char temp[PATH_NAME_SIZE]; /* "" while the new content has no name */
	int fd;                    /* the new content */
	bool in_place;
	bool exclusive;
	bool created; /* there was no file */
	mode_t mode;
	int64_t bytes;
};
#define REPLACE_NONE ((struct replace){ .fd = -1, .at = PATH_AT_NONE })

struct replace_how {
	bool create_parents;
	bool exclusive;      /* ERROR_EXISTS if there is something */
	struct str mode;     /* octal; STR_NONE: keep, or 0644 */
	struct str new_mode; /* octal; STR_NONE: 0644 */
};

int replace_begin(struct replace *r, const struct path_root *root, const char *path,
	const struct replace_how *how, struct error *err);
int replace_add(struct replace *r, struct str bytes, struct error *err);
/* After somebody else has added to fd: how much there is. */
int replace_measure(struct replace *r, struct error *err);
int replace_commit(struct replace *r, struct error *err);
void replace_end(struct replace *r);
/* Whether new content goes by such a name until it takes its own. */
bool replace_is_temp(struct str name);
